from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.lineage.origin import Commit, DvcPointer, Origin, origin_of

TEXTS = st.text(min_size=1, max_size=20)
COMMITS = st.builds(Commit, TEXTS, st.none() | TEXTS, st.none() | st.booleans(), st.none() | TEXTS)
POINTERS = st.builds(DvcPointer, TEXTS, TEXTS, TEXTS, st.none() | st.integers(0, 2**60))
ORIGINS = st.builds(
    Origin,
    st.none() | COMMITS,
    st.none() | COMMITS,
    st.none() | TEXTS,
    st.none() | TEXTS,
    st.none() | POINTERS,
    st.none() | TEXTS,
    st.none() | TEXTS,
)


@given(ORIGINS)
def test_tags_tell_the_whole_origin(origin: Origin) -> None:
    assert origin_of(origin.tags()) == origin


def test_tags_are_flat_text_under_their_names() -> None:
    origin = Origin(
        code=Commit("abc", "main", True, "https://example.org/loan.git"),
        data="data/train.csv",
        data_sha256="12" * 32,
        dvc=DvcPointer("md5", "d41d8c", "train.csv", 7),
        lock="uv.lock",
        lock_sha256="34" * 32,
    )
    assert origin.tags() == {
        "modelway.git_commit": "abc",
        "modelway.git_branch": "main",
        "modelway.git_dirty": "true",
        "modelway.git_repository": "https://example.org/loan.git",
        "modelway.data": "data/train.csv",
        "modelway.data_sha256": "12" * 32,
        "modelway.data_dvc": '{"hash":"md5","value":"d41d8c","path":"train.csv","size":7}',
        "modelway.lock": "uv.lock",
        "modelway.lock_sha256": "34" * 32,
    }


def test_what_is_not_known_has_no_tag() -> None:
    assert Origin().tags() == {}
    assert origin_of({"team": "loans"}) == Origin()


def test_the_commit_that_mlflow_noted_counts_where_there_is_no_other() -> None:
    noted = {
        "mlflow.source.git.commit": "fed",
        "mlflow.source.git.branch": "main",
        "mlflow.source.git.repoURL": "git@example.org:loan.git",
    }
    assert origin_of(noted).code == Commit("fed", "main", None, "git@example.org:loan.git")
    assert origin_of({**noted, "modelway.git_commit": "abc"}).code == Commit("abc")


@pytest.mark.parametrize("text", ["", "not JSON", "[]", '{"hash": 1}'])
def test_a_pointer_that_somebody_else_wrote_is_not_one(text: str) -> None:
    assert origin_of({"modelway.data_dvc": text, "modelway.data": "d.csv"}) == Origin(data="d.csv")


def test_a_dirty_flag_that_is_none_is_not_known() -> None:
    tags = {"modelway.git_commit": "abc", "modelway.git_dirty": "perhaps"}
    assert origin_of(tags).code == Commit("abc")
