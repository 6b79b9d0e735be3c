"""
From a question to an answer; readable from `answer_question` down. Knows no web framework and reads no settings.
"""

from __future__ import annotations

import time
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from index.catalogue_rows import StoredPassage
from index.fuse import FusionConfig
from index.model import Filters, Hit, QueryEncoder
from index.search import Retrieval, retrieve
from index.snapshot import Snapshot
from service.abstain import AbstainModel
from service.answer import Answer, AnswerPassage, Question, Scores
from service.citing import cite, document_card, proof
from service.errors import CitationMismatch, QuestionEmpty, QuestionTooLong, QuestionUnreadable, RequestInvalid
from service.evidence import evidence_span, segments

MAX_TOP_K = 20
MAX_QUESTION_CHARS = 4_000
_JOINERS = "\u200c\u200d"


@dataclass(frozen=True, slots=True)
class AnswerPolicy:
    """
    The operator's choices about answering.

    `min_confidence`: below it the answer is an abstention; 0 always answers. `max_per_document`: so that one long
    document does not fill the answer.
    """

    min_confidence: float = 0.5
    n_nearest: int = 3
    max_per_document: int = 3
    fusion: FusionConfig = FusionConfig()
    abstain: AbstainModel = AbstainModel()


def parse_question(
    text: str,
    *,
    top_k: int = 5,
    filters: Filters = Filters(),
    explain: bool = False,
    max_chars: int = MAX_QUESTION_CHARS,
    max_top_k: int = MAX_TOP_K,
) -> Question:
    """
    Check what somebody typed and return it as a Question.

    Control characters, which come along when text is pasted, count as spaces; invisible marks are dropped.

    Raises:
        QuestionEmpty, QuestionTooLong, QuestionUnreadable, RequestInvalid: none of them holds the text.
    """
    if len(text) > max_chars:
        raise QuestionTooLong(
            f"the question has {len(text)} characters, at most {max_chars} are read",
            where="question",
            fix="ask in fewer words",
        )
    if any(unicodedata.category(c) == "Cs" for c in text):
        raise QuestionUnreadable("the question holds half characters", where="question", fix="send valid Unicode text")
    text = _readable(text)
    if not any(c.isalnum() for c in text):
        raise QuestionEmpty("the question has no letter and no digit", where="question", fix="ask in words")
    if not 1 <= top_k <= max_top_k:
        raise RequestInvalid(f"top_k is not between 1 and {max_top_k}", where="top_k", fix="ask for fewer passages")
    return Question(text=text, top_k=top_k, filters=filters, explain=explain)


def _readable(text: str) -> str:
    """Return the text without what nobody typed; joiners stay, as words of several languages need them."""
    kinds = {c: unicodedata.category(c) for c in set(text)}
    kept = (" " if kinds[c] == "Cc" else c for c in text if kinds[c] != "Cf" or c in _JOINERS)
    return " ".join("".join(kept).split())


def answer_question(
    question: Question,
    snapshot: Snapshot,
    encoder: QueryEncoder,
    policy: AnswerPolicy = AnswerPolicy(),
    today: date | None = None,
) -> Answer:
    """
    Answer one question from one snapshot.

    Args:
        today: by which flags such as an overdue review are computed; the current day where not given.

    Raises:
        ModelMismatch: the encoder is not the model that the snapshot was built with.
        CitationMismatch: a quote is not in its document.
    """
    start = time.perf_counter()
    retrieval = retrieve(snapshot, encoder, question.text, filters=question.filters, config=policy.fusion)
    confidence = policy.abstain.confidence(retrieval)
    answered = bool(retrieval.hits) and confidence >= policy.min_confidence
    limit = question.top_k if answered else min(policy.n_nearest, question.top_k)
    chosen = _choose(snapshot, retrieval.hits, limit, policy.max_per_document)
    passages = _quote(snapshot, chosen, retrieval, question.explain, today or datetime.now(UTC).date())
    return Answer(
        answered=answered,
        confidence=round(confidence, 4),
        reason=None if answered else _reason(retrieval),
        passages=passages if answered else (),
        nearest=() if answered else passages,
        notices=(),
        snapshot_id=snapshot.id,
        built_at=snapshot.manifest.created_at,
        took_ms=round((time.perf_counter() - start) * 1000, 2),
    )


def _reason(retrieval: Retrieval) -> str:
    return "off_topic" if retrieval.hits else "filters_match_nothing"


def _choose(
    snapshot: Snapshot, hits: Sequence[Hit], limit: int, max_per_document: int
) -> list[tuple[Hit, StoredPassage]]:
    """Return the best hits with at most so many per document; fewer asked for gives a prefix of more."""
    chosen: list[tuple[Hit, StoredPassage]] = []
    per_document: Counter[str] = Counter()
    for batch in _in_batches(hits, 2 * limit):
        stored = {s.ordinal: s for s in snapshot.catalogue.passages([hit.ordinal for hit in batch])}
        for hit in batch:
            document_id = stored[hit.ordinal].document.id
            if per_document[document_id] < max_per_document:
                per_document[document_id] += 1
                chosen.append((hit, stored[hit.ordinal]))
            if len(chosen) == limit:
                return chosen
    return chosen


def _in_batches(hits: Sequence[Hit], size: int) -> Iterable[Sequence[Hit]]:
    return (hits[first : first + size] for first in range(0, len(hits), size))


def _quote(
    snapshot: Snapshot,
    chosen: Sequence[tuple[Hit, StoredPassage]],
    retrieval: Retrieval,
    explain: bool,
    today: date,
) -> tuple[AnswerPassage, ...]:
    return tuple(
        _answer_passage(
            hit, stored, rank, _checked_text(snapshot, stored), retrieval.lexical_share if explain else None, today
        )
        for rank, (hit, stored) in enumerate(chosen, start=1)
    )


def _checked_text(snapshot: Snapshot, stored: StoredPassage) -> str:
    """
    Return the document's text once the passage has been found in it, word for word, at its place.

    The catalogue has checked the text against its SHA-256 when it was loaded.
    """
    passage = stored.passage
    text = snapshot.catalogue.text(stored.document.id)
    if text[passage.start : passage.end] != passage.text:
        raise CitationMismatch(
            "a stored passage differs from its document",
            where=f"{stored.document.id} [{passage.start}, {passage.end})",
            fix="run `citewell verify`, then `citewell rollback` or `citewell build`",
        )
    return text


def _answer_passage(
    hit: Hit, stored: StoredPassage, rank: int, document_text: str, lexical_share: float | None, today: date
) -> AnswerPassage:
    passage = stored.passage
    evidence = evidence_span(passage.text, passage.start, passage.sentences, hit.best_sentence)
    return AnswerPassage(
        id=passage.id,
        rank=rank,
        score=round(hit.score, 4),
        text=passage.text,
        start=passage.start,
        end=passage.end,
        evidence=(evidence,),
        segments=segments(passage.text, passage.start, (evidence,)),
        heading_path=passage.heading_path,
        pages=passage.pages,
        document=document_card(stored.document, today),
        citation=cite(stored.document, passage, evidence, document_text),
        proof=proof(stored.document),
        scores=None if lexical_share is None else _scores(hit, lexical_share),
    )


def _scores(hit: Hit, lexical_share: float) -> Scores:
    return Scores(
        passage_similarity=round(hit.passage_similarity, 4),
        text_similarity=round(hit.text_similarity, 4),
        sentence_similarity=round(hit.sentence_similarity, 4),
        lexical_score=None if hit.lexical_score is None else round(hit.lexical_score, 3),
        lexical_share=round(lexical_share, 3),
    )
