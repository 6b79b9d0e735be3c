"""A stopwatch for the phases of an answer. Keeps names and seconds; knows nobody who wants them."""

from __future__ import annotations

import time
from collections.abc import Callable


class Phases:
    """
    Measures phases that follow one another.

    `seconds` has the duration of each finished phase by name, in order; `clock` gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._since = clock()
        self.seconds: dict[str, float] = {}

    def done(self, name: str) -> None:
        """End the phase that runs, under this name; the next one begins."""
        now = self._clock()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now
