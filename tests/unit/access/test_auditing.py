from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from modelway.access.auditing import LONGEST_DETAIL, Audited, detail_text
from modelway.access.keys import Act, Scope
from modelway.access.making import new_key
from modelway.domain.errors import EndpointNotFound, StoreUnavailable

NOW = datetime(2024, 5, 17, 12, 30, tzinfo=UTC)


class Trail:
    """A trail in memory, which may be out of reach."""

    def __init__(self, *, reachable: bool = True) -> None:
        self.entered: list[Act] = []
        self._reachable = reachable

    def append(self, act: Act) -> None:
        if not self._reachable:
            raise StoreUnavailable("the store is out of reach")
        self.entered.append(act)

    def acts(self, limit: int, before: datetime | None = None) -> Sequence[Act]:
        return self.entered[-limit:][::-1]


def audited(trail: Trail) -> Audited:
    return Audited(trail, lambda: NOW)


def test_an_act_is_entered_once_it_is_done() -> None:
    trail = Trail()
    with audited(trail).act("ada:k1", "endpoint.change", "loan", {"live": "loan:8"}) as acting:
        assert trail.entered == []
        acting.detail["revision"] = 4
    expected = Act(
        "ada:k1", "endpoint.change", "loan", "done", '{"live":"loan:8","revision":4}', NOW
    )
    assert trail.entered == [expected]


def test_an_act_that_failed_is_entered_with_the_code_and_the_error_goes_on() -> None:
    trail = Trail()
    with (
        pytest.raises(EndpointNotFound),
        audited(trail).act("ada:k1", "endpoint.remove", "loan", {"why": "old"}),
    ):
        raise EndpointNotFound("loan", ["iris"])
    (act,) = trail.entered
    assert act.outcome == "endpoint-not-found"
    assert json.loads(act.detail) == {
        "why": "old",
        "error": "no endpoint is called 'loan'; there is: iris",
    }


def test_a_fault_of_our_own_is_entered_without_its_text() -> None:
    trail = Trail()
    with pytest.raises(ZeroDivisionError), audited(trail).act("ada:k1", "key.revoke", "k2"):
        raise ZeroDivisionError("with who knows what in it")
    assert [(act.outcome, act.detail) for act in trail.entered] == [("internal-error", "{}")]


def test_the_same_on_an_event_loop() -> None:
    trail = Trail()

    async def work() -> None:
        async with audited(trail).act("ada:k1", "model.load", "loan") as acting:
            await asyncio.sleep(0)
            acting.detail["version"] = "8"
        with pytest.raises(EndpointNotFound):
            async with audited(trail).act("ada:k1", "model.unload", "loan"):
                await asyncio.sleep(0)
                raise EndpointNotFound("loan", [])

    asyncio.run(work())
    assert [(act.act, act.outcome) for act in trail.entered] == [
        ("model.load", "done"),
        ("model.unload", "endpoint-not-found"),
    ]


def test_an_act_whose_caller_leaves_is_entered() -> None:
    trail = Trail()

    async def work() -> None:
        began = asyncio.Event()

        async def acts() -> None:
            async with audited(trail).act("ada:k1", "model.load", "loan"):
                began.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(acts())
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())
    assert [act.outcome for act in trail.entered] == ["cancelled"]


def test_a_trail_out_of_reach_undoes_nothing_and_the_log_has_the_entry(
    caplog: pytest.LogCaptureFixture,
) -> None:
    trail = Trail(reachable=False)
    with caplog.at_level(logging.ERROR, "modelway.audit"):
        with audited(trail).act("ada:k1", "key.revoke", "k2"):
            pass
        with pytest.raises(EndpointNotFound), audited(trail).act("bob:k3", "model.load", "loan"):
            raise EndpointNotFound("loan", [])
    first, second = (record.getMessage() for record in caplog.records)
    assert "ada:k1" in first and "key.revoke" in first and "out of reach" in first
    assert "bob:k3" in second and "endpoint-not-found" in second


def test_no_secret_is_entered() -> None:
    _, text = new_key("ci", ["predict"], [], 0, NOW)
    found = detail_text(
        {
            "store": "postgresql://modelway:hunter2@db/modelway",
            "said": f"used {text} twice",
            "secret_sha256": b"x",
            "password": "hunter2",
            "nested": [{"api_key": "hunter2", "API-Key": "hunter2", "Authorization": "hunter2"}],
            "keys": {"key": "hunter2", "key_id": "k1"},
        }
    )
    assert "hunter2" not in found
    assert text.split("_", 2)[2] not in found
    assert text.split("_")[1] in found, "which key it was is no secret"
    detail = json.loads(found)
    assert detail["store"] == "postgresql://modelway:***@db/modelway"
    assert detail["keys"]["key_id"] == "k1"


def test_an_error_that_repeats_a_key_does_not_bring_it_into_the_trail() -> None:
    trail = Trail()
    _, text = new_key("ci", ["predict"], [], 0, NOW)
    with pytest.raises(EndpointNotFound), audited(trail).act("ada:k1", "endpoint.show", "x"):
        raise EndpointNotFound(text, [])
    assert text.split("_", 2)[2] not in trail.entered[0].detail


def test_a_detail_is_json_whatever_is_in_it() -> None:
    found = detail_text(
        {
            "scopes": frozenset((Scope.READ,)),
            "at": NOW,
            "ratio": float("nan"),
            "of": {3: "three"},
            "type": int,
        }
    )
    assert json.loads(found) == {
        "scopes": ["read"],
        "at": "2024-05-17T12:30:00Z",
        "ratio": None,
        "of": {"3": "three"},
        "type": "<class 'int'>",
    }


def test_no_letter_keeps_an_act_out_of_the_trail() -> None:
    trail = Trail()
    _, text = new_key("ci", ["predict"], [], 0, NOW)
    odd = "a\0b\ud800c"
    with audited(trail).act(odd, "endpoint.show", f"{text} {'x' * 5000}", {odd: [odd]}):
        pass
    (act,) = trail.entered
    assert act.actor == "a\\x00b\\ud800c"
    assert text.split("_", 2)[2] not in act.subject
    assert len(act.subject) < 1100
    assert json.loads(act.detail) == {act.actor: [act.actor]}
    assert "\0" not in act.detail


def test_a_detail_is_bounded() -> None:
    assert len(detail_text({"why": "x" * 100_000})) < 1100
    long = detail_text({f"column{k}": "x" * 900 for k in range(100)})
    assert len(long) < LONGEST_DETAIL
    detail = json.loads(long)
    assert detail["letters"] > LONGEST_DETAIL
    assert "column0" in detail["left_out"]
