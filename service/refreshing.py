"""Looking, again and again, for a new snapshot and for changed files of the operator. Opens and decides nothing."""

from __future__ import annotations

import threading

import structlog

from index.live import LiveSnapshot
from index.manifest import Manifest
from ingest.errors import AppError
from service.metrics import Metrics, SnapshotFacts
from service.operator_files import OperatorFiles
from service.problems import frames_of


class Refresher:
    """
    Looks for a newly published snapshot, and for changed files of the operator, every `interval_s` seconds.

    In a thread of its own.
    """

    def __init__(
        self,
        live: LiveSnapshot,
        interval_s: float,
        files: OperatorFiles | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._live = live
        self._interval_s = interval_s
        self._files = files
        self._metrics = metrics
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="refresh", daemon=True)

    def start(self) -> None:
        """Begin looking."""
        self._thread.start()

    def stop(self) -> None:
        """End; returns once the thread has ended, or after five seconds if a snapshot is just being opened."""
        self._stopping.set()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            self.look()

    def look(self) -> None:
        """Take a new snapshot and changed files if there are any, and log what happened."""
        self._look_for_files()
        self._look_for_snapshot()
        if self._metrics:
            self._metrics.look(self._facts())

    def _look_for_files(self) -> None:
        log = structlog.get_logger("citewell.refresh")
        try:
            changed = self._files.look(self._manifest()) if self._files else {}
        except Exception as error:  # noqa: BLE001  as below
            log.error("files_failed", error=type(error).__name__, frames=frames_of(error))
            return
        for name, is_used in changed.items():
            if is_used:
                log.info("file_read", file=name)
            else:
                log.error("file_refused", file=name, fix="see /v1/health; what was read before stays in use")
                self._count_failure(name)

    def _manifest(self) -> Manifest | None:
        try:
            with self._live.use() as snapshot:
                return snapshot.manifest
        except AppError:
            return None

    def _facts(self) -> SnapshotFacts | None:
        if (manifest := self._manifest()) is None:
            return None
        counts = manifest.counts
        return SnapshotFacts(
            manifest.snapshot_id, manifest.created_at, manifest.model.name, counts.documents, counts.passages
        )

    def _count_failure(self, what: str) -> None:
        if self._metrics:
            self._metrics.reload_failed(what)

    def _look_for_snapshot(self) -> None:
        log = structlog.get_logger("citewell.refresh")
        before = self._live.last_error
        try:
            if self._live.refresh():
                log.info("snapshot_opened", snapshot=self._live.snapshot_id)
        except Exception as error:  # noqa: BLE001  the thread must outlive whatever goes wrong once
            log.error("snapshot_failed", error=type(error).__name__, frames=frames_of(error))
            self._count_failure("snapshot")
            return
        failure = self._live.last_error
        # The same failure is met again at every look; it is said once.
        if failure is not None and str(failure) != str(before):
            self._count_failure("snapshot")
            log.error("snapshot_refused", code=failure.code, what=failure.what, where=failure.where, fix=failure.fix)
