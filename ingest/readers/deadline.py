"""The clock of one reader on one file. Nothing but the time cap."""

from __future__ import annotations

import time
from collections.abc import Callable

from ingest.errors import SourceTooLarge


class Deadline:
    """
    Ends a reader that takes longer than its cap.

    Args:
        max_seconds: the cap, counted from here.
        where: names the file in the error.
        clock: seconds that only rise; tests hand in their own.
    """

    def __init__(self, max_seconds: float, where: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_seconds = max_seconds
        self._where = where
        self._clock = clock
        self._start = clock()

    def check(self) -> None:
        """
        Return while there is time left.

        Raises:
            SourceTooLarge: the time is over.
        """
        spent = self._clock() - self._start
        if spent > self._max_seconds:
            raise SourceTooLarge(
                f"reading took over {spent:.1f} seconds, the cap is {self._max_seconds:g}",
                where=self._where,
                fix="split the file into smaller ones, or raise the time cap",
            )
