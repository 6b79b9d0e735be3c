"""
The promise of the gap report, held against generated streams of questions.

The promise: the report is a function of each count's multiples of the step and of nothing else. So (1) every number in
it is 0 or at least the step; (2) two streams that differ in one question have the same report, unless that question
completes a multiple of the step, and then one number differs by one step; (3) the order of questions does not matter.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.clusters import Cluster, CorpusClusters
from service.gaps import GapCounts

N = 4
CLUSTERS = tuple(Cluster(i + 1, ((f"{i}.md", f"Title {i}"),), ()) for i in range(N))
OFF_TOPIC = N
HOUR_S = 3_600.0


class PlainEncoder:
    """Gives the text "2" the vector of cluster 2."""

    fingerprint, dimension = "plain", N

    def encode_queries(self, texts: Any) -> Any:
        """Return the rows of the unit matrix that the texts number."""
        return np.eye(N, dtype=np.float32)[[int(text) for text in texts]]


def snapshot_of(name: str) -> Any:
    return SimpleNamespace(id=name)


def counts_of(step: int = 10, **options: Any) -> GapCounts:
    def cluster(snapshot: Any) -> CorpusClusters:
        return CorpusClusters(snapshot.id, np.eye(N, dtype=np.float32), CLUSTERS)

    return GapCounts(step, cluster=cluster, **options)


def ask(counts: GapCounts, stream: list[int], snapshot: str = "a") -> None:
    for cluster in stream:
        reason = "off_topic" if cluster == OFF_TOPIC else "not_answered"
        counts.record(reason, str(min(cluster, N - 1)), snapshot_of(snapshot), PlainEncoder())


def told(counts: GapCounts, snapshot: str = "a") -> dict[int, int]:
    """Return the released number by cluster, off-topic last."""
    report = counts.report(snapshot_of(snapshot))
    numbers = {gap.cluster.n_passages - 1: gap.at_least for gap in report.gaps}
    return {**dict.fromkeys(range(N), 0), **numbers, OFF_TOPIC: report.off_topic_at_least}


streams = st.lists(st.integers(0, OFF_TOPIC), max_size=70)
steps = st.integers(10, 15)


@given(streams, steps)
def test_report_is_the_multiples_and_nothing_else(stream: list[int], step: int) -> None:
    """This ensures that what is told is each count rounded down to the step, whatever the order of the questions."""
    counts = counts_of(step)

    ask(counts, stream)

    asked = Counter(stream)
    assert told(counts) == {i: asked[i] // step * step for i in range(N + 1)}


@given(streams, st.integers(0, OFF_TOPIC), st.integers(0, 70), steps)
def test_one_question_more_shows_only_where_it_completes_a_multiple(
    stream: list[int], one: int, at: int, step: int
) -> None:
    """This ensures that whether one question was asked can't be read from the report, but at a multiple of the step."""
    without, with_it = counts_of(step), counts_of(step)

    ask(without, stream)
    ask(with_it, [*stream[:at], one, *stream[at:]])

    before, after = told(without), told(with_it)
    if (stream.count(one) + 1) % step:
        assert before == after
    else:
        assert after == {**before, one: before[one] + step}


@given(streams, st.lists(st.integers(0, 70), max_size=5), steps)
def test_reading_in_between_tells_no_more(stream: list[int], reads: list[int], step: int) -> None:
    """This ensures that between two reads each number stays or grows by whole steps, and that reading changes none."""
    counts = counts_of(step)
    previous = told(counts)

    for i, cluster in enumerate(stream):
        ask(counts, [cluster])
        if i in reads:
            now = told(counts)
            assert all((now[k] - previous[k]) % step == 0 and now[k] >= previous[k] for k in now)
            previous = now

    assert told(counts) == {i: stream.count(i) // step * step for i in range(N + 1)}


@pytest.mark.parametrize("reason", [None, "filters_match_nothing", "no_index"])
def test_nothing_but_abstentions_counts(reason: str | None) -> None:
    """This ensures that an answered question is not even looked at."""
    counts = counts_of()

    for _ in range(30):
        counts.record(reason, "not a number: would fail", snapshot_of("a"), PlainEncoder())

    assert set(told(counts).values()) == {0}


def test_another_snapshot_begins_anew() -> None:
    """This ensures that counts never move from one library's clusters to another's, also on the way back."""
    counts = counts_of()
    ask(counts, [1] * 25 + [OFF_TOPIC] * 25)

    there = told(counts, "b")
    back = told(counts, "a")

    assert set(there.values()) == set(back.values()) == {0}


def test_counts_end_with_their_period_whatever_is_asked() -> None:
    """This ensures that periods run from the start of the process, so that a reset tells of no question."""
    now = 0.0
    counts = counts_of(reset_after_h=24.0, clock=lambda: now)
    now = 20 * HOUR_S
    ask(counts, [1] * 10)

    shown = [told(counts)[1]]
    now = 23.9 * HOUR_S
    shown.append(told(counts)[1])
    now = 24 * HOUR_S
    shown.append(told(counts)[1])

    assert shown == [10, 10, 0]


def test_step_under_ten_is_refused() -> None:
    """This ensures that no setting can make the report tell of nine."""
    with pytest.raises(ValueError, match="at least 10"):
        GapCounts(9)


def test_nothing_of_a_question_is_kept() -> None:
    """This ensures that what counts is held by numbers alone: no text and no vector but the library's own."""
    counts = counts_of()
    ask(counts, [3] * 12)

    held = {name: value for name, value in vars(counts).items() if name not in ("_lock", "_clock", "_cluster")}

    assert held.pop("_clusters").snapshot_id == "a"
    assert len(held.pop("_process")) == 8
    assert held == {
        "step": 10,
        "_reset_after_s": 168 * HOUR_S,
        "_started": counts._started,
        "_period": 0,
        "_counts": [0, 0, 0, 12],
        "_off_topic": 0,
    }


def test_failing_to_count_fails_no_answer(capfd: pytest.CaptureFixture[str]) -> None:
    """This ensures that a fault while counting is logged by its type alone and goes no further."""
    from service.logs import configure_logging

    configure_logging()
    counts = counts_of()

    counts.record("not_answered", "canary7f3a", snapshot_of("a"), PlainEncoder())

    log = capfd.readouterr().err
    assert "gap_not_counted" in log
    assert "ValueError" in log
    assert "canary" not in log


def test_report_is_of_the_library_alone(tmp_path: Path) -> None:
    """This ensures that with equal multiples two different streams give equal reports, field by field."""
    one, other = counts_of(), counts_of()
    ask(one, [0] * 12 + [2] * 9)
    ask(other, [2, 3] * 3 + [0] * 19)

    first, second = (asdict(c.report(snapshot_of("a"))) for c in (one, other))

    assert first.pop("process") != second.pop("process")
    assert first == second
