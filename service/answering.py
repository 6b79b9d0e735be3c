"""
From a question to an answer; readable from `answer_question` down. Knows no web framework and reads no settings.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import numpy as np

from index.catalogue_rows import StoredPassage
from index.fuse import FusionConfig
from index.hits import in_order
from index.model import Filters, Float32, Hit, QueryEncoder
from index.search import Retrieval, retrieve
from index.snapshot import Snapshot
from ingest.model import SourceType
from service.abstain import AbstainModel, Decider, Decision
from service.answer import AlsoIn, Answer, AnswerPassage, Notice, Question, Scores
from service.citing import cite, document_card, proof
from service.decision_features import N_LOOKED_AT, Look, look_at
from service.diversity import Candidate, Chosen, asks_for_testimony, choose, hold_back_testimony
from service.errors import CitationMismatch, QuestionEmpty, QuestionTooLong, QuestionUnreadable, RequestInvalid
from service.evidence import evidence_span, segments
from service.judging import Judging
from service.language import ENGLISH, holds_language, unknown_language
from service.lexicon import Lexicon
from service.notices import NoticeBoard, notices_only
from service.phases import Phases
from service.understanding import NO_LEXICON, understand

MAX_TOP_K = 20
MAX_QUESTION_CHARS = 4_000
_JOINERS = "\u200c\u200d"


@dataclass(frozen=True, slots=True)
class AnswerPolicy:
    """
    The operator's choices about answering.

    `min_confidence`: below it the answer is an abstention; 0 always answers, None takes the operating point of
    `abstain`. `max_per_document`: so that one long document does not fill the answer. `lexicon`: names that are
    understood; None understands none. `languages`: the codes of those that the model knows; "*" is all.
    `preferred`: kinds of source that come first among passages that fit about as well, the best one first. `judging`:
    the judge; it is asked where `abstain` was fitted with it.
    """

    min_confidence: float | None = None
    n_nearest: int = 3
    max_per_document: int = 3
    fusion: FusionConfig = FusionConfig()
    abstain: Decider = AbstainModel()
    lexicon: Lexicon | None = None
    languages: tuple[str, ...] = (ENGLISH,)
    preferred: tuple[SourceType, ...] = ()
    judging: Judging | None = None

    @property
    def threshold(self) -> float:
        """Return the confidence from which on questions are answered."""
        return self.abstain.operating_point if self.min_confidence is None else self.min_confidence

    def answers(self, decision: Decision) -> bool:
        """Tell whether a question is answered; one that was decided without the judge has a threshold of its own."""
        return decision.confidence >= (decision.operating_point if self.min_confidence is None else self.min_confidence)


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
    if not text.isascii() and any(unicodedata.category(c) == "Cs" for c in text):
        raise QuestionUnreadable("the question holds half characters", where="question", fix="send valid Unicode text")
    text = _readable(text)
    if not any(c.isalnum() for c in text):
        raise QuestionEmpty("the question has no letter and no digit", where="question", fix="ask in words")
    if not 1 <= top_k <= max_top_k:
        raise RequestInvalid(f"top_k is not between 1 and {max_top_k}", where="top_k", fix="ask for fewer passages")
    return Question(text=text, top_k=top_k, filters=filters, explain=explain)


def _readable(text: str) -> str:
    """Return the text without what nobody typed; joiners stay, as words of several languages need them."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    kinds = {c: unicodedata.category(c) for c in set(text)}
    kept = (" " if kinds[c] == "Cc" else c for c in text if kinds[c] != "Cf" or c in _JOINERS)
    return " ".join("".join(kept).split())


def answer_question(
    question: Question,
    snapshot: Snapshot,
    encoder: QueryEncoder,
    policy: AnswerPolicy = AnswerPolicy(),
    today: date | None = None,
    notices: NoticeBoard | None = None,
    phases: Phases | None = None,
) -> Answer:
    """
    Answer one question from one snapshot.

    Args:
        today: by which flags such as an overdue review are computed; the current day where not given.
        notices: the operator's crisis notices; they come before retrieval and depend on nothing that it finds.
        phases: learns how long each step took.

    Raises:
        ModelMismatch: the encoder is not the model that the snapshot was built with.
        CitationMismatch: a quote is not in its document.
    """
    start, phases = time.perf_counter(), phases or Phases()
    encoder = _Remembering(encoder)
    shown = notices_only(question.text, notices, encoder)
    phases.done("notices")
    if not _is_understood(question.text, snapshot, policy):
        return _in_unknown_language(snapshot, shown, policy.languages, start)
    query = understand(question.text, snapshot.lexical, policy.lexicon)
    phases.done("understand")
    retrieval = retrieve(
        snapshot, encoder, query, filters=question.filters, preferred=policy.preferred, config=policy.fusion
    )
    phases.done("retrieve")
    _read_ahead(snapshot, retrieval.hits, question.top_k)
    look = _judged(look_at(question.text, retrieval, snapshot, query), policy)
    phases.done("judge")
    decision = policy.abstain.decide(look)
    answered = bool(retrieval.hits) and policy.answers(decision)
    phases.done("decide")
    limit = question.top_k if answered else min(policy.n_nearest, question.top_k)
    chosen = _choose(snapshot, question, retrieval.hits, limit, policy.max_per_document)
    answers = dict(zip((hit.ordinal for hit in retrieval.hits), decision.answers, strict=False))
    passages = _quote(snapshot, chosen, retrieval, question.explain, today or datetime.now(UTC).date(), answers)
    phases.done("quote")
    return Answer(
        answered=answered,
        confidence=round(decision.confidence, 4),
        reason=None if answered else _reason(retrieval, decision),
        passages=passages if answered else (),
        nearest=() if answered else passages,
        notices=shown,
        snapshot_id=snapshot.id,
        built_at=snapshot.manifest.created_at,
        took_ms=round((time.perf_counter() - start) * 1000, 2),
        matched=query.matched,
    )


