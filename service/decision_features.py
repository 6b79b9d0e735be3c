"""
What the decision to answer looks at, as numbers. Pure given what was retrieved; fits nothing and decides nothing.

`FeatureProvider` is the seam for further evidence. What the features bring is measured in ARCHITECTURE.md
("Abstaining").
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from index.hits import best_lexical, best_similarity
from index.judge import PairText
from index.model import Hit, Query
from index.search import Retrieval, plain_query
from index.snapshot import Snapshot
from ingest.model import Passage
from service.aspects import asked_aspects, is_said

# How many passages are read. A fourth changed no figure; each costs analysing its text (0.1 ms).
N_LOOKED_AT = 3
# Raised whenever a feature changes its meaning: weights fitted before say nothing then.
FEATURES_VERSION = 2


class TermIndex(Protocol):
    """What is asked of the lexical index."""

    @property
    def n(self) -> int:
        """Return the number of passages."""

    def analyze(self, text: str) -> list[str]:
        """Return the index terms of a text."""

    def document_frequency(self, terms: Sequence[str]) -> list[int]:
        """Return in how many passages each term stands."""


@dataclass(frozen=True, slots=True)
class Look:
    """
    Everything a decision may look at.

    `asked` is the question as it was understood: repaired, with neutral names, or the sentence of a long message that
    most likely asks. `wanted` holds its own index terms, each with the words that may stand for it; `passages` are the
    first hits' in order, at most N_LOOKED_AT. `log_odds` is what the judge says of each of them; empty where it was not
    asked or did not get through in time.
    """

    question: str = field(repr=False)  # never in a log, an error or a traceback
    asked: str = field(repr=False)
    wanted: tuple[tuple[str, ...], ...] = field(repr=False)
    retrieval: Retrieval
    passages: tuple[Passage, ...]
    terms: TermIndex
    log_odds: tuple[float, ...] = ()


class FeatureProvider(Protocol):
    """
    Turns a look into numbers, always the same ones in the same order.

    Weights are fitted over all providers' features.
    """

    @property
    def name(self) -> str:
        """Return the provider's name and version, such as "retrieval/1"; the calibration file holds it."""

    @property
    def signs(self) -> Mapping[str, int]:
        """Return each feature's name and which way it may count: 1 towards answering, -1 against, 0 either."""

    def features(self, look: Look) -> tuple[float, ...]:
        """Return one finite number for each name; the look has at least one hit."""


def look_at(question: str, retrieval: Retrieval, snapshot: Snapshot, query: Query | None = None) -> Look:
    """
    Return what the decision about a question looks at.

    Args:
        question: as it was typed.
        query: as it was understood and searched for; the question's own terms where not given.
    """
    ordinals = [hit.ordinal for hit in retrieval.hits[:N_LOOKED_AT]]
    stored = {s.ordinal: s.passage for s in snapshot.catalogue.passages(ordinals)} if ordinals else {}
    query = query or plain_query(question)
    wanted: dict[str, list[str]] = {}
    for term in query.terms:
        wanted.setdefault(term.stands_for or term.term, []).append(term.term)
    groups = tuple(tuple(dict.fromkeys((own, *others))) for own, others in wanted.items())
    passages = tuple(stored[o] for o in ordinals)
    asked = query.dense[-1].text
    return Look(question, asked, groups, retrieval, passages, snapshot.lexical)


def pair_texts(hits: Sequence[Hit], passages: Sequence[Passage]) -> list[PairText]:
    """Return passages as they are judged, around the sentence of each that is likest to the question."""
    return [
        PairText(
            passage.embedding_prefix,
            tuple(passage.text[start - passage.start : end - passage.start] for start, end in passage.sentences),
            hit.best_sentence,
        )
        for hit, passage in zip(hits, passages, strict=False)
    ]


class SimilarityFeature:
    """
    The best cosine of any passage's text or sentence, alone: whether the library speaks of the subject at all.

    What is left when no calibration fits the model; see `service.abstain.AbstainModel`.
    """

    name = "similarity/1"
    signs: Mapping[str, int] = MappingProxyType({"best_text": 1})

    def features(self, look: Look) -> tuple[float, ...]:
        """Return the one number."""
        return (best_similarity(look.retrieval.hits),)


