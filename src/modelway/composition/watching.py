"""Sources that are watched: what changes is bundled again and answers, if it can.

A source is looked at every second. One whose files have changed, and have then stayed as they are
for a second, is taken: a bundle as it is, a model after it was bundled in a child process. What
cannot be bundled or opened changes nothing; the log says why, and the next change is waited for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from modelway.bundles.manifest import MANIFEST, RECORD
from modelway.domain.errors import ModelwayError
from modelway.inference.ports import Deployment

TICK_S = 1.0

Bundled = Callable[[str, str], Path]
"""The bundle's folder of an endpoint's source; blocks, raises what bundling raises."""

_Print = tuple[tuple[str, int, int, int], ...]

_log = logging.getLogger(__name__)


class Watching:
    """Watches ``sources``, paths by endpoint, for what changes from now on."""

    def __init__(self, sources: Mapping[str, str], bundled: Bundled) -> None:
        self._sources = sources
        self._bundled = bundled
        self._taken = {name: fingerprint(source) for name, source in sources.items()}

    async def follow(self, deployment: Deployment) -> None:
        """Have what changes answer, until cancelled."""
        taken = self._taken
        seen = dict(taken)
        while True:
            await asyncio.sleep(TICK_S)
            for name, source in self._sources.items():
                found = await asyncio.to_thread(fingerprint, source)
                steady, seen[name] = found == seen[name], found
                if steady and found and found != taken[name]:
                    taken[name] = found
                    await self._take(name, source, deployment)

    async def _take(self, name: str, source: str, deployment: Deployment) -> None:
        try:
            folder = await asyncio.to_thread(self._bundled, name, source)
            version = await deployment.load(name, folder)
        except Exception as error:  # noqa: BLE001 - the next change is watched all the same
            _log.error(
                "%s has changed and cannot be served; what was goes on answering: %s",
                source,
                error.message if isinstance(error, ModelwayError) else repr(error),
                extra={"endpoint": name, "code": getattr(error, "code", "internal-error")},
            )
        else:
            _log.info(
                "%s has changed and answers", source, extra={"endpoint": name, "version": version}
            )


def fingerprint(source: str) -> _Print:
    """What changes when the source does: the real path, inode, size and time of its files.

    Of a bundle these are the manifest and the record, which are written last; empty where there is
    nothing.
    """
    path = Path(source.rpartition(":")[0] if source.rpartition(":")[0].endswith(".py") else source)
    try:
        return tuple(_print_of(file) for file in _files(path))
    except OSError:
        return ()


def _files(path: Path) -> list[Path]:
    if (path / MANIFEST).is_file():
        return [path / MANIFEST, path / RECORD]
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    return [path]


def _print_of(file: Path) -> tuple[str, int, int, int]:
    real = file.resolve()
    stat = real.stat()
    return str(real), stat.st_ino, stat.st_size, stat.st_mtime_ns
