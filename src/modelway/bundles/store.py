"""Bundles on disk: opening one, and never one whose contents are not those of its digest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modelway.bundles.digest import bundle_digest
from modelway.bundles.manifest import (
    MANIFEST,
    Manifest,
    check_format,
    read_manifest,
    read_signature,
)
from modelway.bundles.record import Record, read_record
from modelway.domain.errors import DigestMismatch, LoadFailed, SourceNotFound
from modelway.domain.signature import Signature


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose contents were found to be those of its digest."""

    folder: Path
    digest: str
    manifest: Manifest
    signature: Signature
    record: Record


def open_bundle(folder: Path) -> Bundle:
    """The bundle in ``folder``, its contents compared with its digest.

    Raises:
        SourceNotFound: there is no such folder.
        LoadFailed: it is no bundle, or one of a newer format.
        DigestMismatch: the contents are not those that the record names.
    """
    try:
        there = folder.exists()
    except OSError as error:
        raise LoadFailed(f"{str(folder)[:500]} cannot be read: {error.strerror}") from error
    if not there:
        raise SourceNotFound(str(folder))
    if not (folder / MANIFEST).is_file():
        raise LoadFailed(
            f"{folder} is not a bundle: it has no {MANIFEST}",
            hint="modelway bundle build SOURCE -o DIR makes one",
        )
    check_format(folder)  # how a newer format makes its digest is not known here
    record = read_record(folder)
    found = bundle_digest(folder)
    if found != record.digest:
        raise DigestMismatch(str(folder), record.digest, found)
    return Bundle(folder, found, read_manifest(folder), read_signature(folder), record)
