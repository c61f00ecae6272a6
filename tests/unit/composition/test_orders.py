"""Orders and reports: what is written is what is read, errors keep their kind."""

from __future__ import annotations

import msgspec
import pytest

from modelway.composition import orders
from modelway.domain.errors import (
    BadValue,
    DigestMismatch,
    EndpointNotFound,
    LoadFailed,
    ModelwayError,
)
from modelway.endpoints.planned import PlannedCanary, PlannedEndpoint, PlannedVersion
from modelway.inference.ports import ModelState

ENDPOINT = PlannedEndpoint(
    "a",
    PlannedVersion("/b", "7", "loan"),
    route="/x/{y}",
    older=(PlannedVersion("/o"),),
    canaries=(PlannedCanary(PlannedVersion("/c", "8", "loan"), 0.05),),
    shadows=(PlannedVersion("/s"),),
    split_by="header:user",
    salt="a",
)


@pytest.mark.parametrize(
    "order",
    [
        orders.Prepare(ENDPOINT),
        orders.Commit(ENDPOINT),
        orders.Discard(ENDPOINT),
        orders.Remove("a"),
        orders.Tell(),
        orders.Count(),
        orders.Describe(),
    ],
)
def test_an_order_is_one_line(order: orders.Order) -> None:
    line = msgspec.json.encode(order)
    assert b"\n" not in line
    assert msgspec.json.decode(line, type=orders.Order) == order


@pytest.mark.parametrize(
    ("order", "endpoint"),
    [
        (orders.Prepare(ENDPOINT), "a"),
        (orders.Commit(ENDPOINT), "a"),
        (orders.Discard(ENDPOINT), "a"),
        (orders.Remove("a"), "a"),
        (orders.Admit(()), None),
        (orders.Tell(), None),
        (orders.Count(), None),
        (orders.Describe(), None),
    ],
)
def test_only_what_changes_an_endpoint_takes_its_turn(
    order: orders.Order, endpoint: str | None
) -> None:
    assert orders.endpoint_of(order) == endpoint


def test_a_report_of_what_is_open() -> None:
    states = (ModelState("a", "1", True, "ready", None, 5),)
    line = msgspec.json.encode(orders.Report(states=states))
    assert msgspec.json.decode(line, type=orders.Report).states == states


@pytest.mark.parametrize(
    "error",
    [
        LoadFailed("broken", hint="mend it"),
        DigestMismatch("here", "a", "b"),
        EndpointNotFound("x", ["y"]),
        BadValue("so"),
    ],
)
def test_an_error_keeps_its_kind_and_words(error: ModelwayError) -> None:
    line = msgspec.json.encode(orders.failed(error))
    found = orders.raised(msgspec.json.decode(line, type=orders.Report))
    assert type(found) is type(error)
    assert (found.message, found.hint, str(found)) == (error.message, error.hint, str(error))


def test_a_code_that_nobody_knows_is_an_error_all_the_same() -> None:
    found = orders.raised(orders.Report(code="other", message="so"))
    assert type(found) is ModelwayError
