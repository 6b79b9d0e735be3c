"""Measures against values computed by hand."""

from __future__ import annotations

import math

import pytest

from service import measures


def test_hit_looks_at_the_first_k_only() -> None:
    """This ensures that hit@k ignores what stands below rank k."""
    relevance = [False, False, True]

    found = [measures.hit(relevance, k) for k in (1, 2, 3, 10)]

    assert found == [0.0, 0.0, 1.0, 1.0]


def test_reciprocal_rank_is_of_the_first_relevant() -> None:
    """This ensures that later relevant passages and those below the depth do not count."""
    assert measures.reciprocal_rank([False, False, True, True]) == pytest.approx(1 / 3)
    assert measures.reciprocal_rank([False] * 10 + [True]) == 0.0
    assert measures.reciprocal_rank([]) == 0.0


def test_ndcg_by_hand() -> None:
    """This ensures that nDCG@10 has gain 1 and discount log2(rank + 1)."""
    gained = 1 / math.log2(2) + 1 / math.log2(5)
    best = 1 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)

    value = measures.ndcg([True, False, False, True], n_relevant=3)

    assert value == pytest.approx(gained / best)


def test_ndcg_ideal_is_cut_at_the_depth() -> None:
    """This ensures that a full page of relevant passages scores 1 however many more exist."""
    assert measures.ndcg([True] * 10, n_relevant=40) == pytest.approx(1.0)


def test_ndcg_without_relevant_is_zero() -> None:
    """This ensures that a question whose label no passage covers counts as a miss."""
    assert measures.ndcg([False, False], n_relevant=0) == 0.0


def test_ndcg_refuses_more_than_exist() -> None:
    """This ensures that a wrong count of relevant passages can't give a value above 1."""
    with pytest.raises(ValueError, match="2 relevant were returned, 1 exist"):
        measures.ndcg([True, True], n_relevant=1)


@pytest.mark.parametrize("measure", [measures.hit, measures.reciprocal_rank])
def test_a_depth_below_one_is_refused(measure: object) -> None:
    """This ensures that a depth of 0 is an error, not a score of 0."""
    with pytest.raises(ValueError, match="below 1"):
        measure([True], 0)  # type: ignore[operator]


def test_gold_share_counts_documents_once() -> None:
    """This ensures that three passages of one gold document count as one document found."""
    share = measures.gold_share(["a", "b"], ["a", "a", "x", "a", "y", "b"], k=5)

    assert share == 0.5


def test_auroc_by_hand_with_ties() -> None:
    """This ensures that a tie counts half: pairs won are 2 + 0.5 + 1 of 6."""
    value = measures.auroc([0.9, 0.5], [0.5, 0.1, 0.9])

    # 0.9 beats 0.5 and 0.1 and ties 0.9; 0.5 beats 0.1 and ties 0.5.
    assert value == pytest.approx((2 + 0.5 + 1 + 0.5) / 6)


def test_auroc_takes_both_sides() -> None:
    """This ensures that an empty side is an error, and None as an estimate."""
    with pytest.raises(ValueError, match="each side"):
        measures.auroc([0.5], [])
    assert measures.auroc_estimate([0.5], []) is None


def test_risk_coverage_answers_equal_confidences_together() -> None:
    """This ensures that the order of tied questions can't change the curve."""
    confidences = [0.9, 0.5, 0.5, 0.1]

    one = measures.risk_coverage(confidences, [True, True, False, False])
    other = measures.risk_coverage(confidences, [True, False, True, False])

    assert one == other
    assert one == [
        measures.RiskPoint(0.9, 0.25, 0.0),
        measures.RiskPoint(0.5, 0.75, 1 / 3),
        measures.RiskPoint(0.1, 1.0, 0.5),
    ]


def test_thin_curve_keeps_the_first_point_of_each_step() -> None:
    """This ensures that a curve of 100 points becomes ten, the last of which answers everything."""
    curve = measures.risk_coverage([i / 100 for i in range(100)], [True] * 100)

    thin = measures.thin_curve(curve)

    assert [round(point.coverage, 2) for point in thin] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


def test_the_interval_is_that_of_the_binomial() -> None:
    """This ensures that the bootstrap of 80 hits in 100 spans about two standard errors (0.04) each way."""
    estimate = measures.mean_estimate([1.0] * 80 + [0.0] * 20)

    assert estimate is not None
    assert estimate.value == pytest.approx(0.8)
    assert estimate.n == 100
    assert estimate.low == pytest.approx(0.8 - 1.96 * 0.04, abs=0.012)
    assert estimate.high == pytest.approx(0.8 + 1.96 * 0.04, abs=0.012)


def test_intervals_repeat() -> None:
    """This ensures that two runs over the same values print the same interval."""
    values = [0.0, 0.3, 0.5, 1.0] * 9

    assert measures.mean_estimate(values) == measures.mean_estimate(values)
    assert measures.auroc_estimate(values, [0.2, 0.4]) == measures.auroc_estimate(values, [0.2, 0.4])


def test_blocks_do_not_change_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that drawing resamples in blocks gives what drawing them at once gives."""
    values = [0.0, 0.3, 1.0, 1.0, 0.5]
    at_once = measures.mean_estimate(values)
    monkeypatch.setattr(measures, "_BLOCK", 33)

    in_blocks = measures.mean_estimate(values)

    assert in_blocks == at_once


def test_no_values_give_no_estimate() -> None:
    """This ensures that a kind without questions is null, not 0."""
    assert measures.mean_estimate([]) is None
    assert measures.percentile([], 0.5) is None


def test_percentiles_are_values_that_occurred() -> None:
    """This ensures that p50 and p95 follow the nearest-rank definition."""
    values = [float(i) for i in range(20, 0, -1)]

    assert measures.percentile(values, 0.5) == 10.0
    assert measures.percentile(values, 0.95) == 19.0
    assert measures.percentile(values, 1.0) == 20.0


@pytest.mark.parametrize(
    ("passage", "label", "expected"),
    [
        ((0, 100), (40, 60), True),  # a short quote inside
        ((0, 100), (90, 110), True),  # exactly half of the quote
        ((0, 100), (91, 111), False),  # less than half of the quote, less than half of the passage
        ((0, 100), (50, 900), True),  # half of the passage in a long section
        ((0, 100), (51, 900), False),
        ((0, 100), (100, 120), False),  # touching is not sharing
    ],
)
def test_relevance_by_halves(passage: tuple[int, int], label: tuple[int, int], expected: bool) -> None:
    """This ensures that half of either one is enough and less is not."""
    assert measures.covers_half(passage, label) is expected


def test_merged_joins_overlapping_and_touching_spans() -> None:
    """This ensures that no character is counted twice and empty spans vanish."""
    assert measures.merged([(5, 9), (0, 3), (3, 4), (6, 7), (12, 12)]) == [(0, 4), (5, 9)]


def test_evidence_agrees_by_halves_within_the_passage() -> None:
    """This ensures that only the label's part of the passage has to be marked."""
    passage = (100, 200)

    assert measures.agrees([(100, 150)], [(120, 160)], passage)
    assert measures.agrees([(100, 120)], [(0, 130)], passage)
    assert not measures.agrees([(160, 200)], [(120, 160)], passage)
    assert not measures.agrees([(100, 128)], [(120, 160)], passage)
    assert not measures.agrees([], [(120, 160)], passage)


def test_marked_share_counts_characters_once() -> None:
    """This ensures that overlapping evidence spans do not pass 1."""
    assert measures.marked_share([(0, 60), (40, 80)], (0, 100)) == pytest.approx(0.8)
