"""The contract of ``Uploads``, over SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

from datetime import timedelta

import pytest

from modelway.backends.sql.store import Store
from modelway.domain.errors import (
    Conflict,
    InvalidInput,
    PayloadTooLarge,
    QueueFull,
    UploadNotFound,
)
from modelway.domain.jobs import Payload, Upload
from modelway.jobs.ports import Uploads
from support.jobs import JSON, new_job, now
from support.stores import rows_of

HOUR = timedelta(hours=1)
MOST = 1024 * 1024
CONTENT = Payload(b"a,b\r\n1,\x00\xff\n", "text/csv; charset=latin-1")


def upload(id: str, principal: str | None = None, lasts: timedelta = HOUR) -> Upload:
    at = now()
    return Upload(id, principal, at, at + lasts)


def test_what_was_sent_is_given_to_who_sent_it(store: Store) -> None:
    uploads: Uploads = store.uploads
    uploads.add(upload("a"), CONTENT, MOST)
    uploads.add(upload("b", "key k1"), CONTENT, MOST)
    assert uploads.get("a", None, now()) == CONTENT
    assert uploads.get("b", "key k1", now()) == CONTENT
    assert uploads.n_bytes("a", None, now()) == len(CONTENT.content)
    for id, principal in (("a", "key k1"), ("b", None), ("b", "key k2"), ("c", None)):
        with pytest.raises(UploadNotFound):
            uploads.get(id, principal, now())
        with pytest.raises(UploadNotFound):
            uploads.n_bytes(id, principal, now())


def test_what_is_over_is_not_given_and_is_forgotten(store: Store) -> None:
    store.uploads.add(upload("stays"), CONTENT, MOST)
    for k in range(120):
        store.uploads.add(upload(f"over-{k}", lasts=-HOUR), CONTENT, MOST)
    with pytest.raises(UploadNotFound):
        store.uploads.get("over-1", None, now())
    assert store.uploads.forget(now()) == 120
    assert store.uploads.forget(now()) == 0
    assert store.uploads.get("stays", None, now()) == CONTENT


def test_what_was_taken_back_holds_nothing_more(store: Store, url: str) -> None:
    store.jobs.enqueue([new_job("a")])
    large = Payload(bytes(600_000), JSON)
    store.uploads.add(upload("a", "key k1"), large, MOST)
    store.uploads.add(upload("b"), CONTENT, MOST)
    store.uploads.add(upload("over", "key k1", lasts=-HOUR), CONTENT, MOST)
    for id, principal in (("a", "key k2"), ("a", None), ("b", "key k1"), ("over", "key k1")):
        with pytest.raises(UploadNotFound):
            store.uploads.remove(id, principal, now())
    assert store.uploads.get("a", "key k1", now()) == large
    with pytest.raises(QueueFull):
        store.uploads.add(upload("c", "key k1"), large, MOST)
    store.uploads.remove("a", "key k1", now())
    store.uploads.add(upload("c", "key k1"), large, MOST)
    for refused in (store.uploads.get, store.uploads.remove):
        with pytest.raises(UploadNotFound):
            refused("a", "key k1", now())
    parts = rows_of(url, "SELECT part FROM modelway_job_payloads WHERE job = 'a'")
    assert parts == [("input",)]
    assert store.uploads.get("b", None, now()) == CONTENT


def test_nothing_of_a_job_is_forgotten_with_an_upload(store: Store, url: str) -> None:
    store.jobs.enqueue([new_job("a")])
    store.uploads.add(upload("a", lasts=-HOUR), CONTENT, MOST)
    store.uploads.forget(now())
    parts = rows_of(url, "SELECT part FROM modelway_job_payloads WHERE job = 'a'")
    assert parts == [("input",)]


def test_nothing_of_an_upload_is_forgotten_with_a_job(store: Store, url: str) -> None:
    store.jobs.enqueue([new_job("a")])
    store.jobs.cancel("a")
    store.uploads.add(upload("a"), CONTENT, MOST)
    assert store.jobs.forget(now() + HOUR, now()) == 1
    assert store.uploads.get("a", None, now()) == CONTENT
    parts = rows_of(url, "SELECT part FROM modelway_job_payloads WHERE job = 'a'")
    assert parts == [("upload",)]


def test_what_cannot_be_kept_is_refused_whole(store: Store, url: str) -> None:
    with pytest.raises(InvalidInput):
        store.uploads.add(upload("a", "x" * 300), CONTENT, MOST)
    with pytest.raises(InvalidInput):
        store.uploads.add(upload("a"), Payload(b"", "x" * 300), MOST)
    with pytest.raises(PayloadTooLarge):
        store.uploads.add(upload("a"), Payload(bytes(512 * 1024 * 1024 + 1), JSON), MOST)
    assert rows_of(url, "SELECT id FROM modelway_job_uploads") == []
    store.uploads.add(upload("a"), CONTENT, MOST)
    with pytest.raises(Conflict):
        store.uploads.add(upload("a"), CONTENT, MOST)


def test_what_one_principal_has_sent_holds_at_most_so_much(store: Store) -> None:
    large = Payload(bytes(600_000), JSON)
    for principal in ("key k1", None):
        store.uploads.add(upload(f"over {principal}", principal, lasts=-HOUR), large, MOST)
        store.uploads.add(upload(f"first {principal}", principal), large, MOST)
        with pytest.raises(QueueFull):
            store.uploads.add(upload(f"second {principal}", principal), large, MOST)
    for k in range(3):
        store.uploads.add(upload(f"small-{k}", "key k2"), CONTENT, 3 * 4096)
    with pytest.raises(QueueFull):
        store.uploads.add(upload("small-3", "key k2"), CONTENT, 3 * 4096)
