"""Settings: precedence, types, ranges, and errors that say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelway.domain.errors import BadValue, UnknownSetting
from modelway.settings import Settings, load_settings, setting_fields

EMPTY = {
    *("serve.socket", "serve.default", "serve.trusted_proxies", "rest.prefix", "rest.sagemaker"),
    *("serve.tls_cert", "serve.tls_key", "rest.cors_origins"),
    *(
        "store.url",
        "bundles.url",
        "records.url",
        "registry.url",
        "registry.trusted",
        "registry.protected",
    ),
    *("inference.pinned", "records.dropped", "records.hashed", "shadows.remotes"),
    *("jobs.broker", "jobs.callbacks", "jobs.callback_secret"),
}
"""Settings of text that say nothing unless they are set."""


def settings(
    tmp_path: Path, toml: str = "", flags: dict[str, object] | None = None, **env: str
) -> Settings:
    (tmp_path / "modelway.toml").write_text(toml)
    return load_settings(flags, folder=tmp_path, environment=env)


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    found = load_settings(folder=tmp_path, environment={})
    assert (found.serve, found.rest, found.bundles) == (
        Settings().serve,
        Settings().rest,
        Settings().bundles,
    )
    assert set(found.origins.values()) == {"default"}


def test_flag_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    toml = "[serve]\nport = 1001\nworkers = 3\nhost = '0.0.0.0'\n"
    environment = {"MODELWAY__SERVE__PORT": "1002", "MODELWAY__SERVE__WORKERS": "4"}
    found = settings(tmp_path, toml, {"serve.port": 1003, "serve.workers": None}, **environment)
    assert (found.serve.port, found.serve.workers, found.serve.host) == (1003, 4, "0.0.0.0")
    assert found.origins["serve.port"] == "flag --port"
    assert found.origins["serve.workers"] == "MODELWAY__SERVE__WORKERS"
    assert found.origins["serve.host"] == "modelway.toml"
    assert found.origins["serve.drain_s"] == "default"


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("False", False), ("0", False)]
)
def test_booleans_are_read_from_text(tmp_path: Path, text: str, value: bool) -> None:
    assert settings(tmp_path, MODELWAY__INFERENCE__STRICT=text).inference.strict is value


def test_paths_and_numbers_have_their_own_types(tmp_path: Path) -> None:
    found = settings(tmp_path, '[bundles]\nhome = "/srv/m"\n[serve]\ndrain_s = 3\n')
    assert found.bundles.home == Path("/srv/m")
    assert found.serve.drain_s == 3.0
    assert isinstance(found.serve.drain_s, float)


@pytest.mark.parametrize(
    "toml", ["[serve]\nprot = 1\n", "[server]\nport = 1\n", "port = 1\n", "[origins]\nx = 1\n"]
)
def test_an_unknown_key_is_an_error(tmp_path: Path, toml: str) -> None:
    with pytest.raises(UnknownSetting, match=r"modelway\.toml: there is no setting"):
        settings(tmp_path, toml)


def test_an_unknown_variable_is_an_error_that_names_the_near_one(tmp_path: Path) -> None:
    with pytest.raises(UnknownSetting, match="MODELWAY__REST__PORT") as caught:
        settings(tmp_path, MODELWAY__REST__PORT="1")
    assert caught.value.hint == "there is: serve.port, admin.port, grpc.port, registry.port"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SERVE__PORT", "65536", "a whole number from 0 to 65,535"),
        ("SERVE__PORT", "http", "a whole number"),
        ("SERVE__PORT", "8080.5", "a whole number"),
        ("SERVE__DRAIN_S", "nan", "a number from 0 to 3,600"),
        ("INFERENCE__STRICT", "perhaps", "true or false"),
        ("TELEMETRY__LOG_FORMAT", "xml", "one of text, json"),
    ],
)
def test_a_bad_value_names_setting_origin_and_range(
    tmp_path: Path, name: str, value: str, expected: str
) -> None:
    variable = f"MODELWAY__{name}"
    with pytest.raises(BadValue) as caught:
        load_settings(folder=tmp_path, environment={variable: value})
    assert variable in caught.value.message
    assert expected in caught.value.message
    assert repr(value) in caught.value.message


def test_a_boolean_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match=r"serve\.port"):
        settings(tmp_path, "[serve]\nport = true\n")


def test_a_file_that_is_no_toml_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="cannot be read"):
        settings(tmp_path, "[serve\n")


def test_every_setting_has_help_and_every_number_a_range() -> None:
    for one in setting_fields():
        assert one.help.endswith("."), one.name
        assert one.default_text or one.name in EMPTY, one.name
        if one.kind in (int, float):
            assert one.minimum is not None, one.name
            assert one.maximum is not None, one.name
            plain = one.name.endswith("port") or one.name == "telemetry.access_log"
            assert one.unit or plain, one.name


def test_columns_have_commas_between_and_may_have_spaces_inside(tmp_path: Path) -> None:
    found = settings(tmp_path, MODELWAY__RECORDS__HASHED=" first name,, iban ,")
    assert found.records.hashed_columns == ("first name", "iban")
    assert found.records.dropped_columns == ()


def test_a_prefix_is_checked_where_it_is_read() -> None:
    with pytest.raises(BadValue, match=r"rest\.prefix: expected a path"):
        load_settings({"rest.prefix": "a b"}, environment={})


def test_remotes_are_names_and_addresses(tmp_path: Path) -> None:
    toml = '[shadows]\nremotes = "old=https://a.example/v2/models/x/, b.2=http://[::1]:81/m"\n'
    assert settings(tmp_path, toml).shadows.urls == {
        "old": "https://a.example/v2/models/x",
        "b.2": "http://[::1]:81/m",
    }


@pytest.mark.parametrize(
    "remotes",
    [
        *("old", "old=", "old=a.example/x", "old=file:///etc/passwd", "7=http://a/x"),
        *("old=http://ann:secret@a/x", "old=http://a/x?key=1", "old=http://a:port/x"),
        *("old=http:///x", "old=http://a/x,old=http://b/x", "o/ld=http://a/x"),
    ],
)
def test_what_is_no_remote_is_refused(tmp_path: Path, remotes: str) -> None:
    with pytest.raises(BadValue, match=r"shadows\.remotes"):
        settings(tmp_path, MODELWAY__SHADOWS__REMOTES=remotes)
