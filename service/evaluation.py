"""
Asking labelled questions of a snapshot: placing the labels, answering in order, comparing. No arithmetic of measures.

Every question is answered through `answer_question`, as HTTP and the command line do, with the policy's threshold put
to 0 so that there is always a ranking; whether the policy would have answered is read from the confidence.

A passage is relevant to a labelled span of the same document when at least half of the passage lies in the span or at
least half of the span lies in the passage (`service.measures.covers_half`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from index.catalogue import StoredDocument, StoredPassage
from index.model import QueryEncoder
from index.snapshot import Snapshot
from ingest.model import Document
from service.answer import Answer, AnswerPassage, Question
from service.answering import AnswerPolicy, answer_question, parse_question
from service.errors import QuestionsInvalid, RequestFault
from service.evaluation_report import EvaluationReport, Group, LabelProblem, Outcome, Returned, render_rows
from service.measures import agrees, covers_half, marked_share, overlap
from service.notices import NoticeBoard
from service.questions import (
    UNANSWERABLE_FAR,
    UNANSWERABLE_NEAR,
    Label,
    LabelledQuestion,
    QuestionFile,
    find_quote,
    read_questions,
)

__all__ = ["EvaluationReport", "Library", "evaluate", "evaluate_file", "render_rows"]

TOP_K = 10  # the depth of MRR@10 and nDCG@10
Span = tuple[int, int]
Ask = Callable[[Question], Answer]
Progress = Callable[[int, int], None]  # questions done, questions in all


class Library(Protocol):
    """What the evaluation reads of a snapshot's catalogue; tests give a small one in memory."""

    def document(self, document_id: str) -> StoredDocument | None:
        """Return one document, None when unknown."""

    def text(self, document_id: str) -> str:
        """Return Document.text."""

    def full_document(self, document_id: str) -> Document:
        """Return the document with its blocks."""

    def passages_of(self, document_id: str) -> list[StoredPassage]:
        """Return a document's passages."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A question with its labels as spans by document; `gold_documents` without repeats."""

    question: LabelledQuestion
    spans: dict[str, tuple[Span, ...]]
    gold_documents: tuple[str, ...]
    relevant_by_document: dict[str, int]

    @property
    def group(self) -> Group:
        if self.spans:
            return "answerable"
        if self.question.gold or self.question.also:
            return "unplaced"
        groups: dict[str, Group] = {UNANSWERABLE_NEAR: "near", UNANSWERABLE_FAR: "far"}
        return groups.get(self.question.kind, "other")


def evaluate_file(
    path: Path,
    snapshot: Snapshot,
    encoder: QueryEncoder,
    policy: AnswerPolicy = AnswerPolicy(),
    on_progress: Progress | None = None,
    *,
    notices: NoticeBoard | None = None,
    has_notices: bool = False,
) -> EvaluationReport:
    """
    Ask a file of labelled questions of a snapshot and measure the answers.

    Args:
        policy: the deployment's; its `threshold` is the operating point that is reported.
        notices: the deployment's; then their recall and false alarms are measured.
        has_notices: the deployment shows notices, given by other means.

    Raises:
        QuestionsInvalid: the file is malformed, a question can't be asked, or no label fits the snapshot.
        ModelMismatch, CitationMismatch: as `answer_question`.
    """
    always = replace(policy, min_confidence=0.0)
    outcome = evaluate(
        read_questions(path),
        lambda question: answer_question(question, snapshot, encoder, always, notices=notices),
        snapshot.catalogue,
        policy,
        on_progress,
        where=str(path),
    )
    return replace(
        outcome,
        snapshot_id=snapshot.id,
        built_at=snapshot.manifest.created_at,
        model_fingerprint=encoder.fingerprint,
        has_notices=notices is not None or has_notices or outcome.has_notices,
    )


def evaluate(
    file: QuestionFile,
    ask: Ask,
    library: Library,
    policy: AnswerPolicy = AnswerPolicy(),
    on_progress: Progress | None = None,
    *,
    where: str = "",
) -> EvaluationReport:
    """
    Ask questions and measure the answers; `evaluate_file` without files and without a snapshot.

    Args:
        ask: answers always, whatever the confidence, with as many passages as the question asks for.
        where: the file's path, for errors.

    Returns:
        A report without the snapshot's and the model's identity; `has_notices` when any answer had one.

    Raises:
        QuestionsInvalid: a question can't be asked, or there are labels and none fits the library.
    """
    where = where or file.name
    asked = [_parse(question, where) for question in file.questions]
    placed, problems = _place_all(file.questions, library)
    if problems and not any(p.spans for p in placed):
        raise QuestionsInvalid(
            f"none of the {len(problems)} labels fits a document of this snapshot, the first one because: "
            f"{problems[0].document_id}: {problems[0].reason}",
            where=where,
            fix="build an index of the corpus that the labels were made for",
        )
    furniture: dict[str, tuple[Span, ...]] = {}
    outcomes: list[Outcome] = []
    snapshot_id, built_at, n_notices = "", "", 0
    for question, labels in zip(asked, placed, strict=True):
        answer = ask(question)
        returned = tuple(_inspect(passage, labels, library, furniture) for passage in answer.passages)
        outcomes.append(_to_outcome(labels, answer, returned, policy))
        snapshot_id, built_at, n_notices = answer.snapshot_id, answer.built_at, n_notices + len(answer.notices)
        if on_progress is not None:
            on_progress(len(outcomes), len(asked))
    return EvaluationReport(
        file.name, file.sha256, snapshot_id, built_at, "", policy, n_notices > 0, tuple(outcomes), tuple(problems)
    )


