"""From a question to an answer, without the web."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from index.catalogue import Catalogue
from index.model import Filters
from index.snapshot import Snapshot, open_snapshot
from index.store import IndexDir
from index.testing import HashingEmbedder, tiny_documents, write_tiny_snapshot
from ingest.model import SourceType
from service.answer import Answer
from service.answering import AnswerPolicy, answer_question, parse_question
from service.errors import CitationMismatch, QuestionEmpty, QuestionTooLong, QuestionUnreadable, RequestInvalid

ALWAYS = AnswerPolicy(min_confidence=0.0)
QUESTION = "When does withdrawal start after the last dose?"


@pytest.fixture
def snapshot(tmp_path: Path) -> Iterator[Snapshot]:
    index_dir = IndexDir(tmp_path)
    write_tiny_snapshot(index_dir)
    with open_snapshot(index_dir) as opened:
        yield opened


def ask(snapshot: Snapshot, text: str = QUESTION, policy: AnswerPolicy = ALWAYS, top_k: int = 5) -> Answer:
    return answer_question(parse_question(text, top_k=top_k), snapshot, HashingEmbedder(), policy, date(2026, 6, 1))


def test_every_quote_stands_in_its_document(snapshot: Snapshot) -> None:
    """This ensures the central promise on everything an answer holds: passage, segments, evidence, selector."""
    for passage in ask(snapshot).passages:
        text = snapshot.catalogue.text(passage.document.id)
        quote = passage.citation.quote_selector
        assert text[passage.start : passage.end] == passage.text == quote.exact
        assert "".join(segment.text for segment in passage.segments) == passage.text
        assert quote.prefix + quote.exact + quote.suffix in text
        assert all(passage.start <= start < end <= passage.end for start, end in passage.evidence)


def test_a_passage_that_differs_from_its_document_is_never_returned(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This ensures that a mismatch is an error and not a wrong quote."""
    real = Catalogue.text
    monkeypatch.setattr(Catalogue, "text", lambda self, key: real(self, key).replace("six", "sex"))

    with pytest.raises(CitationMismatch):
        ask(snapshot)


def test_fewer_asked_for_is_a_prefix_of_more(snapshot: Snapshot) -> None:
    """This ensures that the first answers are the same, however many are asked for."""
    more = [p.id for p in ask(snapshot, top_k=6).passages]

    for top_k in range(1, 6):
        assert [p.id for p in ask(snapshot, top_k=top_k).passages] == more[:top_k]


def test_a_preferred_source_keeps_the_order_of_fewer_and_more(snapshot: Snapshot) -> None:
    """This ensures that five answers are the first five of six also where an operator prefers some sources."""
    policy = AnswerPolicy(min_confidence=0.0, preferred=(SourceType.NEWS, SourceType.CHARITY))
    more = [p.id for p in ask(snapshot, policy=policy, top_k=6).passages]

    for top_k in range(1, 6):
        assert [p.id for p in ask(snapshot, policy=policy, top_k=top_k).passages] == more[:top_k]


def test_preferred_testimony_is_not_first_all_the_same(tmp_path: Path) -> None:
    """This ensures that no setting puts one person's story in front of a general question."""
    library = tuple(
        (replace(d, metadata=replace(d.metadata, source_type=kind)), passages)
        for (d, passages), kind in zip(
            tiny_documents(), [SourceType.PERSONAL, SourceType.NEWS] * len(tiny_documents()), strict=False
        )
    )
    write_tiny_snapshot(IndexDir(tmp_path), library)
    policy = AnswerPolicy(min_confidence=0.0, preferred=(SourceType.PERSONAL,))

    with open_snapshot(IndexDir(tmp_path)) as opened:
        passages = ask(opened, "methadone long-acting opioid", policy).passages

    assert passages[0].document.source_type is SourceType.NEWS
    assert passages[1].document.source_type is SourceType.PERSONAL