def _is_understood(text: str, snapshot: Snapshot, policy: AnswerPolicy) -> bool:
    """Tell whether a question may be in a language that the model knows or that documents are written in."""
    language = unknown_language(text, policy.languages, snapshot.lexical, policy.lexicon or NO_LEXICON)
    return not language or holds_language(snapshot, language)


def _in_unknown_language(
    snapshot: Snapshot, notices: tuple[Notice, ...], languages: tuple[str, ...], start: float
) -> Answer:
    """Return an abstention without `nearest`: what is near to words that are not understood is near by chance."""
    return replace(
        answer_without_index(notices, "language_not_supported"),
        snapshot_id=snapshot.id,
        built_at=snapshot.manifest.created_at,
        took_ms=round((time.perf_counter() - start) * 1000, 2),
        languages=languages,
    )


def answer_without_index(notices: tuple[Notice, ...], reason: str = "no_index") -> Answer:
    """Return what can be said without a snapshot: the notices alone, as an abstention."""
    return Answer(
        answered=False,
        confidence=0.0,
        reason=reason,
        passages=(),
        nearest=(),
        notices=notices,
        snapshot_id="",
        built_at="",
        took_ms=0.0,
    )


class _Remembering:
    """An encoder for the length of one question: a text that notices and retrieval both need is encoded once."""

    def __init__(self, encoder: QueryEncoder) -> None:
        self._encoder = encoder
        self._known: dict[str, Float32] = {}

    @property
    def fingerprint(self) -> str:
        return self._encoder.fingerprint

    @property
    def dimension(self) -> int:
        return self._encoder.dimension

    def encode_queries(self, texts: Sequence[str]) -> Float32:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known |= dict(zip(new, self._encoder.encode_queries(new), strict=True))
        return np.stack([self._known[text] for text in texts]) if texts else self._encoder.encode_queries(())


def _judged(look: Look, policy: AnswerPolicy) -> Look:
    """Return a look with what the judge says, where what it says counts."""
    judging = policy.judging
    if judging is None or judging.sha256 != policy.abstain.judge_sha256 or not look.passages:
        return look
    return judging.judged(look)


def _reason(retrieval: Retrieval, decision: Decision) -> str:
    return decision.reason if retrieval.hits else "filters_match_nothing"


def _choose(
    snapshot: Snapshot, question: Question, hits: Sequence[Hit], limit: int, max_per_document: int
) -> list[Chosen]:
    def read(candidate: Candidate) -> tuple[Hit, StoredPassage]:
        hit = hits[candidate.place]
        return hit, snapshot.catalogue.passages([hit.ordinal])[0]

    ranked = _iter_candidates(snapshot, hits)
    if not asks_for_testimony(question.text):
        ranked = hold_back_testimony(ranked)
    return choose(ranked, limit, max_per_document, read)


def _read_ahead(snapshot: Snapshot, hits: Sequence[Hit], top_k: int) -> None:
    """Read the passages that the decision and the choice most likely look at, by one query instead of several."""
    # Half of those that come up are copies, or too many of one document.
    snapshot.catalogue.passages(in_order(hits)[0][: max(N_LOOKED_AT, 2 * top_k)])


def _iter_candidates(snapshot: Snapshot, hits: Sequence[Hit]) -> Iterator[Candidate]:
    """Return the hits as what choosing goes by."""
    ordinals, scores = in_order(hits)
    documents = snapshot.catalogue.document_numbers(ordinals)
    mask = snapshot.catalogue.allowed(Filters(source_type=(SourceType.PERSONAL,)))
    is_testimony = mask[ordinals] if mask is not None else np.zeros(len(ordinals), np.bool_)
    return map(Candidate, range(len(ordinals)), scores.tolist(), documents.tolist(), is_testimony.tolist())


def _quote(
    snapshot: Snapshot,
    chosen: Sequence[Chosen],
    retrieval: Retrieval,
    explain: bool,
    today: date,
    answers: Mapping[int, float],
) -> tuple[AnswerPassage, ...]:
    snapshot.catalogue.read_texts(found.stored.document for found in chosen)
    return tuple(
        replace(
            _answer_passage(
                found, rank, _checked_text(snapshot, found.stored), retrieval.lexical_share if explain else None, today
            ),
            answers=answers.get(found.hit.ordinal),
        )
        for rank, found in enumerate(chosen, start=1)
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
    found: Chosen, rank: int, document_text: str, lexical_share: float | None, today: date
) -> AnswerPassage:
    hit, stored = found.hit, found.stored
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
        also_in=tuple(AlsoIn(s.document.id, s.document.metadata.title, s.passage.id) for s in found.also_in),
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
