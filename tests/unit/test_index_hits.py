"""Ranked hits as arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.fuse import ranking
from index.hits import RankedHits, best_lexical, best_similarity

# Few values, so that there are ties.
SCORES = st.sampled_from([0.0, 0.25, 0.5, 1.0])
ROWS = st.lists(st.tuples(SCORES, SCORES, SCORES, st.one_of(st.none(), SCORES)), min_size=1, max_size=30)


def make(rows: list[tuple[float, float, float, float | None]]) -> RankedHits:
    """Return hits with every other ordinal, of fused score, similarities with text and sentence, and BM25."""
    scores = np.array([row[0] for row in rows])
    ordinals = np.arange(len(rows)) * 2
    text, sentence = (np.array([row[i] for row in rows], np.float32) for i in (1, 2))
    lexical = np.array([np.nan if row[3] is None else row[3] for row in rows])
    order = ranking(scores, ordinals)
    return RankedHits(ordinals, order, scores, text, text, sentence, np.zeros(len(rows), np.int64), lexical)


@given(ROWS)
def test_the_best_are_those_of_the_hits_one_by_one(rows: list[tuple[float, float, float, float | None]]) -> None:
    """This ensures that what is told from the arrays is what a look at every hit tells."""
    hits = make(rows)
    one_by_one = tuple(hits)

    assert best_similarity(hits) == best_similarity(one_by_one)
    assert best_lexical(hits) == best_lexical(one_by_one)


@given(ROWS)
def test_hits_come_by_rank_with_their_own_figures(rows: list[tuple[float, float, float, float | None]]) -> None:
    """This ensures that an array's row never becomes another passage's evidence."""
    hits = tuple(make(rows))

    assert [hit.rank for hit in hits] == list(range(1, len(rows) + 1))
    assert [(hit.score, hit.ordinal) for hit in hits] == sorted(
        ((row[0], 2 * i) for i, row in enumerate(rows)), key=lambda one: (-one[0], one[1])
    )
    for hit in hits:
        row = rows[hit.ordinal // 2]
        assert (hit.score, hit.text_similarity, hit.sentence_similarity, hit.lexical_score) == row


def test_hits_are_a_sequence() -> None:
    """This ensures that places, slices and ends work as those of a tuple do."""
    hits = make([(0.5, 0.1, 0.2, None), (1.0, 0.1, 0.2, 3.0)])

    assert (len(hits), bool(hits)) == (2, True)
    assert hits[:1] == (hits[0],)
    assert hits[-1].ordinal == 0
    assert hits[5:] == ()
    with pytest.raises(IndexError):
        hits[2]
    assert hits == tuple(hits)
    assert hits != tuple(hits)[::-1]
