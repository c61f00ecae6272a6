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
        except ModelwayError as error:
            _log.error(
                "%s has changed and cannot be served; what was goes on answering: %s",
                source,
                error.message,
                extra={"endpoint": name, "code": error.code},
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
    if (path / MANIFEST).is_file():
        files = [path / MANIFEST, path / RECORD]
    elif path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
    else:
        files = [path]
    found = []
    for file in files:
        try:
            real = file.resolve()
            stat = real.stat()
        except OSError:
            return ()
        found.append((str(real), stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(found)