def _parse(question: LabelledQuestion, where: str) -> Question:
    try:
        return parse_question(question.text, top_k=TOP_K)
    except RequestFault as error:
        place = f"{where}, line {question.line}, field question"
        raise QuestionsInvalid(error.what, where=place, fix=error.fix) from error


def _place_all(questions: Sequence[LabelledQuestion], library: Library) -> tuple[list[_Placed], list[LabelProblem]]:
    problems: list[LabelProblem] = []
    placed: list[_Placed] = []
    for question in questions:
        spans: dict[str, tuple[Span, ...]] = {}
        gold_documents: list[str] = []
        relevant: dict[str, int] = {}
        for label in (*question.gold, *question.also):
            found = _place(label, library)
            if isinstance(found, str):
                problems.append(LabelProblem(question.id, label.document_id, found))
                continue
            spans[label.document_id] = (*spans.get(label.document_id, ()), *found)
            if label in question.gold and label.document_id not in gold_documents:
                gold_documents.append(label.document_id)
        for document_id, wanted in spans.items():
            passages = [(p.passage.start, p.passage.end) for p in library.passages_of(document_id)]
            relevant[document_id] = sum(is_relevant(passage, wanted) for passage in passages)
            lost = [span for span in wanted if not any(covers_half(passage, span) for passage in passages)]
            problems.extend(
                LabelProblem(
                    question.id, document_id, f"no passage covers [{start}, {end}), so nothing can hit it", True
                )
                for start, end in lost
            )
        placed.append(_Placed(question, spans, tuple(gold_documents), relevant))
    return placed, problems


def labelled_spans(question: LabelledQuestion, library: Library) -> dict[str, list[Span]]:
    """Return where the labels of a question lie, by document; labels that lie nowhere are left out."""
    spans: dict[str, list[Span]] = {}
    for label in (*question.gold, *question.also):
        found = _place(label, library)
        if not isinstance(found, str):
            spans.setdefault(label.document_id, []).extend(found)
    return spans


def _place(label: Label, library: Library) -> list[Span] | str:
    """Return where a label lies in its document, or the reason why it lies nowhere."""
    if library.document(label.document_id) is None:
        return "the snapshot holds no such document"
    text = library.text(label.document_id)
    if label.quote:
        return find_quote(text, label.quote) or "the quote is not in the document's text"
    if label.end > len(text):
        return f"the offsets end at {label.end}, the document's text has {len(text)} characters"
    return [(label.start, label.end)]


def is_relevant(passage: Span, spans: Sequence[Span]) -> bool:
    """Tell whether a passage lies by half in one of these labelled spans, or one of them in it."""
    return any(covers_half(passage, span) for span in spans)


def _inspect(
    passage: AnswerPassage, labels: _Placed, library: Library, furniture: dict[str, tuple[Span, ...]]
) -> Returned:
    document_id, span = passage.document.id, (passage.start, passage.end)
    if document_id not in furniture:
        blocks = library.full_document(document_id).blocks
        furniture[document_id] = tuple((block.start, block.end) for block in blocks if block.furniture)
    return Returned(
        document_id,
        passage.start,
        passage.end,
        is_relevant=is_relevant(span, labels.spans.get(document_id, ())),
        is_verbatim=library.text(document_id)[passage.start : passage.end] == passage.text,
        is_furniture=any(overlap(span, block) > 0 for block in furniture[document_id]),
    )


def _to_outcome(labels: _Placed, answer: Answer, returned: tuple[Returned, ...], policy: AnswerPolicy) -> Outcome:
    question = labels.question
    is_agreed: bool | None = None
    marked: float | None = None
    # A label by offsets is a whole section: evidence inside it would always agree.
    if returned and returned[0].is_relevant and any(label.quote for label in (*question.gold, *question.also)):
        first = answer.passages[0]
        span = (first.start, first.end)
        is_agreed = agrees(first.evidence, labels.spans[first.document.id], span)
        marked = marked_share(first.evidence, span)
    return Outcome(
        id=question.id,
        kind=question.kind,
        group=labels.group,
        text=question.text,
        returned=returned,
        n_relevant=_best_possible(labels, returned, policy),
        gold_documents=labels.gold_documents,
        confidence=answer.confidence,
        is_answered=bool(returned) and answer.confidence >= policy.threshold,
        is_agreed=is_agreed,
        marked_share=marked,
        n_notices=len(answer.notices),
        is_other_language=answer.reason == "language_not_supported",
        took_ms=answer.took_ms,
    )


def _best_possible(labels: _Placed, returned: Sequence[Returned], policy: AnswerPolicy) -> int:
    """Return how many relevant passages the best list that the policy allows holds."""
    total = 0
    for document_id, n_relevant in labels.relevant_by_document.items():
        shown = sum(r.is_relevant and r.document_id == document_id for r in returned)
        # An answerer may show more of a document than the limit where nothing else is left to show.
        total += max(shown, min(n_relevant, policy.max_per_document))
    return total
