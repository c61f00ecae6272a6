"""The root of the command line: its commands, its errors, what importing it costs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from modelway import __version__
from modelway.cli.main import COMMANDS, cli, run


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_of_the_table_exists_and_has_help(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"Usage: modelway {name}" in out
    command = cli.get_command(None, name)  # type: ignore[arg-type] # the group needs no context
    assert command is not None
    assert command.help


def leaves(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for word, inner in command.commands.items():
            yield from leaves(inner, f"{name} {word}")
    else:
        yield name, command


def test_every_command_that_prints_a_value_has_json() -> None:
    context = click.Context(cli)
    found = [(name, cli.get_command(context, name)) for name in COMMANDS]
    every = [one for name, command in found if command for one in leaves(command, name)]
    without = [
        name
        for name, command in every
        if not any("--json" in option.opts for option in command.params)
    ]
    assert without == ["serve", "up", "worker", "predict", "demo"]


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    for name, line in COMMANDS.items():
        assert name in out
        assert line in out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["nothing"], ["serve"], ["bundle", "show"], ["--wrong"]])
def test_wrong_usage_ends_with_2_and_says_so_on_stderr(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    out = capsys.readouterr()
    assert out.out == ""
    assert "Error" in out.err


def test_an_error_of_ours_shows_message_code_and_hint(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "modelway.toml").write_text("[serve]\nworker = 3\n[rest]\nport = 1\n")
    assert run(["settings", "show"]) == 2
    err = capsys.readouterr().err
    assert "error: modelway.toml: there is no setting 'serve.worker' [unknown-setting]" in err
    assert "hint: " in err


def test_settings_show_says_where_values_come_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODELWAY__SERVE__PORT", "1234")
    assert run(["settings", "show", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["serve.port"]["value"] == 1234
    assert rows["serve.port"]["origin"] == "MODELWAY__SERVE__PORT"
    assert rows["bundles.home"] == {
        "name": "bundles.home",
        "value": ".modelway",
        "origin": "default",
        "help": "Folder for everything that Modelway keeps.",
    }
    assert run(["settings", "show"]) == 0
    assert "MODELWAY__SERVE__PORT" in capsys.readouterr().out


def test_settings_show_hides_passwords_in_urls(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    urls = {
        "store.url": "postgresql://ann:s3cret@db/control",
        "registry.url": "https://ann:s3cret@mlflow.example",
        "bundles.url": "s3://ann:s3cret@bucket/bundles",
        "records.url": "s3://ann:s3cret@bucket/records",
    }
    for name, url in urls.items():
        monkeypatch.setenv(f"MODELWAY__{name.replace('.', '__').upper()}", url)
    for words in ([], ["--json"]):
        assert run(["settings", "show", *words]) == 0
        shown = capsys.readouterr().out
        assert "s3cret" not in shown
        for url in urls.values():
            assert url.replace("s3cret", "***") in shown


def test_help_and_import_load_nothing_heavy() -> None:
    script = (
        "import sys, modelway; from modelway.cli.main import run; run(['--help']); "
        "heavy = {'numpy', 'onnxruntime', 'sklearn', 'pandas', 'uvicorn', 'asyncio'}; "
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr.strip() == "[]"
