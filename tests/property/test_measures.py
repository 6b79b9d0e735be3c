"""Measures against their definitions, on arbitrary input."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service import measures
from service.questions import find_quote

# Few different values, so that ties are common.
scores = st.lists(st.integers(0, 6).map(lambda i: i / 6), min_size=1, max_size=25)
relevance = st.lists(st.booleans(), max_size=15)
spans = st.tuples(st.integers(0, 60), st.integers(1, 30)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(scores, scores)
def test_auroc_is_the_share_of_pairs_won(positives: list[float], negatives: list[float]) -> None:
    """This ensures that AUROC equals its definition by pairs, ties counting half."""
    won = sum((p > n) + 0.5 * (p == n) for p in positives for n in negatives)

    assert abs(measures.auroc(positives, negatives) - won / (len(positives) * len(negatives))) < 1e-12


@given(scores, scores)
def test_auroc_of_swapped_sides_adds_up_to_one(positives: list[float], negatives: list[float]) -> None:
    """This ensures that neither side is favoured where they tie."""
    assert abs(measures.auroc(positives, negatives) + measures.auroc(negatives, positives) - 1) < 1e-12


@given(relevance, st.integers(0, 20), st.integers(1, 12))
def test_ndcg_is_a_share_and_best_when_sorted(relevant: list[bool], n_more: int, k: int) -> None:
    """This ensures that nDCG lies in [0, 1] and moving relevant passages up never lowers it."""
    n_relevant = sum(relevant) + n_more

    value = measures.ndcg(relevant, n_relevant, k)

    assert 0.0 <= value <= 1.0 + 1e-12
    assert value <= measures.ndcg(sorted(relevant, reverse=True), n_relevant, k) + 1e-12


@given(relevance)
def test_the_ranking_measures_agree_on_their_order(relevant: list[bool]) -> None:
    """This ensures that hit@1 <= MRR@10 <= hit@10, and hit@k never falls as k grows."""
    hits = [measures.hit(relevant, k) for k in range(1, 11)]

    assert hits == sorted(hits)
    assert hits[0] <= measures.reciprocal_rank(relevant) <= hits[-1]


@given(scores, st.randoms(use_true_random=False))
def test_measures_do_not_depend_on_the_order_of_questions(values: list[float], random: object) -> None:
    """This ensures that a shuffled file of questions gives the same curve and the same value."""
    correct = [value > 0.5 for value in values]
    order = list(range(len(values)))
    random.shuffle(order)  # type: ignore[attr-defined]

    curve = measures.risk_coverage(values, correct)
    shuffled = measures.risk_coverage([values[i] for i in order], [correct[i] for i in order])

    assert shuffled == curve
    assert measures.auroc([values[i] for i in order], [0.5]) == measures.auroc(values, [0.5])


@given(scores)
def test_the_curve_ends_with_everything_answered(values: list[float]) -> None:
    """This ensures that coverage rises strictly, thresholds fall strictly and the last risk is the share of wrong."""
    correct = [value > 0.4 for value in values]

    curve = measures.risk_coverage(values, correct)

    coverages, thresholds = [p.coverage for p in curve], [p.threshold for p in curve]
    assert coverages == sorted(set(coverages))
    assert thresholds == sorted(set(thresholds), reverse=True)
    assert (curve[-1].coverage, curve[-1].risk) == (1.0, correct.count(False) / len(correct))


@given(scores)
def test_the_interval_holds_the_value(values: list[float]) -> None:
    """This ensures that low <= value <= high within the range of the values."""
    estimate = measures.mean_estimate(values)

    assert estimate is not None
    assert min(values) - 1e-9 <= estimate.low <= estimate.value + 1e-9
    assert estimate.value - 1e-9 <= estimate.high <= max(values) + 1e-9


@given(st.lists(spans, max_size=8))
def test_merged_spans_hold_the_same_characters(several: list[tuple[int, int]]) -> None:
    """This ensures that a union of spans covers what the spans cover, once."""
    union = measures.merged(several)

    characters = [i for start, end in union for i in range(start, end)]
    assert characters == sorted({i for start, end in several for i in range(start, end)})


@given(spans, spans)
def test_relevance_is_symmetric(one: tuple[int, int], other: tuple[int, int]) -> None:
    """This ensures that covering by half treats passage and label alike, and a span always covers itself."""
    assert measures.covers_half(one, other) == measures.covers_half(other, one)
    assert measures.covers_half(one, one)


@given(st.text(alphabet="ab \n\u00a0\u200b", max_size=40), st.text(alphabet="ab \n\u00a0\u200b", max_size=6))
def test_a_found_quote_has_the_words_of_the_quote(text: str, quote: str) -> None:
    """This ensures that every place found reads like the quote but for white space, and none overlaps another."""
    places = find_quote(text, quote)

    assert all(
        "".join(text[s:e].replace("\u200b", "").split()) == "".join(quote.replace("\u200b", "").split())
        for s, e in places
    )
    assert all(places[i][1] <= places[i + 1][0] for i in range(len(places) - 1))
