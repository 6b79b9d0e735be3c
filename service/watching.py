"""
Building again whenever a folder of documents changed. The only module that imports watchfiles; knows no index.

What the operating system reports only wakes this up: whether there is something to build is decided by looking at the
folder. So lost reports, files that no reader takes and editors' temporary files do no harm.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from threading import Event

from ingest.errors import AppError
from ingest.library import CorpusState

# An editor saves in several steps, and a folder is copied file by file: a build waits until nothing moved for so long.
SETTLE_S = 1.0
# A file that never comes to rest must not hold up all others for ever.
MOST_WAIT_S = 60.0
# Some file systems, over the network above all, report nothing: the folder is looked at anyway.
LOOK_S = 30.0
# Another process builds this index.
RETRY_S = 5.0
_STEP_MS = 100


class Outcome(Enum):
    """How one attempt to build ended."""

    DONE = "done"  # published, or failed with an error that was told; tried again after the next change
    BUSY = "busy"  # another builder has the lock; tried again soon
    STOPPED = "stopped"  # asked to end


class BuildStopped(Exception):
    """Ends a build that is under way, in order; never reaches a user."""


def keep_built(
    look: Callable[[], CorpusState],
    build: Callable[[], Outcome],
    wait_for_change: Callable[[], object],
    stop: Event,
    say: Callable[[str], None],
    *,
    settle_s: float = SETTLE_S,
    most_wait_s: float = MOST_WAIT_S,
    retry_s: float = RETRY_S,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """
    Build at once, and again after every change, until `stop` is set. One build at a time.

    Args:
        look: the folder as it is.
        build: one attempt; tells its own errors.
        wait_for_change: returns when something may have changed, or after a while, or when `stop` is set.
        say: hears sentences for the person who watches.
    """
    built: CorpusState | None = None
    said = ""
    while not stop.is_set():
        try:
            state = look()
        except AppError as error:
            if str(error) != said:
                say(str(error))
            said, built = str(error), None
            stop.wait(retry_s)
            continue
        said = ""
        if state == built:
            wait_for_change()
            continue
        state = _settled(look, state, stop, settle_s, clock() + most_wait_s, clock)
        if stop.is_set():
            return
        outcome = build()
        if outcome is Outcome.STOPPED:
            return
        if outcome is Outcome.BUSY:
            stop.wait(retry_s)
        else:
            # What changed while it was built differs from this, and is built next.
            built = state


def _settled(
    look: Callable[[], CorpusState],
    state: CorpusState,
    stop: Event,
    settle_s: float,
    deadline: float,
    clock: Callable[[], float],
) -> CorpusState:
    """Return the folder once two looks agree: a file that is still being copied grows."""
    while not stop.wait(settle_s):
        try:
            later = look()
        except AppError:
            return state  # the build says what is wrong
        if later == state or clock() > deadline:
            return later
        state = later
    return state


def changes_in(folder: Path, ignored: Path, stop: Event, look_s: float = LOOK_S) -> Callable[[], object]:
    """
    Return a function that waits until something below a folder changed, `look_s` passed, or `stop` is set.

    Args:
        ignored: a folder whose changes do not count, as they are our own.
    """
    from watchfiles import watch

    own = str(ignored.resolve())

    def is_foreign(_change: object, path: str) -> bool:
        return path != own and not path.startswith(f"{own}/")

    def reports() -> Iterator[object]:
        # No signal handling of its own: whoever sets `stop` has that.
        yield from watch(
            folder,
            watch_filter=is_foreign,
            step=_STEP_MS,
            stop_event=stop,
            rust_timeout=int(look_s * 1_000),
            yield_on_timeout=True,
            raise_interrupt=False,
        )

    # Made once, so that nothing is missed between two calls.
    watched = reports()

    def wait() -> None:
        nonlocal watched
        try:
            next(watched)
        except (OSError, RuntimeError, StopIteration):
            # The folder is gone for now, or the system has no more watches: looking now and then has to do.
            stop.wait(min(look_s, RETRY_S))
            watched = reports()

    return wait
