"""Which dense index a build writes, and what it is held against."""

from pathlib import Path

import faiss
import numpy as np
import pytest

from index import dense_choice
from index.dense import Candidates, DenseIndex
from index.dense_choice import auto_lists, exact_thresholds, measure_recall, noisy_passages, write_chosen_dense
from index.dense_config import CANDIDATES_FILE, DENSE_FILE, DenseConfig, describe_dense, parse_dense_index
from index.errors import SnapshotCorrupt
from index.manifest import DenseSearch
from index.model import Float32
from index.testing import HashingEmbedder

N = 20_000


def clustered_rows(n: int, d: int = 32, seed: int = 0) -> Float32:
    """Return unit rows around 60 centres, as texts about so many subjects have them."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((60, d))
    rows = centres[rng.integers(0, 60, n)] + 1.0 * rng.standard_normal((n, d))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray(unit.astype(np.float16).astype(np.float32))


@pytest.fixture(scope="module")
def rows() -> Float32:
    return clustered_rows(N)


@pytest.mark.parametrize(
    "name",
    ["auto", "exact", "IVF256,SQ8", "IVF16,Flat", "IVF1,SQfp16", "HNSW32,SQ8", "HNSW4,Flat", "IVF65536,SQ4",
     "PQ192x4fs"],
)  # fmt: skip
def test_known_names_are_taken(name: str) -> None:
    """This ensures that what the README names can be set."""
    assert parse_dense_index(name) == name


@pytest.mark.parametrize("codes", ["Flat", "SQ4", "SQ6", "SQ8", "SQfp16", "SQbf16"])
@pytest.mark.parametrize("kind", ["IVF1", "IVF65536", "HNSW4", "HNSW128"])
def test_every_name_that_is_taken_is_known_to_faiss(kind: str, codes: str) -> None:
    """This ensures that no build fails half-way over a name that the settings let through."""
    index = faiss.index_factory(32, parse_dense_index(f"{kind},{codes}"), faiss.METRIC_INNER_PRODUCT)

    assert isinstance(index, faiss.IndexIVF | faiss.IndexHNSW)


@pytest.mark.parametrize(
    "name",
    ["", "AUTO", "ivf256,sq8", "IVF256", "IVF0,SQ8", "IVF70000,SQ8", "IVF256,SQ5", "IVF256,SQ8,", "HNSW3,SQ8",
     "HNSW129,SQ8", "IVF256,PQ48", "PQ0x4fs", "PQ192", "PQ192x8", "PQ192x4fs,RFlat", "Flat", "nonsense",
     "IVF256, SQ8", "IVF256,SQ8\n", "OPQ16,IVF256,SQ8"],
)  # fmt: skip
def test_unknown_names_are_refused_with_examples(name: str) -> None:
    """This ensures that a slip is told at once, with what can be written instead."""
    with pytest.raises(ValueError, match=r'"auto", "exact".*"IVF256,SQ8" or "HNSW32,SQ8"'):
        DenseConfig(index=name)


@pytest.mark.parametrize("floor", [0.0, -1.0, 1.01])
def test_a_floor_is_a_share(floor: float) -> None:
    """This ensures that no build is measured against a floor that nothing or everything passes."""
    with pytest.raises(ValueError, match="recall_floor"):
        DenseConfig(recall_floor=floor)


@pytest.mark.parametrize(("n", "lists"), [(30_001, 256), (46_410, 256), (100_000, 512), (350_000, 1024), (10**6, 2048)])
def test_lists_grow_with_the_square_root(n: int, lists: int) -> None:
    """This ensures that neither finding lists nor reading them takes most of the time at any size."""
    assert auto_lists(n) == lists


@pytest.mark.parametrize(
    ("config", "index"),
    [
        (DenseConfig(), "exact"),
        (DenseConfig(exact_up_to=N), "exact"),
        (DenseConfig(exact_up_to=N - 1), "PQ16x4fs"),
        (DenseConfig("PQ8x4fs", recall_floor=0.5), "PQ8x4fs"),
        (DenseConfig("exact", exact_up_to=0), "exact"),
        (DenseConfig("IVF32,SQ8"), "IVF32,SQ8"),
        (DenseConfig("HNSW16,SQ8"), "HNSW16,SQ8"),
    ],
)
def test_the_size_and_the_wish_decide(config: DenseConfig, index: str, rows: Float32, tmp_path: Path) -> None:
    """This ensures that few passages are searched exactly, and that the file is there where it is used."""
    choice = write_chosen_dense(tmp_path, rows, config)

    assert (index, "") == (choice.index, choice.note)
    assert (index != "exact") == (tmp_path / CANDIDATES_FILE).exists()
    assert DenseIndex.open(tmp_path / DENSE_FILE).vectors(np.arange(N)).tobytes() == rows.tobytes()


def test_the_recall_that_is_told_is_the_recall_that_is_had(rows: Float32, tmp_path: Path) -> None:
    """This ensures that the manifest holds measured figures, and that effort is set so that they reach the floor."""
    choice = write_chosen_dense(tmp_path, rows, DenseConfig("IVF64,SQ8", recall_floor=0.9))
    dense = DenseIndex.open(tmp_path / DENSE_FILE, tmp_path / CANDIDATES_FILE, choice.effort)
    exact = DenseIndex.open(tmp_path / DENSE_FILE)
    queries = noisy_passages(rows)

    shares = [
        [len({*dense.search(q, k)[0].tolist()} & {*exact.search(q, k)[0].tolist()}) / k for k in (10, 200)]
        for q in queries
    ]

    assert (choice.n_measured, choice.measured_on) == (300, "passages")
    assert [choice.recall_at_10, choice.recall_at_200] == pytest.approx(np.mean(shares, axis=0), abs=1e-3)
    assert 0.9 <= min(choice.recall_at_10, choice.recall_at_200) < 1.0
    assert 1 <= choice.effort < 64


def test_a_higher_floor_takes_more_effort(rows: Float32, tmp_path: Path) -> None:
    """This ensures that an index below the floor is searched harder before it is given up."""
    efforts = []
    for number, floor in enumerate((0.7, 0.9, 0.995)):
        (tmp_path / str(number)).mkdir()
        choice = write_chosen_dense(tmp_path / str(number), rows, DenseConfig("IVF64,SQ8", recall_floor=floor))
        efforts.append(choice.effort)

    assert sorted(set(efforts)) == efforts


def test_an_index_that_never_reaches_the_floor_is_not_written(rows: Float32, tmp_path: Path) -> None:
    """This ensures that search is exact, and the report says why, where codes are too coarse."""
    choice = write_chosen_dense(tmp_path, rows, DenseConfig("IVF4,SQ4", recall_floor=1.0))

    assert (choice.index, choice.effort, choice.recall_at_200) == ("exact", 0, 1.0)
    assert choice.note.startswith("IVF4,SQ4 finds at most ")
    assert choice.note.endswith("less than 1: search is exact")
    assert not (tmp_path / CANDIDATES_FILE).exists()


def test_more_lists_than_passages_is_exact_and_said(tmp_path: Path) -> None:
    """This ensures that a setting for a large library does not stop the build of a small one."""
    choice = write_chosen_dense(tmp_path, clustered_rows(20), DenseConfig("IVF64,SQ8"))

    assert (choice.index, choice.note) == ("exact", "IVF64,SQ8 needs 64 passages, there are 20: search is exact")


@pytest.mark.parametrize(
    ("n", "factory", "lack"),
    [
        (20, "PQ5x4fs", "vectors that can be cut into 5 parts, they have 32 numbers"),
        (15, "PQ16x4fs", "16 passages, there are 15"),
    ],
)
def test_codes_that_can_not_be_made_are_said(n: int, factory: str, lack: str, tmp_path: Path) -> None:
    """This ensures that a setting for another model's vectors does not stop a build half-way."""
    choice = write_chosen_dense(tmp_path, clustered_rows(n), DenseConfig(factory))

    assert (choice.index, choice.note) == ("exact", f"{factory} needs {lack}: search is exact")


