"""
Figures for an operator's monitoring, in the Prometheus text format. The only module that imports prometheus_client.

No question, no part of one and no address of a client is in a name, a label or a value. Labels have few values: names
of phases, templates of routes, codes of errors, ids of the operator's notices. Each `Metrics` has its own figures. With
several worker processes they count together in files of one temporary folder. The library decides on being imported
whether there is such a folder, so it is imported when the first `Metrics` is made and not before.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

# Seconds. A question takes 5 to 50 ms, a phase of it a tenth of that.
_PHASE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    """What is said about the snapshot in use; `built_at` is UTC, ISO 8601."""

    id: str
    built_at: str
    model: str
    documents: int
    passages: int


class Metrics:
    """
    Counts and measures.

    Args:
        folder: where worker processes put their figures together; None keeps them in this process. It must be the one
            that `settings.set_metrics_folder` was told before the first `Metrics` was made.
    """

    def __init__(self, folder: str | None = None) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._folder = folder
        self._registry = CollectorRegistry()
        # In a folder of several processes, what this one counted is read from there with everybody else's.
        registry = self._registry if folder is None else None
        self._phases = Histogram(
            "citewell_phase_seconds", "Duration of one phase of answering.", ["phase"],
            buckets=_PHASE_BUCKETS, registry=registry,
        )  # fmt: skip
        self._requests = Histogram(
            "citewell_request_seconds", "Duration of a request.", ["route", "status"],
            buckets=_REQUEST_BUCKETS, registry=registry,
        )  # fmt: skip
        self._answers = Counter(
            "citewell_answers", "Questions by outcome; reason tells why one was not answered.", ["outcome", "reason"],
            registry=registry,
        )  # fmt: skip
        self._notices = Counter("citewell_notices", "Crisis notices shown.", ["notice"], registry=registry)
        self._errors = Counter("citewell_errors", "Errors sent, by code.", ["status", "code"], registry=registry)
        self._reload_failures = Counter(
            "citewell_reload_failures", "New snapshots and files that could not be used.", ["what"], registry=registry
        )
        self._in_flight = Gauge(
            "citewell_requests_in_flight", "Requests under way.", multiprocess_mode="livesum", registry=registry
        )
        self._memory = Gauge(
            "citewell_resident_bytes", "Memory of the serving processes together.", multiprocess_mode="livesum",
            registry=registry,
        )  # fmt: skip
        self._built = Gauge(
            "citewell_snapshot_built_timestamp_seconds",
            "When the oldest snapshot in use was built; 0 while a process has none.",
            multiprocess_mode="livemin",
            registry=registry,
        )
        self._of_this_process = _SnapshotCollector()

    def answered(self, outcome: str, reason: str, notices: Iterable[str], seconds: Mapping[str, float]) -> None:
        """Count an answer or an abstention, the ids of its notices, and the duration of its phases."""
        self._answers.labels(outcome, reason).inc()
        self.noticed(notices)
        self.timed(seconds)

    def timed(self, seconds: Mapping[str, float]) -> None:
        """Add durations of phases, in seconds by name."""
        for phase, duration in seconds.items():
            self._phases.labels(phase).observe(duration)

    def noticed(self, notices: Iterable[str]) -> None:
        """Count notices that were shown, by their ids in the operator's file."""
        for notice in notices:
            self._notices.labels(notice).inc()

    def failed(self, status: int, code: str) -> None:
        """Count an error that was sent; `rate_limited` and `too_busy` are codes among the others."""
        self._errors.labels(str(status), code).inc()

    def reload_failed(self, what: str) -> None:
        """Count a snapshot or an operator's file that could not be taken over."""
        self._reload_failures.labels(what).inc()

    def request_started(self) -> None:
        """Count a request as under way."""
        self._in_flight.inc()

    def request_ended(self, route: str, status: int, seconds: float) -> None:
        """Count a request as done; `route` is its template."""
        self._in_flight.dec()
        self._requests.labels(route, str(status)).observe(seconds)

    def look(self, snapshot: SnapshotFacts | None) -> None:
        """Take the state of this process: its memory, and the snapshot that it answers from."""
        self._memory.set(resident_bytes())
        self._of_this_process.snapshot = snapshot
        if snapshot is not None:
            self._built.set(_timestamp(snapshot.built_at))

    def text(self) -> bytes:
        """Return all figures in the Prometheus text format; of the snapshot, what this process has open."""
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = self._registry
        if self._folder is not None:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=self._folder)  # type: ignore[no-untyped-call]  # the library's own
        of_this_process = CollectorRegistry()
        of_this_process.register(self._of_this_process)
        return generate_latest(registry) + generate_latest(of_this_process)

    @property
    def content_type(self) -> str:
        """Return the Content-Type of `text`."""
        from prometheus_client import CONTENT_TYPE_LATEST

        return str(CONTENT_TYPE_LATEST)


class _SnapshotCollector:
    """The snapshot in use, computed when it is asked for: an age that is stored is wrong."""

    def __init__(self) -> None:
        self.snapshot: SnapshotFacts | None = None

    def collect(self) -> Iterable[Metric]:
        from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

        if (snapshot := self.snapshot) is None:
            return
        info = InfoMetricFamily("citewell_snapshot", "The snapshot that this process answers from.")
        info.add_metric([], {"id": snapshot.id, "model": snapshot.model})
        yield info
        age = datetime.now(UTC).timestamp() - _timestamp(snapshot.built_at)
        for name, text, value in (
            ("citewell_snapshot_age_seconds", "Time since it was built.", age),
            ("citewell_snapshot_documents", "Documents in it.", snapshot.documents),
            ("citewell_snapshot_passages", "Passages in it.", snapshot.passages),
        ):
            yield GaugeMetricFamily(name, text, value=value)


def _timestamp(built_at: str) -> float:
    try:
        return datetime.fromisoformat(built_at).timestamp()
    except ValueError:
        return 0.0


def forget_process(folder: str | None, process_id: int) -> None:
    """Drop what only held while a worker lived, its memory for one; what it counted stays counted."""
    if folder is not None:
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(process_id, path=folder)  # type: ignore[no-untyped-call]  # the library's own


def resident_bytes() -> int:
    """Return the resident memory of this process in bytes; 0 where the system does not say (only Linux does)."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
