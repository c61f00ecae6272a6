"""What goes on beside a service: begun again where it fails, until it is cancelled."""

from __future__ import annotations

import asyncio
import logging
from typing import cast

import pytest

from modelway.composition import running
from modelway.composition.running import Running, kept_going
from modelway.domain.errors import BadValue

SERVICE = cast(Running, object())


def test_what_fails_is_said_once_and_begun_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(running, "_AGAIN_S", 0)
    troubles = [BadValue("no disk"), BadValue("no disk"), RuntimeError("odd"), RuntimeError("odd")]
    begun: list[Running] = []

    async def beside(service: Running) -> None:
        begun.append(service)
        if troubles:
            raise troubles.pop(0)
        await asyncio.Event().wait()

    async def until_it_goes_on() -> None:
        task = asyncio.create_task(kept_going(beside, SERVICE))
        async with asyncio.timeout(10):
            while len(begun) < 5:
                await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with caplog.at_level(logging.ERROR, "modelway"):
        asyncio.run(until_it_goes_on())
    assert begun == [SERVICE] * 5
    first, second = caplog.records
    assert first.message == "no disk"
    assert second.exc_text is not None
    assert "odd" in second.exc_text


def test_what_ends_by_itself_is_over() -> None:
    begun: list[Running] = []

    async def beside(service: Running) -> None:
        begun.append(service)

    asyncio.run(kept_going(beside, SERVICE))
    assert begun == [SERVICE]
