"""
What an answer is: the values that HTTP, the command line, the page and the evaluation all show. No logic, no I/O.

Offsets are Unicode code points into the document's text, half-open.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from index.model import Filters
from ingest.model import SourceType


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody asks, already checked by `parse_question`."""

    text: str
    top_k: int = 5
    filters: Filters = Filters()
    explain: bool = False


@dataclass(frozen=True, slots=True)
class DocumentCard:
    """Where a passage comes from, as a reader needs it to judge."""

    id: str
    source_path: str
    title: str
    publisher: str
    authors: tuple[str, ...]
    published: date | None
    reviewed: date | None
    review_due: date | None
    source_type: SourceType
    url: str
    license: str
    language: str
    tags: tuple[str, ...]
    audience: tuple[str, ...]
    funding: str
    disclosure: str
    content_note: str
    flags: tuple[str, ...]  # undated, review_overdue, commercial, personal_testimony


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a passage's text, already cut; segments in order give the whole text."""

    text: str
    evidence: bool


@dataclass(frozen=True, slots=True)
class TextQuoteSelector:
    """W3C Web Annotation: the exact words with a little of what stands around them."""

    exact: str
    prefix: str
    suffix: str


@dataclass(frozen=True, slots=True)
class TextPositionSelector:
    """W3C Web Annotation: offsets in the document's text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Citation:
    """How to name and find the place. `link` is "" for a document without an address."""

    text: str
    quote_selector: TextQuoteSelector
    position_selector: TextPositionSelector
    link: str
    permalink: str


@dataclass(frozen=True, slots=True)
class Proof:
    """What `service/prove.py` needs to re-prove the quote."""

    text_sha256: str
    source_sha256: str
    reader: str


@dataclass(frozen=True, slots=True)
class Scores:
    """Why a passage stands where it stands; given on request."""

    passage_similarity: float
    text_similarity: float
    sentence_similarity: float
    lexical_score: float | None
    lexical_share: float


@dataclass(frozen=True, slots=True)
class AlsoIn:
    """Another place where nearly the same words stand."""

    document_id: str
    title: str
    passage_id: str


@dataclass(frozen=True, slots=True)
class AnswerPassage:
    """
    One quotation with everything that leads back to its source.

    `answers`: the probability that it answers the question, for the first passages and where there is a judge.
    """

    id: str
    rank: int
    score: float
    text: str
    start: int
    end: int
    evidence: tuple[tuple[int, int], ...]
    segments: tuple[Segment, ...]
    heading_path: tuple[str, ...]
    pages: tuple[int, int] | None
    document: DocumentCard
    citation: Citation
    proof: Proof
    also_in: tuple[AlsoIn, ...] = ()
    scores: Scores | None = None
    answers: float | None = None


@dataclass(frozen=True, slots=True)
class NoticeLink:
    """A place to turn to: a `tel:`, `sms:` or `https:` address."""

    label: str
    href: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A fixed text of the operator's, shown before everything else."""

    kind: str
    id: str
    title: str
    text: str
    links: tuple[NoticeLink, ...]
    verified_on: date
    language: str  # of title, text and labels: a code such as "es"


@dataclass(frozen=True, slots=True)
class Answer:
    """
    The reply to one question.

    `passages` is empty exactly when `answered` is False; then `reason` is a code ("off_topic", "not_answered",
    "language_not_supported", "filters_match_nothing", "no_index") and `nearest` may hold passages that are close and
    labelled as no answer. `matched` says which names in the question were understood as another ("Vivitrol:
    extended-release naltrexone"); never slang. `languages` are the codes of those that are understood, given with
    "language_not_supported". `snapshot_id` is "" where nothing is indexed and notices are all there is.
    """

    answered: bool
    confidence: float
    reason: str | None
    passages: tuple[AnswerPassage, ...]
    nearest: tuple[AnswerPassage, ...]
    notices: tuple[Notice, ...]
    snapshot_id: str
    built_at: str
    took_ms: float
    matched: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