class JudgeFeatures:
    """What the judge (`index/judge.py`) says of the first passages: of the likeliest, and of the one ranked first."""

    name = "judge/1"
    signs: Mapping[str, int] = MappingProxyType({"judge_best": 1, "judge_first": 1})

    def features(self, look: Look) -> tuple[float, ...]:
        """Return both log-odds; 0 where the judge was not asked, and then no model with these weights is used."""
        return (max(look.log_odds), look.log_odds[0]) if look.log_odds else (0.0, 0.0)


PASSAGE_FEATURES = ("judge", "text_similarity", "sentence_similarity")


def passage_features(look: Look) -> list[tuple[float, ...]]:
    """Return PASSAGE_FEATURES of each passage that the judge has read."""
    return [
        (log_odds, hit.text_similarity, hit.sentence_similarity)
        for log_odds, hit in zip(look.log_odds, look.retrieval.hits, strict=False)
    ]


class RetrievalFeatures:
    """
    Similarities, term coverage and aspects, all between -1 and 1 whatever the library's size.

    | feature | why |
    |---|---|
    | best_text | best cosine of any passage's text or sentence: does the library speak of the subject at all |
    | first_sentence | cosine of the first passage's best sentence: an answer mostly stands in one sentence |
    | coverage | idf-weighted share of the question's terms in the lexical hit that holds most of them |
    | held_first | the same share in the passage ranked first, which is the one shown |
    | unknown_share | share of the question's terms that stand nowhere in the library |
    | is_agreed | the best lexical hit is among the first passages: both indexes mean the same place |
    | aspect_missing | share of what is asked for (dose, cost ...) that none of the first passages speaks of |
    | aspect_missing_first | the same, in the passage ranked first |

    Tried and left out: the margin over the next passages, the similarity with headings included, the rarest term that
    is missing, the aspect standing in a heading (weight 0 or against reason beside the others); the question's length
    (it gains 0.1 AUROC on both small sets, because no unanswerable question in them is long, and makes any long message
    answerable).
    """

    name = f"retrieval/{FEATURES_VERSION}"
    signs: Mapping[str, int] = MappingProxyType(
        {
            "best_text": 1,
            "first_sentence": 1,
            "coverage": 1,
            "held_first": 1,
            "unknown_share": -1,
            "is_agreed": 1,
            "aspect_missing": -1,
            "aspect_missing_first": -1,
        }
    )

    def features(self, look: Look) -> tuple[float, ...]:
        """Return the features of one question, in the order of `signs`."""
        hits = look.retrieval.hits
        return (
            best_similarity(hits),
            hits[0].sentence_similarity,
            look.retrieval.coverage,
            *_terms(look),
            *_aspects(look),
        )


def _terms(look: Look) -> tuple[float, float, float]:
    """Return held_first, unknown_share, is_agreed."""
    hits, index = look.retrieval.hits, look.terms
    lexical = best_lexical(hits)
    is_agreed = float(lexical.lexical_score is not None and lexical.rank <= N_LOOKED_AT)
    if not look.wanted:
        return (0.0, 1.0, is_agreed)
    every = list(dict.fromkeys(term for group in look.wanted for term in group))
    frequency = dict(zip(every, index.document_frequency(every), strict=True))
    frequencies = [max(frequency[term] for term in group) for group in look.wanted]
    idf = [math.log(1 + index.n / max(df, 1)) for df in frequencies]
    held = set(index.analyze(_shown(look.passages[0])))
    found = sum(weight for group, weight in zip(look.wanted, idf, strict=True) if held.intersection(group))
    return (found / sum(idf), sum(df == 0 for df in frequencies) / len(frequencies), is_agreed)


def _aspects(look: Look) -> tuple[float, float]:
    """Return aspect_missing and aspect_missing_first; 0 where nothing is asked for that is known."""
    asked = asked_aspects(look.question)
    if not asked:
        return (0.0, 0.0)
    shown = [(_headings(passage), f"{passage.context} {passage.text}") for passage in look.passages]
    return (
        sum(not any(is_said(aspect, *parts) for parts in shown) for aspect in asked) / len(asked),
        sum(not is_said(aspect, *shown[0]) for aspect in asked) / len(asked),
    )


def _shown(passage: Passage) -> str:
    return f"{_headings(passage)} {passage.context} {passage.text}"


def _headings(passage: Passage) -> str:
    """Return title and headings, each on a line of its own."""
    return "\n".join((passage.title, *passage.heading_path))
