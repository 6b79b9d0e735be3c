"""Search through a quantised index against exact search: order, scores, masks, depths."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from index import dense as dense_module
from index.dense import Candidates, DenseIndex, write_dense
from index.model import Float32, Mask

N, D, LISTS = 6_000, 24, 32
FAST = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def make_rows() -> Float32:
    """Return clustered unit rows, each tenth one a copy of the one before."""
    rng = np.random.default_rng(3)
    centres = rng.standard_normal((40, D))
    rows = centres[rng.integers(0, 40, N)] + 0.8 * rng.standard_normal((N, D))
    rows[9::10] = rows[8::10]
    return np.ascontiguousarray(
        (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)
    )


@pytest.fixture(scope="module", params=["IVF32,SQ8", "IVF32,Flat", "HNSW16,SQ8", "PQ12x4fs"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[DenseIndex, DenseIndex]:
    """Return the same rows as an exact index and as one with candidates, of the lists half."""
    folder = tmp_path_factory.mktemp("dense")
    rows = make_rows()
    write_dense(folder / "dense.faiss", rows)
    Candidates.train(rows, request.param).write(folder / "near")
    effort = {"HNSW": 512, "PQ12": 800}.get(request.param[:4], LISTS // 2)
    return DenseIndex.open(folder / "dense.faiss"), DenseIndex.open(folder / "dense.faiss", folder / "near", effort)


def query_of(seed: int) -> Float32:
    """Return a unit vector."""
    vector = np.random.default_rng(seed).standard_normal(D).astype(np.float32)
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


seeds = st.integers(0, 10_000)


@FAST
@given(seed=seeds, depth=st.integers(1, 200))
def test_what_is_found_is_in_exact_order(pair: tuple[DenseIndex, DenseIndex], seed: int, depth: int) -> None:
    """This ensures that scores are the exact ones bit for bit, and that rows are missing but never misplaced."""
    exact, near = pair
    query = query_of(seed)
    everything, all_scores = exact.search(query, N)

    ordinals, scores = near.search(query, depth)

    places = {int(row): place for place, row in enumerate(everything)}
    assert len(ordinals) == depth == len(set(ordinals.tolist()))
    assert sorted(places[int(row)] for row in ordinals) == [places[int(row)] for row in ordinals]
    assert scores.tolist() == [all_scores[places[int(row)]] for row in ordinals]


@FAST
@given(seed=seeds, few=st.integers(1, 199))
def test_a_short_search_begins_a_long_one(pair: tuple[DenseIndex, DenseIndex], seed: int, few: int) -> None:
    """This ensures that asking for fewer gives a prefix of asking for 200."""
    query = query_of(seed)

    short, long = pair[1].search(query, few), pair[1].search(query, 200)

    assert short[0].tolist() == long[0][:few].tolist()
    assert short[1].tolist() == long[1][:few].tolist()


@FAST
@given(seed=seeds, share=st.sampled_from([0.0, 0.001, 0.05, 0.3, 0.9, 1.0]), depth=st.integers(1, 200))
def test_few_allowed_rows_are_searched_exactly(
    pair: tuple[DenseIndex, DenseIndex], seed: int, share: float, depth: int
) -> None:
    """This ensures that a filter loses no hit."""
    allowed: Mask = np.random.default_rng(seed + 1).random(N) < share

    found = [index.search(query_of(seed), depth, allowed) for index in pair]

    assert found[0][0].tolist() == found[1][0].tolist()
    assert found[0][1].tolist() == found[1][1].tolist()


@FAST
@given(seed=seeds, share=st.sampled_from([0.01, 0.1, 0.5, 0.99]), topic=st.booleans())
def test_many_allowed_rows_are_found_in_every_list(
    pair: tuple[DenseIndex, DenseIndex], seed: int, share: float, topic: bool
) -> None:
    """This ensures that a filter that leaves too many rows for exact search loses none either, near or far."""
    exact, near = pair
    query = query_of(seed)
    if topic:  # those farthest from the question pass, all in lists that it would not look at
        allowed: Mask = np.zeros(N, np.bool_)
        allowed[exact.search(query, N)[0][-int(share * N) :]] = True
    else:
        allowed = np.random.default_rng(seed + 1).random(N) < share

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dense_module, "EXACT_ROWS", 0)
        ordinals, scores = near.search(query, 100, allowed)

    expected, expected_scores = exact.search(query, 100, allowed)
    assert allowed[ordinals].all()
    assert ordinals.tolist() == expected.tolist()
    assert scores.tolist() == expected_scores.tolist()


@FAST
@given(seed=seeds, depth=st.sampled_from([1, 200, 3_000, N, N + 1]))
def test_every_list_finds_every_row(pair: tuple[DenseIndex, DenseIndex], seed: int, depth: int) -> None:
    """This ensures parity with exact search where nothing is left out, and that no padding row comes through."""
    exact, near = pair
    near = near.with_candidates(near.candidates, LISTS if near.candidates and near.candidates.n_lists else N)

    found = near.search(query_of(seed), depth)

    expected = exact.search(query_of(seed), depth)
    assert (found[0].tolist(), found[1].tolist()) == (expected[0].tolist(), expected[1].tolist())


def test_many_equal_rows_stand_in_order(tmp_path: Path) -> None:
    """This ensures that ties break by ordinal even where more rows are equal than are proposed."""
    rows = make_rows()
    rows[1_000:3_000] = rows[7]
    write_dense(tmp_path / "dense.faiss", rows)
    dense = DenseIndex.open(tmp_path / "dense.faiss").with_candidates(Candidates.train(rows, "IVF32,SQ8"), 8)

    ordinals, scores = dense.search(rows[7], 200)

    assert ordinals.tolist() == [7, *range(1_000, 1_199)]
    assert len(set(scores.tolist())) == 1


def test_lists_that_hold_too_few_rows_lead_to_exact_search(tmp_path: Path) -> None:
    """This ensures that an unlucky question gets all its hits."""
    rows = make_rows()
    write_dense(tmp_path / "dense.faiss", rows)
    exact = DenseIndex.open(tmp_path / "dense.faiss")
    near = exact.with_candidates(Candidates.train(rows, "IVF64,SQ8"), 1)

    found = [near.search(query_of(seed), 200)[0].tolist() for seed in range(20)]

    assert found == [exact.search(query_of(seed), 200)[0].tolist() for seed in range(20)]
