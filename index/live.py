"""
The snapshot that a service answers from, swapped while it runs. No thread, no timer: the service calls `refresh`.

A request holds one snapshot from start to end; a new one is opened and warmed beside the old, then takes its place;
the old one is closed when its last request is done. Whatever goes wrong with the new one, the old one stays, and
`last_error` says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

from index.engine import Engine
from index.errors import EngineFault, ModelMismatch, NoSnapshot
from index.snapshot import Snapshot, open_snapshot
from index.store import IndexDir
from ingest.errors import AppError


@dataclass(slots=True)
class _Held:
    snapshot: Snapshot
    n_users: int = 0
    is_retired: bool = False


class LiveSnapshot:
    """
    Holds the current snapshot and counts who uses it. Safe to use from many threads.

    Nothing is opened until the first `refresh`; having no snapshot is a state, not an error.

    Args:
        fingerprint: of the service's model; a snapshot of another model is refused. None takes any.
        warm: called with a new snapshot before it is shown.
        check_sha256: as for `open_snapshot`.
        retry_after_s: how long a snapshot that could not be opened is left alone, as hashing it takes a while.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        index_dir: IndexDir,
        fingerprint: str | None = None,
        warm: Callable[[Snapshot], None] | None = None,
        check_sha256: bool = True,
        retry_after_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._index_dir = index_dir
        self._fingerprint = fingerprint
        self._warm = warm
        self._check_sha256 = check_sha256
        self._retry_after_s = retry_after_s
        self._clock = clock
        self._lock = Lock()  # of what follows; held for moments only
        self._held: _Held | None = None
        self._last_error: AppError | None = None
        self._is_closed = False
        self._refreshing = Lock()  # held while a snapshot is opened
        self._failed: tuple[str, float] | None = None  # id and time of what could not be opened

    @property
    def last_error(self) -> AppError | None:
        """Return why the newest snapshot is not the one in use; None when all is well."""
        return self._last_error

    @property
    def engine(self) -> Engine:
        """Return the engine that keeps the passages."""
        return self._index_dir.engine

    @property
    def snapshot_id(self) -> str | None:
        """Return the id of the snapshot in use, None when there is none."""
        held = self._held
        return None if held is None else held.snapshot.id

    @contextmanager
    def use(self) -> Iterator[Snapshot]:
        """
        Hold the snapshot in use for the length of a request.

        Raises:
            NoSnapshot: there is none, or what kept the only one from being opened.
        """
        with self._lock:
            held = self._held
            if held is None:
                raise self._no_snapshot()
            held.n_users += 1
        try:
            yield held.snapshot
        finally:
            with self._lock:
                held.n_users -= 1
                is_last = held.is_retired and held.n_users == 0
            if is_last:
                held.snapshot.close()

    def refresh(self) -> bool:
        """
        Open what CURRENT names, if that is another snapshot than the one in use.

        Returns:
            True when the snapshot in use is a new one now. False also while another thread is at it. Errors are in
            `last_error`.
        """
        if not self._refreshing.acquire(blocking=False):
            return False
        try:
            self._index_dir.engine.ping()
            return self._refresh()
        except AppError as error:
            self._last_error = error
            return False
        finally:
            self._refreshing.release()

    def close(self) -> None:
        """Give up the snapshot; it is closed when its last user is done, and none is opened again."""
        self._is_closed = True
        self._replace(None)
        self._index_dir.engine.close()

    def _refresh(self) -> bool:
        current = self._index_dir.current_id()
        if current is not None and current == self.snapshot_id:
            self._failed = self._last_error = None
            return False
        if self._is_closed or (self._failed and self._failed[0] == current and not self._is_time_to_retry()):
            return False
        try:
            # By name no more than by CURRENT: it may move on while this one is opened.
            snapshot = open_snapshot(self._index_dir, check_sha256=self._check_sha256)
            self._prepare(snapshot)
        except AppError as error:
            # An engine out of reach says nothing of the snapshot, and asking it again takes a moment.
            self._failed = None if current is None or isinstance(error, EngineFault) else (current, self._clock())
            raise
        self._failed = self._last_error = None
        self._replace(_Held(snapshot))
        return True

    def _prepare(self, snapshot: Snapshot) -> None:
        try:
            model = snapshot.manifest.model
            if self._fingerprint not in (None, model.fingerprint):
                raise ModelMismatch(
                    f"the index was built with model {model.name} ({model.fingerprint[:12]}), the service has "
                    f"{str(self._fingerprint)[:12]}",
                    where=str(snapshot.path),
                    fix="build again with this model (citewell build), or set the model back",
                )
            if self._warm is not None:
                self._warm(snapshot)
        except BaseException:
            snapshot.close()
            raise

    def _is_time_to_retry(self) -> bool:
        return self._failed is None or self._clock() - self._failed[1] >= self._retry_after_s

    def _no_snapshot(self) -> AppError:
        if (error := self._last_error) is not None:
            # A copy: an error raised again and again gathers the traceback of every raise.
            return type(error)(error.what, where=error.where, fix=error.fix)
        return NoSnapshot("no snapshot is open", where=str(self._index_dir.path), fix="build one: citewell build")

    def _replace(self, new: _Held | None) -> None:
        with self._lock:
            if new is not None and self._is_closed:
                # Closed while this one was being opened.
                old: _Held | None = new
            else:
                old, self._held = self._held, new
            if old is not None:
                old.is_retired = True
            is_unused = old is not None and old.n_users == 0
        if old is not None and is_unused:
            old.snapshot.close()
