"""Notes of one turn of the event loop are added up at its end, and none is lost."""

from __future__ import annotations

import asyncio

from modelway.telemetry.noting import Notes


def test_notes_of_a_turn_are_added_up_together() -> None:
    added: list[list[int]] = []
    notes: Notes[int] = Notes(added.append)

    async def two_turns() -> None:
        for note in (1, 2, 3):
            notes.add(note)
        assert added == []
        await asyncio.sleep(0)
        assert added == [[1, 2, 3]]
        notes.add(4)
        await asyncio.sleep(0)

    asyncio.run(two_turns())
    assert added == [[1, 2, 3], [4]]


def test_where_no_loop_runs_a_note_is_added_at_once() -> None:
    added: list[list[int]] = []
    notes: Notes[int] = Notes(added.append)
    notes.add(1)
    notes.add(2)
    assert added == [[1], [2]]


def test_a_note_made_while_others_are_added_up_comes_in_the_next_turn() -> None:
    added: list[list[int]] = []

    def add_up(noted: list[int]) -> None:
        added.append(noted)
        if len(added) == 1:
            notes.add(2)

    notes = Notes(add_up)

    async def turns() -> None:
        notes.add(1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(turns())
    assert added == [[1], [2]]
