"""Measures what files take, on another thread: the scheduler waits for no file system."""

import logging
from collections.abc import Callable
from concurrent.futures import Executor, Future
from datetime import datetime, timedelta
from typing import Final

from tuner.artifacts.store import ArtifactStore, ArtifactsUnavailable
from tuner.disk import DiskUse, measure, trim_cache
from tuner.settings import Settings

log = logging.getLogger(__name__)

#: From one measurement's end to the next one's begin, and how many times its own length at least.
EVERY: Final = timedelta(seconds=10)
PATIENCE: Final = 50


class DiskWatch:
    """Keeps the cache within its limit, and tells what all takes. One thread calls it."""

    def __init__(
        self,
        settings: Settings,
        store: ArtifactStore,
        clock: Callable[[], datetime],
        pool: Executor,
    ) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._next = clock()
        self._pool = pool
        self._under_way: Future[tuple[DiskUse, timedelta]] | None = None

    def look(self, in_use_since: datetime | None) -> DiskUse | None:
        """A measurement that has ended since the last call; begins the next one when it is time.

        Cached files that were touched at `in_use_since` or later stay.
        """
        if self._under_way is None:
            if self._clock() >= self._next:
                self._under_way = self._pool.submit(self._measure, in_use_since)
            return None
        if not self._under_way.done():
            return None
        measurement, self._under_way = self._under_way, None
        self._next = self._clock() + EVERY
        try:
            found, took = measurement.result()
        except (ArtifactsUnavailable, OSError) as error:
            log.warning("files were not measured", extra={"error": str(error)})
            return None
        self._next = max(self._next, self._clock() + PATIENCE * took)
        return found

    def again(self) -> None:
        """Measure as soon as may be: something was removed."""
        self._next = self._clock()

    def _measure(self, in_use_since: datetime | None) -> tuple[DiskUse, timedelta]:
        began = self._clock()
        found = measure(self._settings, self._store)
        if found.cache > found.cache_limit:
            trim_cache(self._settings.cache, found.cache_limit, in_use_since=in_use_since)
            found = measure(self._settings, self._store)
        return found, self._clock() - began
