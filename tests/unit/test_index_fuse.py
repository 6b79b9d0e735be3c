"""The arithmetic of ranking."""

from __future__ import annotations

import numpy as np
import pytest

from index.fuse import FusionConfig, dense_evidence, fuse, lexical_share, min_max, ranking


def floats(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_min_max_maps_onto_zero_to_one() -> None:
    """This ensures that the best becomes 1, the worst 0, and what lies between keeps its place."""
    assert min_max(floats(2.0, 4.0, 3.0)).tolist() == [0.0, 1.0, 0.5]


@pytest.mark.parametrize("scores", [(), (3.0,), (1.0, 1.0)])
def test_min_max_of_equal_scores_is_zero(scores: tuple[float, ...]) -> None:
    """This ensures that a ranking which tells nothing adds nothing, and divides by nothing."""
    assert min_max(floats(*scores)).tolist() == [0.0] * len(scores)


def test_dense_evidence_is_the_weighted_mean() -> None:
    """This ensures that each of the three cosines counts by its weight."""
    config = FusionConfig(passage_weight=2.0, text_weight=0.0, sentence_weight=1.0)
    one = np.array([0.9], np.float32), np.array([0.1], np.float32), np.array([0.3], np.float32)

    assert dense_evidence(*one, config)[0] == pytest.approx(0.7)


def test_lexical_share_follows_coverage() -> None:
    """This ensures that words which no passage holds take the lexical ranking out, and full coverage puts it in."""
    config = FusionConfig(max_lexical_share=0.4, coverage_low=0.2, coverage_high=0.8)

    assert [lexical_share(c, config) for c in (0.0, 0.2, 0.5, 0.8, 1.0)] == pytest.approx([0, 0, 0.2, 0.4, 0.4])


def test_fuse_weighs_both_rankings() -> None:
    """This ensures that the fused score is the share of each, both on one scale."""
    fused = fuse(floats(0.1, 0.3), floats(30.0, 10.0), share=0.25)

    assert fused.tolist() == [0.25, 0.75]


def test_ranking_breaks_ties_by_ordinal() -> None:
    """This ensures that equal scores come in the order of their passages, on every machine."""
    order = ranking(floats(0.5, 0.9, 0.5), np.array([30, 20, 10], np.int64))

    assert order.tolist() == [1, 2, 0]
