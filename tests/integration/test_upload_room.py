"""Uploads that are read at the same time have a bound; so has what one caller has sent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from modelway.composition import job_keeping
from modelway.composition.job_keeping import stored_jobs
from modelway.composition.plan import JobPlan
from modelway.domain.errors import QueueFull, UploadNotFound
from modelway.domain.jobs import Payload
from modelway.rest.http import Request
from modelway.rest.uploads import REFERENCE, resolved
from support.jobs import JSON

LARGE = Payload(bytes(600_000), JSON)


def test_what_there_is_no_room_for_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_keeping, "_READ_BYTES", 1_000_000)
    jobs = stored_jobs(JobPlan(f"sqlite:///{tmp_path / 'jobs.sqlite'}", 60.0, 60, 1_500_000))

    def naming(id: str) -> Request:
        body = f'{{"upload": "{id}"}}'.encode()
        return Request("r", "POST", "/jobs", headers={b"content-type": REFERENCE}, body=body)

    async def run() -> None:
        first, second = [await jobs.uploads.add(LARGE, None) for _ in range(2)]
        with pytest.raises(QueueFull):
            await jobs.uploads.add(LARGE, None)
        request = naming(first.id)
        async with resolved(request, jobs.uploads, None):
            assert request.body == LARGE.content
            with pytest.raises(QueueFull):
                async with resolved(naming(second.id), jobs.uploads, None):
                    pass
            with pytest.raises(UploadNotFound):
                async with resolved(naming("absent"), jobs.uploads, None):
                    pass
        assert request.body == b""
        async with resolved(naming(second.id), jobs.uploads, None):
            pass
        await jobs.uploads.add(Payload(bytes(2_000), JSON), None)

    asyncio.run(run())


def test_what_has_more_than_all_the_room_finds_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_keeping, "_READ_BYTES", 1)
    jobs = stored_jobs(JobPlan(f"sqlite:///{tmp_path / 'jobs.sqlite'}", 60.0, 60, 1_500_000))

    async def run() -> None:
        upload = await jobs.uploads.add(LARGE, None)
        for _ in range(2):
            async with jobs.uploads.opened(upload.id, None) as content:
                assert content == LARGE

    asyncio.run(run())
