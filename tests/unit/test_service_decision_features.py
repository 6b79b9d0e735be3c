"""Features of the decision, and the decision itself, on a tiny snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from index.model import DenseText, Query, QueryTerm
from index.search import Retrieval, retrieve
from index.snapshot import Snapshot, open_snapshot
from index.store import IndexDir
from index.testing import HashingEmbedder, write_tiny_snapshot
from service.abstain import AbstainModel
from service.decision_features import N_LOOKED_AT, Look, RetrievalFeatures, SimilarityFeature, look_at
from service.logistic import Logistic

FEATURES = RetrievalFeatures()


@pytest.fixture
def snapshot(tmp_path: Path) -> Iterator[Snapshot]:
    index_dir = IndexDir(tmp_path)
    write_tiny_snapshot(index_dir)
    with open_snapshot(index_dir) as opened:
        yield opened


def look(snapshot: Snapshot, question: str, query: Query | None = None) -> Look:
    """Return what a decision about a question looks at."""
    return look_at(question, retrieve(snapshot, HashingEmbedder(), query or question), snapshot, query)


def features(looked: Look) -> dict[str, float]:
    """Return the features by name."""
    return dict(zip(FEATURES.signs, FEATURES.features(looked), strict=True))


def own_sentence(snapshot: Snapshot) -> str:
    """Return a whole sentence of the library: nothing is better answered."""
    (stored,) = snapshot.catalogue.passages([0])
    start, end = stored.passage.sentences[0]
    return stored.passage.text[start - stored.passage.start : end - stored.passage.start]


def test_a_question_in_the_librarys_words_is_held_and_known(snapshot: Snapshot) -> None:
    """This ensures that every feature points towards answering where a passage is the question."""
    found = features(look(snapshot, own_sentence(snapshot)))

    assert found["best_text"] > 0.99
    assert (found["held_first"], found["unknown_share"], found["is_agreed"]) == (1.0, 0.0, 1.0)


def test_words_of_another_world_are_unknown(snapshot: Snapshot) -> None:
    """This ensures that a question without a word of the library's has nothing held and all unknown."""
    found = features(look(snapshot, "xylophone quasar marzipan"))

    assert (found["held_first"], found["unknown_share"], found["is_agreed"]) == (0.0, 1.0, 0.0)


def test_a_question_without_terms_has_finite_features(snapshot: Snapshot) -> None:
    """This ensures that a question of stop words alone, or of another script, is decided too."""
    for question in ("what is it", "美沙酮", "?!1"):
        looked = look(snapshot, question)
        assert all(-1.0 <= value <= 1.0 for value in FEATURES.features(looked))


def test_what_is_asked_for_and_not_said_is_missing(snapshot: Snapshot) -> None:
    """This ensures that the aspect is looked for in the passages that would be shown, and only there."""
    looked = look(snapshot, f"How much does it cost? {own_sentence(snapshot)}")
    passage = looked.passages[0]
    costly = replace(passage, text=(passage.text[:-4] + " $10")[: len(passage.text)])
    assert len(costly.text) == len(passage.text)

    missing = features(looked)
    there = features(replace(looked, passages=(costly, *looked.passages[1:])))

    assert missing["aspect_missing_first"] > there["aspect_missing_first"] == 0.0
    assert missing["aspect_missing"] > 0.0


def test_another_word_for_a_term_covers_it(snapshot: Snapshot) -> None:
    """This ensures that a name that the lexicon stands in for counts as held and known."""
    (stored,) = snapshot.catalogue.passages([0])
    term = snapshot.lexical.analyze(stored.passage.text)[0]
    plain = Query((DenseText(stored.passage.text),), (QueryTerm("zzbrand"),))
    with_word = replace(plain, terms=(*plain.terms, QueryTerm(term, 1.0, stands_for="zzbrand")))

    without, covered = (features(look(snapshot, "zzbrand", query)) for query in (plain, with_word))

    assert (without["held_first"], without["unknown_share"]) == (0.0, 1.0)
    assert (covered["held_first"], covered["unknown_share"]) == (1.0, 0.0)


def test_the_question_is_in_no_representation(snapshot: Snapshot) -> None:
    """This ensures that a look in a log or a traceback does not show the question."""
    shown = repr(look(snapshot, "xylophone quasar"))

    assert "xylophon" not in shown
    assert "quasar" not in shown


def test_only_the_first_passages_are_looked_at_in_order(snapshot: Snapshot) -> None:
    """This ensures that the passages are the first hits', in the order of the ranking."""
    looked = look(snapshot, own_sentence(snapshot))

    ordinals = [hit.ordinal for hit in looked.retrieval.hits[:N_LOOKED_AT]]
    by_ordinal = {s.ordinal: s.passage.id for s in snapshot.catalogue.passages(ordinals)}
    assert [passage.id for passage in looked.passages] == [by_ordinal[o] for o in ordinals]


def test_no_hit_is_off_topic_with_no_confidence(snapshot: Snapshot) -> None:
    """This ensures that filters that leave nothing never reach a provider."""
    nothing = look_at("x", Retrieval((), 0.0, 0.0), snapshot)

    decision = AbstainModel((FEATURES,)).decide(nothing)

    assert (decision.confidence, decision.reason) == (0.0, "off_topic")


def test_the_fallback_rises_with_similarity_alone(snapshot: Snapshot) -> None:
    """This ensures that without a calibration the best similarity decides."""
    model = AbstainModel()
    near, far = look(snapshot, own_sentence(snapshot)), look(snapshot, "xylophone quasar marzipan")

    assert SimilarityFeature().features(near) == (features(near)["best_text"],)
    assert model.decide(near).confidence > 0.99
    assert model.decide(far).confidence < 0.5
    assert model.decide(far).reason == "off_topic"


@pytest.mark.parametrize(("intercept", "reason"), [(5.0, "not_answered"), (-5.0, "off_topic")])
def test_the_reason_is_the_topic_models(snapshot: Snapshot, intercept: float, reason: str) -> None:
    """This ensures that a question on the subject that nothing answers is told from another subject."""
    model = AbstainModel(topic=Logistic(intercept, (0.0,)))

    assert model.decide(look(snapshot, "methadone")).reason == reason
