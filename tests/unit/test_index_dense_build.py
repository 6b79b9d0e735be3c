"""A snapshot with a quantised index: built, opened, verified, told."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import index.dense_choice
from index.build import BuildConfig, BuildReport, build_index
from index.dense import Candidates
from index.dense_config import CANDIDATES_FILE, DenseConfig
from index.errors import SnapshotCorrupt
from index.forget import forget_document
from index.search import retrieve
from index.snapshot import open_snapshot, open_snapshot_folder
from index.store import IndexDir
from index.testing import HashingEmbedder
from index.verify import verify_snapshot

CONFIG = BuildConfig(dense=DenseConfig("IVF4,SQ8"))
WORDS = ("naloxone", "methadone", "heroin", "withdrawal", "clinic", "relapse", "counselling", "pharmacy", "overdose")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Return a folder of 40 documents that hold about 1,000 passages."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for n in range(40):
        parts = [
            f"## Part {i}\n\n{WORDS[(n + i) % 9].title()} and {WORDS[(n * i) % 9]} number {n * 25 + i} in ward {i}.\n"
            for i in range(25)
        ]
        (folder / f"d{n:02}.md").write_text(f"# Document {n}\n\n" + "\n".join(parts), "utf-8")
    return folder


def build(corpus: Path, index_dir: Path, config: BuildConfig = CONFIG) -> BuildReport:
    return build_index(corpus, index_dir, HashingEmbedder(), config)


def test_a_build_seals_what_it_chose(corpus: Path, tmp_path: Path) -> None:
    """This ensures that report, manifest and open snapshot say the same, and that all is proven again."""
    report = build(corpus, tmp_path / "index")

    with open_snapshot(IndexDir(tmp_path / "index")) as snapshot:
        dense = snapshot.manifest.dense
        assert report.n_passages == 1_000 == snapshot.dense.n
        assert (dense.index, dense.measured_on, dense.n_measured) == ("IVF4,SQ8", "passages", 300)
        assert min(dense.recall_at_10, dense.recall_at_200) >= 0.98
        assert dense == report.dense.sealed()
        assert snapshot.dense.effort == dense.effort > 0
        assert CANDIDATES_FILE in snapshot.manifest.files
        assert verify_snapshot(snapshot).is_sound


def test_small_libraries_are_exact_by_default(corpus: Path, tmp_path: Path) -> None:
    """This ensures that nobody below the size where it pays gets an index that could miss a passage."""
    build(corpus, tmp_path / "index", BuildConfig())

    with open_snapshot(IndexDir(tmp_path / "index")) as snapshot:
        assert snapshot.manifest.dense.is_exact
        assert snapshot.dense.candidates is None
        assert CANDIDATES_FILE not in snapshot.manifest.files


def test_two_builds_are_alike(corpus: Path, tmp_path: Path) -> None:
    """This ensures that the same documents give the same index and the same figures."""
    found = []
    for name in ("a", "b"):
        build(corpus, tmp_path / name)
        with open_snapshot(IndexDir(tmp_path / name)) as snapshot:
            found.append((snapshot.manifest.content_sha256, snapshot.manifest.files[CANDIDATES_FILE].sha256))

    assert found[0] == found[1]


def test_ranking_is_that_of_exact_search_where_all_is_found(corpus: Path, tmp_path: Path) -> None:
    """This ensures that scores of candidates are exact: with every list looked at, hit for hit the same."""
    build(corpus, tmp_path / "index")
    embedder = HashingEmbedder()
    with open_snapshot(IndexDir(tmp_path / "index")) as snapshot:
        every_list = replace(snapshot, dense=snapshot.dense.with_candidates(snapshot.dense.candidates, 4))
        exact = replace(snapshot, dense=snapshot.dense.with_candidates(None))

        for word in WORDS:
            assert retrieve(every_list, embedder, f"{word} in ward 3") == retrieve(exact, embedder, f"{word} in ward 3")


def test_what_falls_below_the_floor_is_not_published(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This ensures that a build takes exact search rather than an index that misses too much, and warns."""
    monkeypatch.setattr(index.dense_choice, "measure_recall", lambda *_: (0.99, 0.97))

    report = build(corpus, tmp_path / "index")

    assert report.dense.index == "exact"
    assert [what for where, what in report.warnings if where == "dense_index"] == [report.dense.note]
    assert report.dense.note == (
        "IVF4,SQ8 finds at most 0.990 of the 10 nearest, 0.970 of 200, less than 0.98: search is exact"
    )
    with open_snapshot(IndexDir(tmp_path / "index")) as snapshot:
        assert CANDIDATES_FILE not in snapshot.manifest.files


def test_candidates_of_other_vectors_are_found_by_verify(corpus: Path, tmp_path: Path) -> None:
    """This ensures that verify proves that the quantised index is one of these passages."""
    build(corpus, tmp_path / "index")
    with open_snapshot(IndexDir(tmp_path / "index")) as snapshot:
        rows = snapshot.dense.vectors(np.arange(snapshot.dense.n))
        path = snapshot.path
    Candidates.train(np.ascontiguousarray(rows[::-1]), "IVF4,SQ8").write(path / CANDIDATES_FILE)
    manifest = (path / "manifest.json").read_text()

    with pytest.raises(SnapshotCorrupt, match=r"candidates\.faiss"):
        open_snapshot_folder(path)
    with open_snapshot_folder(path, check_sha256=False) as snapshot:
        wrong = replace(snapshot, dense=snapshot.dense.with_candidates(snapshot.dense.candidates, 1))
        problems = {(problem.rule, problem.where) for problem in verify_snapshot(wrong).problems}

    assert "IVF4,SQ8" in manifest
    assert ("candidates", CANDIDATES_FILE) in problems


def test_a_missing_file_of_candidates_is_named(corpus: Path, tmp_path: Path) -> None:
    """This ensures that a damaged snapshot is refused and never searched another way than it was measured."""
    build(corpus, tmp_path / "index")
    index_dir = IndexDir(tmp_path / "index")
    (index_dir.snapshot_path(str(index_dir.current_id())) / CANDIDATES_FILE).unlink()

    with pytest.raises(SnapshotCorrupt, match="missing"):
        open_snapshot(index_dir)


def test_forgetting_keeps_the_choice(corpus: Path, tmp_path: Path) -> None:
    """This ensures that the rebuild of `forget` searches as every other build would."""
    build(corpus, tmp_path / "index")

    receipt = forget_document("d07.md", corpus, tmp_path / "index", HashingEmbedder, with_file=True, config=CONFIG)

    assert receipt.is_complete
    with open_snapshot(IndexDir(tmp_path / "index")) as snapshot:
        assert (snapshot.manifest.dense.index, snapshot.dense.n) == ("IVF4,SQ8", 975)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_snapshots_from_before_there_was_a_choice_are_exact(version: str, tmp_path: Path) -> None:
    """This ensures that a manifest without the field means what it meant."""
    path = tmp_path / "snapshot"
    shutil.copytree(Path(__file__).parent.parent / "data" / "snapshots" / version, path)

    with open_snapshot_folder(path) as snapshot:
        assert '"dense"' not in (path / "manifest.json").read_text()
        assert snapshot.manifest.dense.is_exact
        assert snapshot.dense.candidates is None
