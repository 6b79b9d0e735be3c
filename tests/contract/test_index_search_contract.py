"""What both indexes promise of `search(query, depth, allowed)`, against a plain computation of the same."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from index.dense import DenseIndex, write_dense
from index.lexical import LexicalIndex, LexicalRow, write_lexical
from index.model import Float32, Int64, Mask
from index.testing import HashingEmbedder

N = 400
WORDS = ("heroin", "methadone", "naloxone", "pain", "sleep", "clinic", "dose", "day")
QUERIES = ("heroin and sleep", "dose", "methadone clinic near me", "pain pain day")

Search = Callable[[str, int, Mask | None], tuple[Int64, Float32]]


def texts() -> list[str]:
    random = np.random.default_rng(11)
    # Short texts of few words: many are equal, so there are many ties.
    return [" ".join(random.choice(WORDS, random.integers(1, 4))) for _ in range(N)]


@pytest.fixture(scope="module", params=["dense", "lexical"])
def search(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Search:
    folder: Path = tmp_path_factory.mktemp("contract")
    if request.param == "lexical":
        write_lexical(folder, [LexicalRow(i, "", "", text) for i, text in enumerate(texts())])
        return LexicalIndex.open(folder).search
    embedder = HashingEmbedder(32)
    write_dense(folder / "dense.faiss", embedder.encode_queries(texts()))
    dense = DenseIndex.open(folder / "dense.faiss")
    return lambda text, depth, allowed: dense.search(embedder.encode_queries([text])[0], depth, allowed)


@pytest.mark.parametrize("query", QUERIES)
def test_hits_are_sorted_and_unique(search: Search, query: str) -> None:
    """This ensures that scores fall, ties ascend by ordinal, and no passage comes twice."""
    ordinals, scores = search(query, N, None)
    keys = list(zip((-scores).tolist(), ordinals.tolist(), strict=True))

    assert keys == sorted(keys)
    assert len(set(ordinals.tolist())) == len(ordinals) > 20


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("depth", [1, 2, 7, 50, 399])
def test_fewer_hits_are_a_prefix_of_more(search: Search, query: str, depth: int) -> None:
    """This ensures that asking for less changes nothing but the length."""
    ordinals, scores = search(query, N, None)

    few_ordinals, few_scores = search(query, depth, None)

    assert few_ordinals.tolist() == ordinals[:depth].tolist()
    assert few_scores.tolist() == scores[:depth].tolist()


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("share", [0.0, 0.005, 0.05, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("depth", [1, 10, 60, N])
def test_a_filter_drops_hits_and_changes_no_score(search: Search, query: str, share: float, depth: int) -> None:
    """This ensures that the best allowed hits are found exactly, whichever way the filter is applied."""
    allowed = np.random.default_rng(int(share * 1000)).random(N) < share
    ordinals, scores = search(query, N, None)
    kept = allowed[ordinals]

    found_ordinals, found_scores = search(query, depth, allowed)

    assert found_ordinals.tolist() == ordinals[kept][:depth].tolist()
    assert found_scores.tolist() == scores[kept][:depth].tolist()


@pytest.mark.parametrize("allowed", [np.ones(N - 1, np.bool_), np.ones(N, np.uint8)], ids=["length", "dtype"])
def test_a_filter_of_another_shape_is_refused(search: Search, allowed: Mask) -> None:
    """This ensures that a filter made for another snapshot is not applied."""
    with pytest.raises(ValueError, match="allowed"):
        search(QUERIES[0], 5, allowed)
