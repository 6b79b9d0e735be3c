"""Milvus against the local engine, on the starter library and its labelled questions: the same hits, the same order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from milvus_support import Milvus

from index.build import build_index
from index.model import Filters
from index.search import retrieve
from index.snapshot import Snapshot, open_snapshot
from index.store import IndexDir
from index.testing import HashingEmbedder
from index.verify import verify_snapshot
from ingest.model import SourceType

ROOT = Path(__file__).parents[2]
EMBEDDER = HashingEmbedder(64)
# Fused scores are 0 to 1, BM25 reaches 100: both are sums of float32 in another order.
SAME_SCORE, SAME_BM25 = 1e-5, 1e-3
LINES = (ROOT / "tests/quality/starter-questions.jsonl").read_text("utf-8").splitlines()
QUESTIONS = [json.loads(line)["question"] for line in LINES]

Pair = tuple[Snapshot, Snapshot]


@pytest.fixture(scope="module")
def pair(milvus: Milvus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Return the starter library's snapshot in files and in Milvus."""
    folder = tmp_path_factory.mktemp("parity")
    local, remote = IndexDir(folder / "local"), milvus.index_dir(folder / "milvus")
    for index_dir in (local, remote):
        build_index(ROOT / "corpus", index_dir, EMBEDDER)
    with open_snapshot(local) as one, open_snapshot(remote) as other:
        yield one, other
    remote.engine.close()


@pytest.mark.parametrize(
    "filters",
    [Filters(), Filters(source_type=(SourceType.OTHER,), language="en", tags=("medicines", "relapse"))],
    ids=["all", "filtered"],
)
def test_same_hits_in_the_same_order(pair: Pair, filters: Filters) -> None:
    """This ensures that no labelled question gets other passages, or others first, from Milvus."""
    n_hits = 0
    # The server takes a tenth of a second for each.
    for question in QUESTIONS if filters.is_empty else QUESTIONS[::5]:
        expected, found = (retrieve(snapshot, EMBEDDER, question, filters=filters) for snapshot in pair)

        score_of = {hit.ordinal: hit.score for hit in expected.hits}
        assert {hit.ordinal for hit in found.hits} == score_of.keys()
        assert (found.coverage, found.lexical_share) == (expected.coverage, expected.lexical_share)
        for here, there in zip(expected.hits, found.hits, strict=True):
            # At each place the passage that the local engine has there, or one that it scores the same.
            assert score_of[there.ordinal] == pytest.approx(here.score, abs=SAME_SCORE)
            assert there.score == pytest.approx(here.score, abs=SAME_SCORE)
        n_hits += len(found.hits)
    assert n_hits > len(QUESTIONS)


def test_bm25_is_that_of_tantivy(pair: Pair) -> None:
    """This ensures that the weights of the sparse vectors add up to the local engine's scores, passage for passage."""
    local, remote = pair
    n = 0
    for question in QUESTIONS:
        weights = dict.fromkeys(local.lexical.analyze(question), 0.6)
        ordinals, scores = local.finder.best_words(weights, local.lexical.n, Filters())
        found, weighed = remote.finder.best_words(weights, remote.lexical.n, Filters())

        by_ordinal = dict(zip(found.tolist(), weighed.tolist(), strict=True))
        assert by_ordinal.keys() == set(ordinals.tolist())
        assert [by_ordinal[o] for o in ordinals.tolist()] == pytest.approx(scores.tolist(), abs=SAME_BM25)
        n += len(ordinals)
    assert n > 10 * len(QUESTIONS)


def test_more_rows_than_one_call_brings(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that passages with very many sentences are scored in several calls, with the same outcome."""
    monkeypatch.setattr("index.milvus_parts.MOST_ROWS", 16)
    vector, ordinals = EMBEDDER.encode_queries(["methadone"])[0], np.arange(0, 60, 2)

    nothing = np.empty(0, np.int64), np.empty(0, np.float32)

    expected, found = (s.finder.similarities(vector, ordinals, nothing) for s in pair)

    for one, other in zip(found[:3], expected[:3], strict=True):
        assert one.tolist() == pytest.approx(other.tolist(), abs=SAME_SCORE)
    assert found[3].tolist() == expected[3].tolist()


def test_vocabularies_are_equal(pair: Pair) -> None:
    """This ensures that spelling and idf go by the same words and numbers."""
    local, remote = pair

    assert dict(remote.lexical.vocabulary) == dict(local.lexical.vocabulary)


def test_vectors_are_equal(pair: Pair) -> None:
    """This ensures that every vector comes back from Milvus as it was given there, bit for bit."""
    local, remote = pair
    ordinals = np.arange(local.dense.n)

    assert np.array_equal(remote.dense.vectors(ordinals), local.dense.vectors(ordinals))
    assert remote.evidence.row_counts().tolist() == local.evidence.row_counts().tolist()
    for one, other in zip(local.evidence.vectors(ordinals), remote.evidence.vectors(ordinals), strict=True):
        assert np.array_equal(one, other)


def test_a_whole_library_is_sound(pair: Pair) -> None:
    """This ensures that `citewell verify` proves words, places, facets, weights and vectors of the collections."""
    assert verify_snapshot(pair[1]).problems == ()


def test_an_index_is_measured_before_it_is_taken(milvus: Milvus, pair: Pair, tmp_path: Path) -> None:
    """This ensures that a graph of Milvus proposes, that its recall is sealed, and that no similarity changes."""
    index_dir = IndexDir(tmp_path / "index", engine=milvus.engine(tmp_path / "index", index="HNSW"))
    build_index(ROOT / "corpus", index_dir, EMBEDDER)

    with open_snapshot(index_dir) as snapshot:
        sealed = snapshot.manifest.milvus
        assert sealed is not None
        assert (sealed.index, sealed.note) == ("HNSW", "")
        assert sealed.effort > 0
        assert 0.98 <= min(sealed.recall_at_10, sealed.recall_at_200) <= 1.0
        for question in QUESTIONS[:20]:
            expected, found = (retrieve(s, EMBEDDER, question) for s in (pair[0], snapshot))
            exact = {hit.ordinal: hit.passage_similarity for hit in expected.hits}
            shared = [hit for hit in found.hits if hit.ordinal in exact]

            assert len(shared) >= 0.95 * len(exact)
            assert [hit.passage_similarity for hit in shared] == pytest.approx(
                [exact[hit.ordinal] for hit in shared], abs=SAME_SCORE
            )
    index_dir.engine.close()


def test_an_index_that_misses_too_much_is_replaced(milvus: Milvus, pair: Pair, tmp_path: Path) -> None:
    """This ensures that search is exact, and a warning says why, where an index finds too few (as here: half)."""
    # milvus-lite makes 128 lists whatever it is told, so that looking at "all" 65 of them finds half of the passages.
    index_dir = IndexDir(tmp_path / "index", engine=milvus.engine(tmp_path / "index", index="IVF_SQ8"))
    report = build_index(ROOT / "corpus", index_dir, EMBEDDER)

    assert [what for where, what in report.warnings if where == "milvus_index"]
    with open_snapshot(index_dir) as snapshot:
        assert snapshot.manifest.milvus is not None
        assert (snapshot.manifest.milvus.index, snapshot.manifest.milvus.effort) == ("FLAT", 0)
        for question in QUESTIONS[:10]:
            expected, found = (retrieve(s, EMBEDDER, question) for s in (pair[0], snapshot))
            assert [hit.ordinal for hit in found.hits] == [hit.ordinal for hit in expected.hits]
    index_dir.engine.close()
