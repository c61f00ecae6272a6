"""The settings of what is kept and who decides: bundles, store, registry, access, records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modelway.settings.fields import names_of, parts_of, setting


@dataclass(frozen=True, slots=True)
class BundleSettings:
    """Where bundles are kept, and what may become one."""

    home: Path = setting(  # noqa: RUF009 - gives a field, as dataclasses.field does
        factory=lambda: Path(".modelway"), help="Folder for everything that Modelway keeps."
    )
    url: str = setting(
        "",
        help="Where bundles are shared with other hosts: s3://bucket/folder, file:///mnt/shared or "
        "another URL that fsspec knows; empty is the home alone.",
    )
    allow_pickle: bool = setting(
        True,
        help="Whether a pickle named on the command line may be loaded, which runs code in it.",
    )


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where control state is kept: endpoints, promotions, keys, labels."""

    url: str = setting(
        "",
        help="Store of control state: postgresql://..., mariadb://... or sqlite:///path; empty is "
        "SQLite in the home.",
    )
    poll_s: float = setting(
        0.5,
        help="How often a service looks whether endpoints have changed.",
        unit="seconds",
        minimum=0.05,
        maximum=60,
    )


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """Where models are registered, and who may say what they are."""

    url: str = setting(
        "",
        help="MLflow's tracking server; empty is the home's own, which modelway up starts.",
    )
    port: int = setting(
        8091,
        help="Port of the home's own MLflow server, on loopback; 0 takes a free one.",
        minimum=0,
        maximum=65535,
    )
    trusted: str = setting(
        "",
        help="Registries whose pickles may be built, in a child process: URLs with commas between. "
        "The home's own is.",
    )
    protected: str = setting(
        "",
        help="Aliases that are moved only once somebody else has approved it, with commas between: "
        "champion.",
    )
    approval_s: float = setting(
        7 * 24 * 3600.0,
        help="How long a promotion waits for approval before it expires.",
        unit="seconds",
        minimum=1,
        maximum=366 * 24 * 3600,
    )
    poll_s: float = setting(
        2.0,
        help="How often MLflow's aliases are compared with the ledger of promotions.",
        unit="seconds",
        minimum=0.1,
        maximum=3600,
    )

    @property
    def trusted_urls(self) -> frozenset[str]:
        """The trusted registries, without slashes behind."""
        return frozenset(one.rstrip("/") for one in parts_of(self.trusted))

    @property
    def protected_aliases(self) -> frozenset[str]:
        """The protected aliases, of every model."""
        return frozenset(parts_of(self.protected))


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """Who must say who calls."""

    predictions: str = setting(
        "auto",
        help="Whether predictions need a key: auto asks for one where other machines can reach the "
        "service.",
        choices=("auto", "keys", "open"),
    )


@dataclass(frozen=True, slots=True)
class RecordSettings:
    """What is recorded of predictions, and for how long it is kept."""

    enabled: bool = setting(True, help="Whether predictions are recorded.")
    url: str = setting(
        "",
        help="Where records are kept: s3://bucket/folder, file:///mnt/shared or another URL that "
        "fsspec knows; empty is the home.",
    )
    sampling: float = setting(
        1.0,
        help="How many of the predictions are recorded, chosen by the hash of the prediction's id.",
        unit="share",
        minimum=0,
        maximum=1,
    )
    dropped: str = setting(
        "", help="Columns that are never recorded, with commas between: name,birthday."
    )
    hashed: str = setting(
        "",
        help="Columns of which only a keyed hash is recorded, with commas between; whoever knows a "
        "value still finds its records.",
    )
    keep_days: int = setting(
        0,
        help="Records of days longer ago are removed; 0 keeps them for ever.",
        unit="days",
        minimum=0,
        maximum=36_525,
    )
    keep_bytes: int = setting(
        0,
        help="The oldest records are removed until the rest takes no more; 0 is no bound.",
        unit="bytes",
        minimum=0,
        maximum=2**60,
    )
    flush_s: float = setting(
        0.02,
        help="How often records are written; what was answered longer ago outlives its process.",
        unit="seconds",
        minimum=0.001,
        maximum=60,
    )

    @property
    def dropped_columns(self) -> tuple[str, ...]:
        """The columns that are never recorded."""
        return tuple(names_of(self.dropped))

    @property
    def hashed_columns(self) -> tuple[str, ...]:
        """The columns that are recorded as hashes."""
        return tuple(names_of(self.hashed))