def test_very_many_passages_are_not_scanned(monkeypatch: pytest.MonkeyPatch, rows: Float32, tmp_path: Path) -> None:
    """This ensures that a library whose codes no cache holds is searched through lists."""
    monkeypatch.setattr(dense_choice, "SCANNED_ROWS", N - 1)

    choice = write_chosen_dense(tmp_path, rows, DenseConfig(exact_up_to=N - 2))

    assert choice.index == "IVF256,SQ8"


def test_real_questions_are_measured_where_there_are_any(tmp_path: Path) -> None:
    """This ensures that the gate's questions, evenly chosen, take the place of moved passages."""
    embedder = HashingEmbedder()
    texts = [f"word{i % 40} and word{i % 7} of part {i}" for i in range(1_000)]
    rows = embedder.encode_queries(texts)
    questions = tuple(f"what is word{i % 40}" for i in range(700))

    choice = write_chosen_dense(tmp_path, rows, DenseConfig("IVF8,SQ8", questions=questions), embedder)

    assert choice.measured_on == "questions"
    assert 200 <= choice.n_measured <= 300


def test_questions_are_not_shown() -> None:
    """This ensures that no log or error that shows a configuration shows a question."""
    assert "naloxone" not in repr(DenseConfig(questions=("naloxone?",)))


