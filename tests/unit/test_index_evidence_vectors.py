"""Vectors of texts and sentences."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from index.errors import SnapshotCorrupt, StorageFailed
from index.evidence_vectors import STARTS_FILE, VECTORS_FILE, EvidenceVectors, write_evidence
from index.model import Float32

COUNTS = (2, 5, 1, 3)


@pytest.fixture
def matrices() -> list[Float32]:
    random = np.random.default_rng(0)
    return [random.standard_normal((k, 16)).astype(np.float16).astype(np.float32) for k in COUNTS]


@pytest.fixture
def evidence(tmp_path: Path, matrices: list[Float32]) -> Iterator[EvidenceVectors]:
    write_evidence(tmp_path, iter(matrices))
    with closing(EvidenceVectors.open(tmp_path)) as evidence:
        yield evidence


def test_similarities_are_those_of_each_row(evidence: EvidenceVectors, matrices: list[Float32]) -> None:
    """This ensures that each passage gets the products of its own rows, in the order asked for."""
    query = np.random.default_rng(1).standard_normal(16).astype(np.float32)

    found = evidence.similarities(query, np.array([3, 0, 1, 0]))

    assert [len(scores) for scores in found] == [3, 2, 5, 2]
    for scores, ordinal in zip(found, (3, 0, 1, 0), strict=True):
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, matrices[ordinal] @ query, rtol=1e-4, atol=1e-5)


def test_the_best_sentence_is_the_first_of_the_nearest(tmp_path: Path) -> None:
    """This ensures that ranking gets of each passage its text's product and its best sentence, ties to the first."""
    random = np.random.default_rng(3)
    written = [random.integers(-2, 3, (k, 16)).astype(np.float32) for k in random.integers(2, 7, 60)]
    write_evidence(tmp_path, iter(written))
    query, ordinals = np.ones(16, np.float32), random.permutation(60)[:50]

    with closing(EvidenceVectors.open(tmp_path)) as evidence:
        text, sentence, best = evidence.best(query, ordinals)
        rows = evidence.similarities(query, ordinals)

    assert text.tolist() == [row[0] for row in rows]
    assert sentence.tolist() == [row[1:].max() for row in rows]
    assert best.tolist() == [int(np.argmax(row[1:])) for row in rows]


def test_the_best_of_nothing_is_nothing(evidence: EvidenceVectors) -> None:
    """This ensures that no candidates is no error, and a passage without a sentence is one."""
    assert [part.size for part in evidence.best(np.zeros(16, np.float32), np.empty(0, np.int64))] == [0, 0, 0]
    with pytest.raises(ValueError, match="no sentence"):
        evidence.best(np.zeros(16, np.float32), np.array([0, 2]))


def test_a_rows_similarity_does_not_depend_on_the_others(tmp_path: Path) -> None:
    """This ensures that asking for fewer passages gives the very same scores."""
    random = np.random.default_rng(2)
    write_evidence(tmp_path, (random.standard_normal((k, 384)).astype(np.float32) for k in random.integers(1, 9, 200)))
    query = random.standard_normal(384).astype(np.float32)

    with closing(EvidenceVectors.open(tmp_path)) as evidence:
        whole = evidence.similarities(query, np.arange(200))
        for n in (1, 2, 3, 7, 50):
            part = evidence.similarities(query, np.arange(n))
            assert [p.tobytes() for p in part] == [w.tobytes() for w in whole[:n]]


def test_rows_come_back_as_written(evidence: EvidenceVectors, matrices: list[Float32]) -> None:
    """This ensures that float16 vectors are stored without loss."""
    found = evidence.vectors(np.array([1, 2]))

    assert [rows.tolist() for rows in found] == [matrices[1].tolist(), matrices[2].tolist()]
    assert evidence.vectors(np.empty(0, np.int64)) == []
    assert evidence.row_counts().tolist() == list(COUNTS)
    assert (evidence.n, evidence.n_rows, evidence.dimension) == (4, 11, 16)


def test_asking_for_nothing_gives_nothing(evidence: EvidenceVectors) -> None:
    """This ensures that no candidates is no error."""
    assert evidence.similarities(np.zeros(16, np.float32), np.empty(0, np.int64)) == []


