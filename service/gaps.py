"""
What the library lacks, told without keeping a question: abstentions counted by cluster of the library. No route here.

The counts live in one process's memory. What leaves it is `GapCounts.report`: whole multiples of `step`, so that
nothing is said about fewer than `step` abstentions, and a question more or less changes the report only where it
completes a multiple. ARCHITECTURE.md ("Privacy") states the promise and its limits.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

import structlog

from index.clusters import Cluster, CorpusClusters, cluster_corpus
from index.model import QueryEncoder
from index.snapshot import Snapshot
from service.problems import frames_of

FEWEST = 10
_HOUR_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of the library near which at least `at_least` questions found no answer; a multiple of the step."""

    at_least: int
    cluster: Cluster


@dataclass(frozen=True, slots=True)
class GapReport:
    """
    What may be told. `gaps` are those with most abstentions first; `off_topic_at_least` lies outside of all clusters.

    `process` tells serving processes apart: each counts for itself.
    """

    snapshot_id: str
    process: str
    step: int
    off_topic_at_least: int
    gaps: tuple[Gap, ...]


class GapCounts:
    """
    Abstentions of one process since its start, its last switch to another snapshot, or the last reset.

    Safe to use from many threads. Holds numbers and nothing else of a question; nothing is written anywhere.

    Args:
        step: counts are released in multiples of it, >= 10.
        reset_after_h: hours after which all counts begin again from 0, whether anything was asked or not.
        clock: monotonic seconds.
        cluster: makes the clusters of a snapshot.

    Raises:
        ValueError: a step under 10.
    """

    def __init__(
        self,
        step: int = FEWEST,
        reset_after_h: float = 168.0,
        clock: Callable[[], float] = time.monotonic,
        cluster: Callable[[Snapshot], CorpusClusters] = cluster_corpus,
    ) -> None:
        if step < FEWEST:
            raise ValueError(f"step is {step}, at least {FEWEST} are needed to hide one among them")
        self.step = step
        self._reset_after_s = reset_after_h * _HOUR_S
        self._clock = clock
        self._cluster = cluster
        self._process = secrets.token_hex(4)
        self._lock = Lock()
        self._started = clock()
        self._period = 0
        self._clusters: CorpusClusters | None = None
        self._counts: list[int] = []
        self._off_topic = 0

    def record(self, reason: str | None, text: str, snapshot: Snapshot, encoder: QueryEncoder) -> None:
        """
        Count one reply; only abstentions count, and what is kept of them is one number more.

        Never raises: an answer must not fail for its being counted.

        Args:
            reason: of the answer; None for one that answers.
            text: the question. Its vector is made, compared with the centres, and dropped.
        """
        try:
            if reason == "off_topic":
                with self._lock:
                    self._begin_if_due(snapshot)
                    self._off_topic += 1
            elif reason == "not_answered":
                vector = encoder.encode_queries([text])[0]
                with self._lock:
                    clusters = self._begin_if_due(snapshot)
                    self._counts[clusters.nearest(vector)] += 1
        except Exception as error:  # noqa: BLE001  whatever it is; its text could hold the question and is not logged
            log = structlog.get_logger("citewell.gaps")
            log.error("gap_not_counted", error=type(error).__name__, frames=frames_of(error))

    def report(self, snapshot: Snapshot) -> GapReport:
        """Return what may be told, from the counts' multiples of `step` alone."""
        with self._lock:
            clusters = self._begin_if_due(snapshot)
            released = [self._released(count) for count in self._counts]
            off_topic = self._released(self._off_topic)
        order = sorted((i for i, count in enumerate(released) if count), key=lambda i: (-released[i], i))
        return GapReport(
            snapshot_id=snapshot.id,
            process=self._process,
            step=self.step,
            off_topic_at_least=off_topic,
            gaps=tuple(Gap(released[i], clusters.clusters[i]) for i in order),
        )

    def _released(self, count: int) -> int:
        return count // self.step * self.step

    def _begin_if_due(self, snapshot: Snapshot) -> CorpusClusters:
        """
        Begin again from 0 for another snapshot or period; the lock is held.

        Periods are counted from the process's start and not from a question, so that a reset tells nothing of one.
        """
        period = int((self._clock() - self._started) / self._reset_after_s)
        clusters = self._clusters
        if clusters is None or clusters.snapshot_id != snapshot.id:
            clusters = self._clusters = self._cluster(snapshot)
        elif period == self._period:
            return clusters
        self._period = period
        self._counts = [0] * len(clusters.clusters)
        self._off_topic = 0
        return clusters