def test_two_builds_write_the_same_bytes(rows: Float32, tmp_path: Path) -> None:
    """This ensures that equal input gives equal snapshots: one thread, fixed seeds."""
    for factory in ("IVF64,SQ8", "HNSW16,SQ8", "PQ16x4fs"):
        for name in ("a", "b"):
            faiss.omp_set_num_threads(2)
            Candidates.train(rows, factory).write(tmp_path / name)

        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_thresholds_are_those_of_the_exact_neighbours(rows: Float32) -> None:
    """This ensures that recall is held against the scores of the exact 10th and 200th row."""
    queries = noisy_passages(rows, 40)

    found = exact_thresholds(rows, queries)

    scores = -np.sort(-(queries @ rows.T), axis=1)
    np.testing.assert_allclose(found, scores[:, [9, 199]], atol=1e-6)


def test_exact_search_has_a_recall_of_one(rows: Float32, tmp_path: Path) -> None:
    """This ensures that the measure finds no fault where there is none, with equal rows too."""
    twice = np.ascontiguousarray(np.concatenate([rows[:500], rows[:500]]))
    write_chosen_dense(tmp_path, twice, DenseConfig("exact"))
    queries = noisy_passages(twice, 20)

    recalls = measure_recall(DenseIndex.open(tmp_path / DENSE_FILE), queries, exact_thresholds(twice, queries))

    assert recalls == (1.0, 1.0)


def test_few_rows_are_enough_to_measure(tmp_path: Path) -> None:
    """This ensures that a tiny library with a wish of its own is built."""
    choice = write_chosen_dense(tmp_path, clustered_rows(5), DenseConfig("IVF2,SQ8"))

    assert (choice.index, choice.recall_at_200) == ("IVF2,SQ8", 1.0)


def test_a_foreign_file_is_refused(rows: Float32, tmp_path: Path) -> None:
    """This ensures that an index of other rows, or of another kind, is named and not searched."""
    write_chosen_dense(tmp_path, rows, DenseConfig("exact"))
    Candidates.train(rows[:1_000], "IVF8,SQ8").write(tmp_path / CANDIDATES_FILE)

    with pytest.raises(SnapshotCorrupt, match=r"1000 rows of 32, dense\.faiss has 20000 of 32"):
        DenseIndex.open(tmp_path / DENSE_FILE, tmp_path / CANDIDATES_FILE, 4)
    with pytest.raises(SnapshotCorrupt, match="IndexScalarQuantizer"):
        DenseIndex.open(tmp_path / DENSE_FILE, tmp_path / DENSE_FILE, 4)
    with pytest.raises(SnapshotCorrupt, match="FAISS can't read it"):
        DenseIndex.open(tmp_path / DENSE_FILE, tmp_path / "none", 4)


def test_the_choice_is_told_in_a_few_words() -> None:
    """This ensures that report and list of snapshots say how passages are found and how well."""
    search = DenseSearch(
        index="IVF256,SQ8", effort=96, recall_at_10=0.991, recall_at_200=0.985, n_measured=300, measured_on="passages"
    )

    assert describe_dense(search) == "IVF256,SQ8 at 96, recall@10 0.991, @200 0.985 on 300 passages"
    assert describe_dense(DenseSearch()) == "exact"


def test_the_measured_depth_is_that_of_fusion() -> None:
    """This ensures that the recall told is the recall of what is ranked."""
    from index.fuse import FusionConfig

    assert FusionConfig().depth == dense_choice._DEPTH
