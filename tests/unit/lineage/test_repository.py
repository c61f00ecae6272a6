from __future__ import annotations

import time
from pathlib import Path

import pytest

from modelway.lineage.origin import Commit
from modelway.lineage.repository import repository_of, without_credentials
from support.repositories import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with one commit and a script in a folder."""
    made = Repository(tmp_path / "loan")
    (made.folder / "models").mkdir()
    (made.folder / "train.py").write_text("pass\n")
    (made.folder / ".gitignore").write_text("scratch/\n")
    made.commit()
    return made


def test_a_clean_repository(repository: Repository) -> None:
    found = repository_of(repository.folder / "models")
    assert found is not None
    assert found.root.resolve() == repository.folder.resolve()
    assert found.commit == Commit(repository.git("rev-parse", "HEAD"), "main", False, None)


@pytest.mark.parametrize(
    ("path", "dirty"),
    [
        ("train.py", True),
        ("models/features.py", True),
        ("try.ipynb", True),
        ("models/model.pickle", False),
        ("scratch/try.py", False),
    ],
)
def test_dirty_is_what_no_commit_has(repository: Repository, path: str, dirty: bool) -> None:
    file = repository.folder / path
    file.parent.mkdir(exist_ok=True)
    file.write_text("changed = 1\n")
    found = repository_of(repository.folder / "models")
    assert found is not None
    assert found.commit.dirty is dirty


def test_a_commit_without_a_branch(repository: Repository) -> None:
    repository.git("checkout", "--quiet", "--detach")
    found = repository_of(repository.folder)
    assert found is not None
    assert found.commit.branch is None


def test_the_remote_without_credentials(repository: Repository) -> None:
    repository.git("remote", "add", "fork", "https://example.org/fork.git")
    repository.git("remote", "add", "other", "https://example.org/other.git")
    found = repository_of(repository.folder)
    assert found is not None
    assert found.commit.repository == "https://example.org/fork.git"
    repository.git("remote", "add", "origin", "https://ann:secret@example.org/loan.git")
    found = repository_of(repository.folder)
    assert found is not None
    assert found.commit.repository == "https://example.org/loan.git"


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://token@example.org/a.git", "https://example.org/a.git"),
        ("https://ann:pass@example.org:8443/a.git", "https://example.org:8443/a.git"),
        ("https://example.org/a.git?private_token=x#y", "https://example.org/a.git"),
        ("ssh://git:pass@example.org/a.git", "ssh://git@example.org/a.git"),
        ("ssh://git@example.org:22/a.git", "ssh://git@example.org:22/a.git"),
        ("git@example.org:team/a.git", "git@example.org:team/a.git"),
        ("/srv/git/a.git", "/srv/git/a.git"),
    ],
)
def test_nothing_is_kept_that_lets_somebody_in(address: str, kept: str) -> None:
    assert without_credentials(address) == kept


def test_nothing_is_known_without_a_repository_or_a_commit(tmp_path: Path) -> None:
    assert repository_of(tmp_path) is None
    assert repository_of(tmp_path / "nowhere") is None
    Repository(tmp_path / "empty")
    assert repository_of(tmp_path / "empty") is None


def test_nothing_is_known_without_git(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert repository_of(repository.folder) is None


def test_the_callers_variables_do_not_lead_elsewhere(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Repository(tmp_path / "other")
    (other.folder / "a.txt").write_text("other\n")
    other.commit("another")
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.folder))
    found = repository_of(repository.folder)
    assert found is not None
    assert found.commit.commit == repository.git("rev-parse", "HEAD")


def test_no_program_of_the_repository_is_started(repository: Repository) -> None:
    seen = repository.folder / "scratch" / "seen"
    seen.parent.mkdir()
    spy = repository.folder / ".git" / "spy"
    spy.write_text(f"#!/bin/sh\ntouch {seen}\n")
    spy.chmod(0o755)
    repository.git("config", "core.fsmonitor", str(spy))
    for name in ("post-index-change", "post-checkout", "pre-commit"):
        (repository.folder / ".git" / "hooks" / name).write_text(spy.read_text())
        (repository.folder / ".git" / "hooks" / name).chmod(0o755)
    (repository.folder / "train.py").touch()
    assert repository_of(repository.folder) is not None
    assert not seen.exists()


def test_a_git_that_takes_too_long_is_ended(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nsleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:/usr/bin:/bin")
    started = time.monotonic()
    assert repository_of(repository.folder, longest_s=0.2) is None
    assert time.monotonic() - started < 30
