"""References: every form that is read, what each is written as, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.domain.errors import InvalidName
from modelway.domain.references import (
    ModelReference,
    RunReference,
    check_alias,
    check_model_name,
    parse_reference,
)


@pytest.mark.parametrize(
    ("text", "expected", "shortest"),
    [
        ("loan", ModelReference("loan"), "loan"),
        ("loan:7", ModelReference("loan", version="7"), "loan:7"),
        ("loan:007", ModelReference("loan", version="7"), "loan:7"),
        ("loan@champion", ModelReference("loan", alias="champion"), "loan@champion"),
        ("models:/loan@champion", ModelReference("loan", alias="champion"), "loan@champion"),
        ("models:/loan/7", ModelReference("loan", version="7"), "loan:7"),
        ("models:/loan/Staging", ModelReference("loan", stage="Staging"), "models:/loan/Staging"),
        ("models:/loan/production", ModelReference("loan", stage="Production"), None),
        ("models:/loan/None", ModelReference("loan", stage="None"), "models:/loan/None"),
        ("models:/loan/Archived", ModelReference("loan", stage="Archived"), None),
        ("models:/loan/LATEST", ModelReference("loan", stage="latest"), "models:/loan/latest"),
        ("runs:/0a1b/model", RunReference("0a1b", "model"), "runs:/0a1b/model"),
        ("runs:/0a1b/a/b c/", RunReference("0a1b", "a/b c"), "runs:/0a1b/a/b c"),
        ("credit risk v2.1@champion", ModelReference("credit risk v2.1", alias="champion"), None),
        ("team@bank@champion", ModelReference("team@bank", alias="champion"), None),
        ("team@bank:3", ModelReference("team@bank", version="3"), "team@bank:3"),
        ("models:/ümlaut/3", ModelReference("ümlaut", version="3"), "ümlaut:3"),
        ("models:7", ModelReference("models", version="7"), "models:7"),
    ],
)
def test_every_form_is_read(
    text: str, expected: ModelReference | RunReference, shortest: str | None
) -> None:
    assert parse_reference(text) == expected
    if shortest is not None:
        assert str(expected) == shortest
    assert parse_reference(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "without '/' and ':'"),
        ("  ", "without '/' and ':'"),
        ("a/b", "without '/' and ':'"),
        ("..", "may not start with"),
        ("..a", "may not start with"),
        (".", "may not start with"),
        ("x" * 257, "1 to 256 characters"),
        ("loan:", "a whole number from 1"),
        ("loan:0", "a whole number from 1"),
        ("loan:-1", "a whole number from 1"),
        ("loan:1.5", "a whole number from 1"),
        ("loan:champion", "a whole number from 1"),
        ("loan:١", "a whole number from 1"),
        ("loan@", "letters, digits"),
        ("loan@cham pion", "letters, digits"),
        ("loan@latest", "reserved"),
        ("loan@Latest", "reserved"),
        ("loan@V12", "reserved"),
        ("loan@" + "a" * 256, "1 to 255"),
        ("@champion", "1 to 256 characters"),
        ("models:/loan", "models:/NAME/VERSION"),
        ("models:/m-7889aa9f83c0447d", "models:/NAME/VERSION"),
        ("models:/loan/Retired", "Staging"),
        ("models:/loan/7/model", "models:/NAME/VERSION"),
        ("models://host/loan/7", "NAME:VERSION"),
        ("runs:0a1b/model", "runs:/RUN/PATH"),
        ("runs:/0a1b", "a path below the run"),
        ("runs:/0a1b/", "a path below the run"),
        ("runs:/0a1b/../secret", "a path below the run"),
        ("runs:/0a1b/a/../../b", "a path below the run"),
        ("runs:/0a1b//etc", "a path below the run"),
        ("runs:/a b/model", "the id of a run"),
        ("runs://host/0a1b/model", "runs:/RUN/PATH"),
    ],
)
def test_what_is_no_reference_is_told_what_one_is(text: str, expected: str) -> None:
    with pytest.raises(InvalidName, match="is not a usable name: expected") as error:
        parse_reference(text)
    assert expected in error.value.message


def test_a_reference_means_one_thing() -> None:
    with pytest.raises(InvalidName, match="one of version, alias and stage"):
        ModelReference("loan", version="7", alias="champion")
    with pytest.raises(InvalidName, match="behind a name with an '@'"):
        ModelReference("team@bank")


def test_names_and_aliases_are_given_back() -> None:
    assert check_model_name("credit risk v2.1") == "credit risk v2.1"
    assert check_alias("v12-candidate") == "v12-candidate"


@given(
    st.text(min_size=1, max_size=40),
    st.sampled_from([{}, {"version": "3"}, {"alias": "champion"}, {"stage": "Staging"}]),
)
def test_what_can_be_made_can_be_written_and_read(name: str, part: dict[str, str]) -> None:
    try:
        reference = ModelReference(name, **part)
    except InvalidName:
        return
    assert parse_reference(str(reference)) == reference


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        reference = parse_reference(text)
    except InvalidName:
        return
    assert parse_reference(str(reference)) == reference
