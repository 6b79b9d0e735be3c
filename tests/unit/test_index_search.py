"""From a question to ranked passages of a snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from index.errors import ModelMismatch
from index.fuse import FusionConfig
from index.model import Filters
from index.search import PREFERENCE_WEIGHT, retrieve
from index.snapshot import Snapshot, open_snapshot
from index.store import IndexDir
from index.testing import HashingEmbedder, write_tiny_snapshot
from ingest.model import SourceType

QUESTION = "withdrawal starts hours after the last dose"


@pytest.fixture
def snapshot(tmp_path: Path) -> Iterator[Snapshot]:
    index_dir = IndexDir(tmp_path)
    write_tiny_snapshot(index_dir)
    with open_snapshot(index_dir) as opened:
        yield opened


def test_the_passage_that_says_it_comes_first(snapshot: Snapshot) -> None:
    """This ensures that the words of a question lead to the passage that holds them, with its best sentence."""
    first = retrieve(snapshot, HashingEmbedder(), QUESTION).hits[0]

    (stored,) = snapshot.catalogue.passages([first.ordinal])
    start, end = stored.passage.sentences[first.best_sentence]
    text = stored.passage.text
    assert text[start - stored.passage.start : end - stored.passage.start].startswith("Withdrawal starts six")


def test_every_hit_has_all_its_dense_evidence(snapshot: Snapshot) -> None:
    """This ensures that passages found by either index are compared on the same evidence, each found once."""
    hits = retrieve(snapshot, HashingEmbedder(), QUESTION).hits

    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert len({hit.ordinal for hit in hits}) == len(hits) == snapshot.manifest.counts.passages
    assert all(-1.001 <= hit.sentence_similarity <= 1.001 for hit in hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_filters_restrict_both_indexes(snapshot: Snapshot) -> None:
    """This ensures that no passage of a filtered-out document comes back, however well it fits."""
    hits = retrieve(snapshot, HashingEmbedder(), QUESTION, filters=Filters(source_type=(SourceType.CHARITY,))).hits

    documents = {s.document.metadata.source_type for s in snapshot.catalogue.passages([h.ordinal for h in hits])}
    assert documents == {SourceType.CHARITY}


def test_filters_that_match_nothing_find_nothing(snapshot: Snapshot) -> None:
    """This ensures that an empty selection is an empty answer, not the whole library."""
    retrieval = retrieve(snapshot, HashingEmbedder(), QUESTION, filters=Filters(tags=("no such tag",)))

    assert retrieval.hits == ()


def test_another_model_is_refused_with_both_fingerprints(snapshot: Snapshot) -> None:
    """This ensures that vectors of two models are never compared."""
    with pytest.raises(ModelMismatch) as caught:
        retrieve(snapshot, HashingEmbedder(name="other"), QUESTION)

    assert HashingEmbedder().fingerprint[:12] in caught.value.what
    assert HashingEmbedder(name="other").fingerprint[:12] in caught.value.what


def test_coverage_is_the_share_of_known_words(snapshot: Snapshot) -> None:
    """This ensures that words which no passage holds lower the lexical share, and stop words count for nothing."""
    covered = retrieve(snapshot, HashingEmbedder(), "withdrawal starts after the last dose")
    half = retrieve(snapshot, HashingEmbedder(), "withdrawal xylophone zeppelin")

    assert covered.coverage == pytest.approx(1.0)
    assert half.coverage < 0.5
    assert half.lexical_share < covered.lexical_share


def test_a_question_of_stop_words_is_ranked_by_meaning_alone(snapshot: Snapshot) -> None:
    """This ensures that a question without any index term still gets hits, none of them lexical."""
    retrieval = retrieve(snapshot, HashingEmbedder(), "what is it and why")

    assert retrieval.lexical_share == 0.0
    assert {hit.lexical_score for hit in retrieval.hits} == {None}


def test_depth_bounds_the_candidates(snapshot: Snapshot) -> None:
    """This ensures that both indexes together give at most twice the depth."""
    retrieval = retrieve(snapshot, HashingEmbedder(), QUESTION, config=FusionConfig(depth=1))

    assert 1 <= len(retrieval.hits) <= 2


def test_a_preferred_source_comes_first_among_equals_only(snapshot: Snapshot) -> None:
    """This ensures that an operator's preference moves a passage by its bound and by no more."""
    plain = {hit.ordinal: hit.score for hit in retrieve(snapshot, HashingEmbedder(), QUESTION).hits}
    kinds = (SourceType.CHARITY, SourceType.NEWS)

    moved = retrieve(snapshot, HashingEmbedder(), QUESTION, preferred=kinds).hits

    types = {s.ordinal: s.document.metadata.source_type for s in snapshot.catalogue.passages(list(plain))}
    bonus = {SourceType.CHARITY: PREFERENCE_WEIGHT, SourceType.NEWS: PREFERENCE_WEIGHT / 2}
    expected = {ordinal: score + bonus.get(types[ordinal], 0.0) for ordinal, score in plain.items()}
    assert {SourceType.CHARITY, SourceType.NEWS} < set(types.values())
    assert {hit.ordinal: hit.score for hit in moved} == pytest.approx(expected)
    assert [hit.score for hit in moved] == sorted((hit.score for hit in moved), reverse=True)
    assert [hit.rank for hit in moved] == list(range(1, len(moved) + 1))


def test_without_a_preference_nothing_moves(snapshot: Snapshot) -> None:
    """This ensures that the ranking is the same as ever while the operator prefers nothing, or what is not there."""
    plain = retrieve(snapshot, HashingEmbedder(), QUESTION)

    assert retrieve(snapshot, HashingEmbedder(), QUESTION, preferred=()) == plain
    assert retrieve(snapshot, HashingEmbedder(), QUESTION, preferred=(SourceType.PERSONAL,)) == plain
