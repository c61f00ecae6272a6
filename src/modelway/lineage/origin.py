"""Where a model comes from: commits, training data and lock file, as facts and as tags.

A registry keeps text only, so an origin is written as flat tags and read back from them. Where a
model was logged by plain MLflow code, the commit that MLflow itself noted at the run is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

PREFIX = "modelway."
"""What tags begin with that are not for people to set."""

_CODE = "modelway.git_"
_DATA_CODE = "modelway.data_git_"
_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Commit:
    """The commit that a repository was at.

    ``branch`` is None where none was checked out. ``dirty``: tracked files had changed, or there
    was Python code that no commit has; None where git did not say in time. ``repository`` is the
    address of its remote without credentials, None where it has none.
    """

    commit: str
    branch: str | None = None
    dirty: bool | None = None
    repository: str | None = None


class DvcPointer(msgspec.Struct, frozen=True):
    """What DVC keeps in place of a file: ``value`` is its ``hash`` (``md5``), by DVC's own names.

    ``path`` is relative to the pointer, ``size`` in bytes.
    """

    hash: str
    value: str
    path: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a model comes from; None is what is not known.

    ``code`` is the repository with the source, ``data_code`` that with the training data where it
    is another. ``data`` and ``lock`` are paths: below the repository, absolute outside of one.
    ``data_sha256`` is over the whole file, None where only a ``dvc`` pointer is there.
    """

    code: Commit | None = None
    data_code: Commit | None = None
    data: str | None = None
    data_sha256: str | None = None
    dvc: DvcPointer | None = None
    lock: str | None = None
    lock_sha256: str | None = None

    def tags(self) -> dict[str, str]:
        """The origin as a registry's tags; what is not known has none."""
        dvc = None if self.dvc is None else msgspec.json.encode(self.dvc).decode()
        said = {
            **_commit_tags(_CODE, self.code),
            **_commit_tags(_DATA_CODE, self.data_code),
            "modelway.data": self.data,
            "modelway.data_sha256": self.data_sha256,
            "modelway.data_dvc": dvc,
            "modelway.lock": self.lock,
            "modelway.lock_sha256": self.lock_sha256,
        }
        return {name: value for name, value in said.items() if value}


def origin_of(tags: Mapping[str, str]) -> Origin:
    """The origin that tags of a version, or of its run, tell; what they do not is None."""
    return Origin(
        code=_commit(_CODE, tags) or _noted_by_mlflow(tags),
        data_code=_commit(_DATA_CODE, tags),
        data=tags.get("modelway.data"),
        data_sha256=tags.get("modelway.data_sha256"),
        dvc=_pointer(tags.get("modelway.data_dvc")),
        lock=tags.get("modelway.lock"),
        lock_sha256=tags.get("modelway.lock_sha256"),
    )


def _commit_tags(prefix: str, commit: Commit | None) -> dict[str, str | None]:
    if commit is None:
        return {}
    dirty = None if commit.dirty is None else str(commit.dirty).lower()
    return {
        f"{prefix}commit": commit.commit,
        f"{prefix}branch": commit.branch,
        f"{prefix}dirty": dirty,
        f"{prefix}repository": commit.repository,
    }


def _commit(prefix: str, tags: Mapping[str, str]) -> Commit | None:
    commit = tags.get(f"{prefix}commit")
    if not commit:
        return None
    dirty = _FLAGS.get(tags.get(f"{prefix}dirty", ""))
    return Commit(commit, tags.get(f"{prefix}branch"), dirty, tags.get(f"{prefix}repository"))


def _noted_by_mlflow(tags: Mapping[str, str]) -> Commit | None:
    commit = tags.get("mlflow.source.git.commit")
    if not commit:
        return None
    branch, repository = (tags.get(f"mlflow.source.git.{name}") for name in ("branch", "repoURL"))
    return Commit(commit, branch, None, repository)


def _pointer(text: str | None) -> DvcPointer | None:
    try:
        return None if text is None else msgspec.json.decode(text, type=DvcPointer)
    except msgspec.MsgspecError:
        return None  # somebody else has set the tag
