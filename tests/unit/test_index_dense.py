"""The dense index."""

from pathlib import Path

import numpy as np
import pytest

from index.dense import DenseIndex, write_dense
from index.errors import SnapshotCorrupt, StorageFailed
from index.model import Float32


def unit_rows(n: int, d: int, seed: int = 0) -> Float32:
    rows: Float32 = np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float16).astype(np.float32)  # as embedders round them


@pytest.fixture
def rows() -> Float32:
    return unit_rows(300, 32)


@pytest.fixture
def dense(tmp_path: Path, rows: Float32) -> DenseIndex:
    write_dense(tmp_path / "dense.faiss", rows)
    return DenseIndex.open(tmp_path / "dense.faiss")


def test_search_is_exact(dense: DenseIndex, rows: Float32) -> None:
    """This ensures that the best rows come in order, with their inner products."""
    query = unit_rows(1, 32, seed=1)[0]
    expected = np.argsort(-(rows @ query), kind="stable")[:20]

    ordinals, scores = dense.search(query, 20)

    assert ordinals.tolist() == expected.tolist()
    assert ordinals.dtype == np.int64
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, (rows @ query)[expected], atol=1e-6)


@pytest.mark.parametrize("depth", [300, 301, 10_000])
def test_asking_for_more_than_there_is_gives_all(dense: DenseIndex, depth: int) -> None:
    """This ensures that FAISS's padding with row -1 never comes through."""
    ordinals, scores = dense.search(unit_rows(1, 32, seed=1)[0], depth)

    assert sorted(ordinals.tolist()) == list(range(300))
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("depth", [0, -1])
def test_asking_for_nothing_gives_nothing(dense: DenseIndex, depth: int) -> None:
    """This ensures that a depth of 0 or less is no error."""
    ordinals, scores = dense.search(unit_rows(1, 32)[0], depth)

    assert (ordinals.tolist(), scores.tolist()) == ([], [])


@pytest.mark.parametrize("depth", [1, 5, 30, 200])
def test_ties_come_in_the_order_of_ordinals(tmp_path: Path, depth: int) -> None:
    """This ensures that among many equal rows the first ones are found, whatever the depth."""
    rows = np.repeat(unit_rows(3, 16), 100, axis=0)
    write_dense(tmp_path / "dense.faiss", rows)
    query = unit_rows(1, 16, seed=5)[0]
    best_first = np.argsort(-(rows[::100] @ query))
    expected = [int(row) * 100 + i for row in best_first for i in range(100)][:depth]

    ordinals, _ = DenseIndex.open(tmp_path / "dense.faiss").search(query, depth)

    assert ordinals.tolist() == expected


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
def test_filtered_search_finds_the_best_allowed_rows(dense: DenseIndex, rows: Float32, share: float) -> None:
    """This ensures that a filter gives what dropping rows from the whole ranking would."""
    query = unit_rows(1, 32, seed=2)[0]
    allowed = np.random.default_rng(3).random(300) < share
    whole, _ = dense.search(query, 300)

    ordinals, _ = dense.search(query, 10, allowed)

    assert ordinals.tolist() == [o for o in whole.tolist() if allowed[o]][:10]


def test_similarities_equal_search_scores_bit_for_bit(dense: DenseIndex) -> None:
    """This ensures that a score does not depend on which of the two ways it was asked for."""
    query = unit_rows(1, 32, seed=4)[0]
    ordinals, scores = dense.search(query, 300)
    shuffled = np.random.default_rng(0).permutation(300)

    again = dense.similarities(query, ordinals[shuffled])

    assert again.tobytes() == scores[shuffled].tobytes()


def test_rows_come_back_as_written(dense: DenseIndex, rows: Float32) -> None:
    """This ensures that vectors are stored without loss, and by row."""
    ordinals = np.array([299, 0, 7, 7])

    assert np.array_equal(dense.vectors(ordinals), rows[ordinals])
    assert dense.vectors(np.empty(0, np.int64)).shape == (0, 32)
    assert dense.similarities(rows[0], np.empty(0, np.int64)).shape == (0,)


def test_an_index_of_nothing_can_be_searched(tmp_path: Path) -> None:
    """This ensures that a library without passages is no special case."""
    write_dense(tmp_path / "dense.faiss", np.empty((0, 8), np.float32))

    dense = DenseIndex.open(tmp_path / "dense.faiss")

    assert (dense.n, dense.dimension) == (0, 8)
    assert dense.search(unit_rows(1, 8)[0], 5)[0].tolist() == []


@pytest.mark.parametrize(
    "query",
    [np.zeros(31, np.float32), np.zeros(32), np.zeros((1, 32), np.float32), np.full(32, np.nan, np.float32)],
    ids=["width", "float64", "two axes", "not a number"],
)
def test_wrong_queries_are_refused_by_name(dense: DenseIndex, query: Float32) -> None:
    """This ensures that FAISS's empty assertion messages never come through."""
    with pytest.raises(ValueError, match="vector"):
        dense.search(query, 1)
    with pytest.raises(ValueError, match="vector"):
        dense.similarities(query, np.array([0]))


@pytest.mark.parametrize("ordinal", [-1, 300, 2**40])
def test_rows_that_do_not_exist_are_refused(dense: DenseIndex, ordinal: int) -> None:
    """This ensures that nothing beyond the file is read."""
    with pytest.raises(IndexError, match="300"):
        dense.similarities(unit_rows(1, 32)[0], np.array([ordinal]))
    with pytest.raises(IndexError, match="300"):
        dense.vectors(np.array([ordinal]))


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((3, 4)),
        np.zeros(4, np.float32),
        np.zeros((4, 3), np.float32).T,
        np.full((1, 4), np.inf, np.float32),
        np.full((1, 4), 0.1, np.float32),
    ],
    ids=["float64", "one axis", "not contiguous", "infinite", "finer than float16"],
)
def test_wrong_vectors_are_not_written(tmp_path: Path, rows: Float32) -> None:
    """This ensures that a mistake shows at build time and leaves no file."""
    with pytest.raises(ValueError, match="vectors"):
        write_dense(tmp_path / "dense.faiss", rows)

    assert not (tmp_path / "dense.faiss").exists()


def test_equal_vectors_give_equal_bytes(tmp_path: Path, rows: Float32) -> None:
    """This ensures that checksums of the file are reproducible."""
    write_dense(tmp_path / "a", rows)
    write_dense(tmp_path / "b", rows)

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("n", [1, 20_000])
def test_a_full_disk_is_noticed(tmp_path: Path, n: int) -> None:
    """This ensures that neither the last bytes, written on closing, nor the first ones are lost in silence."""
    path = tmp_path / "dense.faiss"
    path.symlink_to("/dev/full")

    with pytest.raises(StorageFailed, match="No space left"):
        write_dense(path, unit_rows(n, 32))


@pytest.mark.parametrize("keep", [0, 3, 40, 1000])
def test_a_shortened_file_is_refused(tmp_path: Path, rows: Float32, keep: int) -> None:
    """This ensures that a file cut off anywhere becomes our error."""
    path = tmp_path / "dense.faiss"
    write_dense(path, rows)
    path.write_bytes(path.read_bytes()[:keep])

    with pytest.raises(SnapshotCorrupt, match=r"dense\.faiss"):
        DenseIndex.open(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """This ensures that a missing file becomes our error."""
    with pytest.raises(SnapshotCorrupt):
        DenseIndex.open(tmp_path / "none.faiss")