def test_one_document_does_not_fill_the_answer(snapshot: Snapshot) -> None:
    """This ensures that a document gives at most as many passages as the policy allows."""
    policy = AnswerPolicy(min_confidence=0.0, max_per_document=1)

    documents = [p.document.id for p in ask(snapshot, "methadone", policy, top_k=20).passages]

    assert len(documents) == len(set(documents)) == snapshot.manifest.counts.documents


def test_below_the_operating_point_the_nearest_are_no_answer(snapshot: Snapshot) -> None:
    """This ensures that an abstention has no passages, says why, and sets what is close apart."""
    answer = ask(snapshot, policy=AnswerPolicy(min_confidence=1.0, n_nearest=2))

    assert (answer.answered, answer.reason, answer.passages) == (False, "off_topic", ())
    assert len(answer.nearest) == 2


def test_filters_that_match_nothing_are_named_as_the_reason(snapshot: Snapshot) -> None:
    """This ensures that a person learns that the filters, not the library, left nothing."""
    question = parse_question(QUESTION, filters=Filters(language="xx"))

    answer = answer_question(question, snapshot, HashingEmbedder(), ALWAYS)

    assert (answer.answered, answer.reason, answer.nearest) == (False, "filters_match_nothing", ())


def test_flags_are_by_the_day_of_the_answer(snapshot: Snapshot) -> None:
    """This ensures that an overdue review shows without a rebuild."""
    question = parse_question("methadone long-acting opioid", top_k=1)

    before = answer_question(question, snapshot, HashingEmbedder(), ALWAYS, date(2026, 1, 1)).passages[0]
    after = answer_question(question, snapshot, HashingEmbedder(), ALWAYS, date(2026, 6, 1)).passages[0]

    assert "review_overdue" not in before.document.flags
    assert "review_overdue" in after.document.flags


def test_scores_come_only_on_request(snapshot: Snapshot) -> None:
    """This ensures that `explain` brings the scores of each passage and that they are left out otherwise."""
    explained = answer_question(parse_question(QUESTION, explain=True), snapshot, HashingEmbedder(), ALWAYS)

    assert explained.passages[0].scores is not None
    assert ask(snapshot).passages[0].scores is None


@pytest.mark.parametrize("text", ["", "   \n", "🙂🙂", "?!", "\x00\x07\u200b", "\u202e"])
def test_nothing_to_answer_is_refused(text: str) -> None:
    """This ensures that a question without any letter or digit is a clear error."""
    with pytest.raises(QuestionEmpty):
        parse_question(text)


def test_a_hundred_thousand_characters_are_refused() -> None:
    """This ensures that length is refused by number, without the text."""
    with pytest.raises(QuestionTooLong, match="100000") as caught:
        parse_question("canary " * 14_285 + "canar")

    assert "canary" not in str(caught.value)


def test_half_characters_are_refused() -> None:
    """This ensures that lone surrogates, which no encoder takes, are an error of the question."""
    with pytest.raises(QuestionUnreadable):
        parse_question("what \ud800 is it")


def test_control_characters_count_as_spaces_and_invisible_ones_go() -> None:
    """This ensures that what comes along from a copied page neither breaks nor joins words."""
    assert parse_question("what\x00is\x07 it\u200bchy blood\u202e ?").text == "what is itchy blood ?"


def test_joiners_inside_words_stay() -> None:
    """This ensures that Persian and Indic words, which are written with joiners, are not broken."""
    assert parse_question("می\u200cخواهم").text == "می\u200cخواهم"


@pytest.mark.parametrize(
    "text", ["هل يسبب الهيروين الإدمان", "'; DROP TABLE passages; --", "<script>alert(1)</script>", "a"]
)
def test_strange_questions_are_answered_like_others(snapshot: Snapshot, text: str) -> None:
    """This ensures that right-to-left text, SQL, HTML and a single letter are just words to look for."""
    assert ask(snapshot, text).snapshot_id == snapshot.id


@pytest.mark.parametrize("top_k", [0, -1, 21, 10**9])
def test_top_k_out_of_range_is_refused(top_k: int) -> None:
    """This ensures that the number of passages is bounded, with the bound in the message."""
    with pytest.raises(RequestInvalid, match="20"):
        parse_question("heroin", top_k=top_k)
