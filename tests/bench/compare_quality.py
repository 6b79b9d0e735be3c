"""
Judges what sides returned against labelled questions, each side by the same rule. Asks nothing.

A passage is relevant when it and a labelled span of the same document share half of either (`covers_half`), as in
`citewell eval`. A side with larger chunks is not worse off by it: a chunk that holds half of the span counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from service.measures import covers_half, hit, mean_estimate, reciprocal_rank
from service.questions import UNANSWERABLE_FAR, UNANSWERABLE_NEAR, Label, LabelledQuestion, find_quote

Place = tuple[str, int, int]  # document, start, end


@dataclass(frozen=True, slots=True)
class Judged:
    """One answer: whether the side answered, and the relevance of what it returned; None without a placed label."""

    kind: str
    is_answered: bool
    relevance: tuple[bool, ...] | None


def place_labels(question: LabelledQuestion, text_of: Callable[[str], str | None]) -> dict[str, list[tuple[int, int]]]:
    """Return the labelled spans by document; a label that fits no document is left out."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for label in (*question.gold, *question.also):
        for span in _spans(label, text_of(label.document_id)):
            spans.setdefault(label.document_id, []).append(span)
    return spans


def _spans(label: Label, text: str | None) -> list[tuple[int, int]]:
    if text is None:
        return []
    if label.quote:
        return find_quote(text, label.quote)
    return [(label.start, label.end)] if label.end <= len(text) else []


def judge(
    question: LabelledQuestion, spans: dict[str, list[tuple[int, int]]], places: Sequence[Place], *, is_answered: bool
) -> Judged:
    """Return what an answer is worth."""
    if not spans:
        return Judged(question.kind, is_answered, None)
    relevance = tuple(
        any(covers_half((start, end), span) for span in spans.get(document, ())) for document, start, end in places
    )
    return Judged(question.kind, is_answered, relevance)


def summarise(judged: Sequence[Judged]) -> dict[str, Any]:
    """Return hit@1, 3 and 5 and MRR@10 with intervals, and the share answered of each kind of question."""
    ranked = [j.relevance for j in judged if j.relevance is not None]
    measures: dict[str, Callable[[Sequence[bool]], float]] = {
        "hit@1": lambda r: hit(r, 1),
        "hit@3": lambda r: hit(r, 3),
        "hit@5": lambda r: hit(r, 5),
        "mrr@10": reciprocal_rank,
    }
    found: dict[str, Any] = {"n": len(ranked)}
    for name, measure in measures.items():
        estimate = mean_estimate([measure(r) for r in ranked])
        found[name] = None if estimate is None else {k: round(v, 4) for k, v in asdict(estimate).items()}
    groups = {
        "answerable": [j for j in judged if j.relevance is not None],
        "near": [j for j in judged if j.kind == UNANSWERABLE_NEAR],
        "far": [j for j in judged if j.kind == UNANSWERABLE_FAR],
    }
    for name, group in groups.items():
        share = sum(j.is_answered for j in group) / len(group) if group else None
        found[f"answered_{name}"] = {"share": share, "n": len(group)}
    return found