def test_the_files_are_plain_numpy(tmp_path: Path, matrices: list[Float32]) -> None:
    """This ensures that the vectors can be read without this program."""
    write_evidence(tmp_path, matrices)

    rows = np.load(tmp_path / VECTORS_FILE, mmap_mode="r", allow_pickle=False)
    starts = np.load(tmp_path / STARTS_FILE, allow_pickle=False)

    assert (rows.shape, rows.dtype) == ((11, 16), np.float16)
    assert starts.tolist() == [0, 2, 7, 8, 11]


def test_no_passages_can_be_opened(tmp_path: Path) -> None:
    """This ensures that a library without passages is no special case."""
    write_evidence(tmp_path, [], dimension=16)

    with closing(EvidenceVectors.open(tmp_path)) as evidence:
        assert (evidence.n, evidence.n_rows, evidence.dimension) == (0, 0, 16)
        assert evidence.similarities(np.zeros(16, np.float32), np.empty(0, np.int64)) == []


@pytest.mark.parametrize("ordinal", [-1, 4])
def test_passages_that_do_not_exist_are_refused(evidence: EvidenceVectors, ordinal: int) -> None:
    """This ensures that no other passage's rows are taken for them."""
    with pytest.raises(IndexError, match="4"):
        evidence.similarities(np.zeros(16, np.float32), np.array([ordinal]))


@pytest.mark.parametrize("query", [np.zeros(15, np.float32), np.zeros(16)], ids=["width", "float64"])
def test_wrong_queries_are_refused(evidence: EvidenceVectors, query: Float32) -> None:
    """This ensures that a query of another model shows at once."""
    with pytest.raises(ValueError, match="float32\\[16\\]"):
        evidence.similarities(query, np.array([0]))


@pytest.mark.parametrize("shape", [(0, 16), (2, 15), (16,)], ids=str)
def test_wrong_matrices_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """This ensures that a passage without vectors, or with those of another model, is not written."""
    with pytest.raises(ValueError, match="matrix 1"):
        write_evidence(tmp_path, [np.zeros((2, 16), np.float32), np.zeros(shape, np.float32)])


def test_starts_that_contradict_the_rows_are_refused(tmp_path: Path, matrices: list[Float32]) -> None:
    """This ensures that two files of different builds are not read together."""
    write_evidence(tmp_path, matrices)
    np.save(tmp_path / STARTS_FILE, np.array([0, 2, 7, 8, 12], dtype="<i8"))

    with pytest.raises(SnapshotCorrupt, match=r"end at 12.*has 11"):
        EvidenceVectors.open(tmp_path)


@pytest.mark.parametrize("name", [VECTORS_FILE, STARTS_FILE])
@pytest.mark.parametrize("keep", [0, 20, 140])
def test_a_shortened_file_is_refused(tmp_path: Path, matrices: list[Float32], name: str, keep: int) -> None:
    """This ensures that a file cut off anywhere becomes our error."""
    write_evidence(tmp_path, matrices)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[:keep])

    with pytest.raises(SnapshotCorrupt, match=name):
        EvidenceVectors.open(tmp_path)


def test_a_file_cut_off_while_open_is_an_error(tmp_path: Path, matrices: list[Float32]) -> None:
    """This ensures that rows which vanish are never taken for zeros."""
    write_evidence(tmp_path, matrices)
    with closing(EvidenceVectors.open(tmp_path)) as evidence:
        os.truncate(tmp_path / VECTORS_FILE, 200)

        with pytest.raises(SnapshotCorrupt, match="ends before byte"):
            evidence.similarities(np.zeros(16, np.float32), np.array([3]))


def test_many_threads_may_read_at_once(evidence: EvidenceVectors, matrices: list[Float32]) -> None:
    """This ensures that one thread's reading does not move another's place in the file."""

    def read(i: int) -> bool:
        return bool(np.array_equal(evidence.vectors(np.array([i % 4]))[0], matrices[i % 4]))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(500)))


def test_other_dtypes_are_refused(tmp_path: Path, matrices: list[Float32]) -> None:
    """This ensures that a file of the right name but another kind is not taken for vectors."""
    write_evidence(tmp_path, matrices)
    np.save(tmp_path / VECTORS_FILE, np.zeros((11, 16), np.float32))

    with pytest.raises(SnapshotCorrupt, match="float32"):
        EvidenceVectors.open(tmp_path)


def test_a_full_disk_is_noticed(tmp_path: Path, matrices: list[Float32]) -> None:
    """This ensures that vectors which did not reach the disk are not taken as written."""
    (tmp_path / VECTORS_FILE).symlink_to("/dev/full")

    with pytest.raises(StorageFailed, match="No space left"):
        write_evidence(tmp_path, matrices)
