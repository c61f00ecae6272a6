"""Requests of one turn of the loop: one call for all of them, an answer for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from modelway.domain.errors import InputRefused
from modelway.domain.signature import Column, Datatype, Signature
from modelway.domain.tables import Table
from modelway.inference.batching import Answer
from modelway.inference.gathering import Gathering
from modelway.inference.soon import Soon

SIGNATURE = Signature((Column("a", "a", Datatype.FP64),))


def table(*values: float) -> Table:
    return Table(SIGNATURE, len(values), cells=[(value,) for value in values])


class Doubling:
    """Gives twice what it is asked, and refuses 13; remembers what was asked at once."""

    def __init__(self) -> None:
        self.asked: list[list[float]] = []

    def __call__(self, tables: Sequence[Table]) -> Sequence[Answer]:
        self.asked.append([value for one in tables for value in one.matrix[:, 0].tolist()])
        return [
            InputRefused("no 13") if 13 in one.matrix else {"prediction": one.matrix[:, 0] * 2}
            for one in tables
        ]


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(work())


def test_what_comes_in_one_turn_is_asked_at_once_and_each_gets_its_own() -> None:
    model = Doubling()
    gathering = Gathering(model)

    async def one(*values: float) -> object:
        try:
            answer = await gathering.add(table(*values), len(values), 100)
        except InputRefused as error:
            return error.message
        return answer["prediction"].tolist()

    async def work() -> None:
        found = await asyncio.gather(one(1), one(2, 3), one(13), one(4))
        assert list(found) == [[2], [4, 6], "no 13", [8]]
        assert await one(5) == [10]

    run(work)
    assert model.asked == [[1, 2, 3, 13, 4], [5]]
    assert not gathering.busy


def test_no_more_is_asked_at_once_than_may_be() -> None:
    model = Doubling()
    gathering = Gathering(model)

    async def work() -> None:
        places = [gathering.add(table(*values), len(values), 3) for values in ([1, 2], [3], [4, 5])]
        assert [place.done() for place in places] == [True, True, False]
        assert gathering.busy
        assert (await places[2])["prediction"].tolist() == [8, 10]

    run(work)
    assert model.asked == [[1, 2, 3], [4, 5]]


def test_who_has_left_is_not_told_and_the_others_are() -> None:
    gathering = Gathering(Doubling())

    async def work() -> None:
        first, second = (gathering.add(table(k), 1, 10) for k in (1, 2))
        first.cancel()
        assert (await second)["prediction"].tolist() == [4]

    run(work)


@pytest.mark.parametrize("value", [1.0, 13.0])
def test_who_said_so_is_called_as_soon_as_the_answer_is_there(value: float) -> None:
    gathering = Gathering(Doubling())

    async def work() -> None:
        place: Soon = gathering.add(table(value), 1, 10)
        called: list[bool] = []
        place.then = lambda: called.append(place.done())
        gathering.flush()
        assert called == [True]
        assert (place.exception() is not None) == (value == 13)

    run(work)


def test_who_has_given_up_goes_on_all_the_same() -> None:
    gathering = Gathering(Doubling())

    async def work() -> None:
        place = gathering.add(table(1), 1, 10)
        called: list[bool] = []
        place.then = lambda: called.append(place.cancelled())
        place.cancel()
        gathering.flush()
        assert called == [True]

    run(work)


def test_what_another_loop_left_behind_is_forgotten() -> None:
    model = Doubling()
    gathering = Gathering(model)

    async def begun() -> None:
        gathering.add(table(1), 1, 10)
        asyncio.get_running_loop().stop()
        await asyncio.sleep(3600)

    with pytest.raises(RuntimeError):
        run(begun)
    model.asked.clear()

    async def work() -> None:
        assert (await gathering.add(table(2), 1, 10))["prediction"].tolist() == [4]

    run(work)
    assert model.asked == [[2]]
