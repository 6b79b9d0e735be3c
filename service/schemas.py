"""
The JSON of the HTTP API: what comes in, what goes out, with an example of each. Conversion only; decides nothing.

Offsets count Unicode code points, half-open; a client that counts in other units uses the text that is sent cut.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from index.model import Filters
from ingest.model import SourceReference, SourceType
from service.answer import Answer, AnswerPassage, Citation, DocumentCard, Notice, Proof
from service.examples import ASK_REQUEST, ASK_RESPONSE, DOCUMENT, DOCUMENT_PAGE, PASSAGE

Word = Annotated[str, Field(min_length=1, max_length=200)]
Words = Annotated[tuple[Word, ...], Field(max_length=50)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class FiltersIn(_Model):
    """Which documents may answer. Within a field one value suffices, between fields all must hold."""

    source_type: Annotated[tuple[SourceType, ...], Field(max_length=50)] = Field(default=(), description="Who speaks.")
    tags: Words = Field(default=(), description="Subjects given to documents in library.toml.")
    audience: Words = Field(default=(), description="For whom a document is written.")
    publisher: Words = Field(default=(), description="Who published it, exactly as shown.")
    language: Annotated[str, Field(max_length=35)] = Field(
        default="", description='Language code such as "en"; "" is any.'
    )
    published_after: date | None = Field(default=None, description="On or after this day; undated documents fail.")
    published_before: date | None = Field(default=None, description="On or before this day; undated documents fail.")

    def to_filters(self) -> Filters:
        """Return the same as a value of the index."""
        return Filters(**{name: getattr(self, name) for name in FiltersIn.model_fields})


class AskRequest(_Model):
    """One question. The upper bounds of `question` and `top_k` are settings and shown in the served document."""

    model_config = ConfigDict(json_schema_extra={"examples": [ASK_REQUEST]})

    # An empty one is an error of its own (`parse_question`), so the bound is for readers of the document alone.
    question: str = Field(description="In anybody's own words.", json_schema_extra={"minLength": 1})
    top_k: Annotated[int, Field(ge=1)] = Field(default=5, description="Most passages wanted.")
    filters: FiltersIn = Field(default=FiltersIn())
    explain: bool = Field(default=False, description="Also send the scores behind each passage's place.")


class SpanOut(_Model):
    """A stretch `[start, end)` of the document's text."""

    start: int
    end: int


class SegmentOut(_Model):
    """A stretch of the passage, already cut; all of them in order give its text."""

    text: str
    evidence: bool


class DocumentOut(_Model):
    """Where a passage comes from."""

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
    flags: tuple[str, ...] = Field(description="undated, old, review_overdue, commercial, personal_testimony")

    @classmethod
    def from_card(cls, card: DocumentCard) -> DocumentOut:
        """Return a document's card as sent."""
        return cls(**{name: getattr(card, name) for name in DocumentOut.model_fields})


class QuoteSelectorOut(_Model):
    """W3C Web Annotation selector: the words and what stands around them."""

    type: Literal["TextQuoteSelector"] = "TextQuoteSelector"
    exact: str
    prefix: str
    suffix: str


class PositionSelectorOut(_Model):
    """W3C Web Annotation selector: offsets in the document's text."""

    type: Literal["TextPositionSelector"] = "TextPositionSelector"
    start: int
    end: int


class CitationOut(_Model):
    """How to name and find the place."""

    text: str
    selectors: tuple[QuoteSelectorOut, PositionSelectorOut]
    link: str = Field(description='The source itself, at the quoted words where browsers can; "" without an address.')
    permalink: str = Field(description="The passage in this service's own reader.")

    @classmethod
    def from_citation(cls, citation: Citation) -> CitationOut:
        """Return a citation as sent."""
        quote, position = citation.quote_selector, citation.position_selector
        return cls(
            text=citation.text,
            selectors=(
                QuoteSelectorOut(exact=quote.exact, prefix=quote.prefix, suffix=quote.suffix),
                PositionSelectorOut(start=position.start, end=position.end),
            ),
            link=citation.link,
            permalink=citation.permalink,
        )


class ProofOut(_Model):
    """What re-proves the quote."""

    text_sha256: str
    source_sha256: str
    reader: str

    @classmethod
    def from_proof(cls, proof: Proof) -> ProofOut:
        """Return a proof as sent."""
        return cls(text_sha256=proof.text_sha256, source_sha256=proof.source_sha256, reader=proof.reader)


class ScoresOut(_Model):
    """Why the passage stands where it stands."""

    passage_similarity: float
    text_similarity: float
    sentence_similarity: float
    lexical_score: float | None
    lexical_share: float


class AlsoInOut(_Model):
    """Another place where nearly the same words stand."""

    document_id: str
    title: str
    passage_id: str


class PassageOut(_Model):
    """One quotation with everything that leads back to its source."""

    id: str
    rank: int
    score: float
    text: str
    start: int
    end: int
    evidence: tuple[SpanOut, ...]
    segments: tuple[SegmentOut, ...]
    heading_path: tuple[str, ...]
    pages: tuple[int, int] | None
    document: DocumentOut
    citation: CitationOut
    proof: ProofOut
    also_in: tuple[AlsoInOut, ...] = ()
    answers: float | None = Field(
        default=None,
        description="Probability that this passage answers the question, by the judge, 0 to 1; null where it was not "
        "asked, as of all but the first passages.",
    )
    scores: ScoresOut | None = Field(
        default=None, exclude_if=lambda value: value is None, description="Sent on `explain`."
    )

    @classmethod
    def from_passage(cls, passage: AnswerPassage) -> PassageOut:
        """Return a quotation as sent."""
        scores = passage.scores
        return cls(
            id=passage.id,
            rank=passage.rank,
            score=passage.score,
            text=passage.text,
            start=passage.start,
            end=passage.end,
            evidence=tuple(SpanOut(start=start, end=end) for start, end in passage.evidence),
            segments=tuple(SegmentOut(text=s.text, evidence=s.evidence) for s in passage.segments),
            heading_path=passage.heading_path,
            pages=passage.pages,
            document=DocumentOut.from_card(passage.document),
            citation=CitationOut.from_citation(passage.citation),
            proof=ProofOut.from_proof(passage.proof),
            answers=passage.answers,
            also_in=tuple(
                AlsoInOut(document_id=o.document_id, title=o.title, passage_id=o.passage_id) for o in passage.also_in
            ),
            scores=None
            if scores is None
            else ScoresOut(**{name: getattr(scores, name) for name in ScoresOut.model_fields}),
        )


class NoticeLinkOut(_Model):
    """A place to turn to."""

    label: str
    href: str


class NoticeOut(_Model):
    """A fixed text of the operator's; show it before everything else."""

    kind: str
    id: str
    title: str
    text: str
    links: tuple[NoticeLinkOut, ...]
    verified_on: date
    language: str = Field(description='Language of its words, such as "es": the question\'s where that is certain.')

    @classmethod
    def from_notice(cls, notice: Notice) -> NoticeOut:
        """Return a notice as sent."""
        links = tuple(NoticeLinkOut(label=link.label, href=link.href) for link in notice.links)
        return cls(links=links, **{n: getattr(notice, n) for n in NoticeOut.model_fields if n != "links"})


class SnapshotOut(_Model):
    """Which state of the library was asked."""

    id: str
    built_at: str = Field(description="UTC, ISO 8601")


class AskResponse(_Model):
    """The reply to one question. `nearest` is not an answer: show it apart or not at all."""

    model_config = ConfigDict(json_schema_extra={"examples": [ASK_RESPONSE]})

    answered: bool
    confidence: float = Field(description="Probability that the passages answer, 0 to 1.")
    reason: str | None = Field(description="Why there is no answer: a code; null where there is one.")
    passages: tuple[PassageOut, ...]
    nearest: tuple[PassageOut, ...]
    notices: tuple[NoticeOut, ...]
    matched: tuple[str, ...] = Field(description="Names in the question that were understood as others.")
    languages: tuple[str, ...] = Field(
        description="On `language_not_supported`: codes of those understood; else empty."
    )
    snapshot: SnapshotOut | None = Field(description="null where nothing is indexed and notices are all there is.")
    took_ms: float

    @classmethod
    def from_answer(cls, answer: Answer) -> AskResponse:
        """Return an answer as sent."""
        return cls(
            answered=answer.answered,
            confidence=answer.confidence,
            reason=answer.reason,
            passages=tuple(PassageOut.from_passage(p) for p in answer.passages),
            nearest=tuple(PassageOut.from_passage(p) for p in answer.nearest),
            notices=tuple(NoticeOut.from_notice(n) for n in answer.notices),
            matched=answer.matched,
            languages=answer.languages,
            snapshot=SnapshotOut(id=answer.snapshot_id, built_at=answer.built_at) if answer.snapshot_id else None,
            took_ms=answer.took_ms,
        )


class SourceReferenceOut(_Model):
    """One work that a document rests on."""

    title: str
    publisher: str
    published: date | None
    url: str

    @classmethod
    def from_reference(cls, reference: SourceReference) -> SourceReferenceOut:
        """Return a reference as sent."""
        return cls(**{name: getattr(reference, name) for name in SourceReferenceOut.model_fields})


class LibraryDocumentOut(DocumentOut):
    """One document of the library, without its text."""

    model_config = ConfigDict(json_schema_extra={"examples": [DOCUMENT]})

    n_chars: int
    n_pages: int = Field(description="0 for a source without pages.")
    n_passages: int
    warnings: tuple[str, ...] = Field(description="What reading the file could not make sense of.")
    proof: ProofOut
    text_path: str = Field(description="Where this service serves the text that offsets count in.")
    sources: tuple[SourceReferenceOut, ...] = Field(description="Works that the document rests on.")


class DocumentPage(_Model):
    """A stretch of the list of documents, by id."""

    model_config = ConfigDict(json_schema_extra={"examples": [DOCUMENT_PAGE]})

    documents: tuple[LibraryDocumentOut, ...]
    total: int = Field(description="Documents that the filters leave.")
    limit: int
    offset: int
    next: str | None = Field(description="Address of the following page, null on the last.")
    snapshot: SnapshotOut


class ContextOut(_Model):
    """What stands around a passage in its document, word for word, and is not part of the quote."""

    before: str
    after: str


class PassageReply(_Model):
    """One passage outside any question, so without rank, score and evidence; its words are the ones that were cited."""

    model_config = ConfigDict(json_schema_extra={"examples": [PASSAGE]})

    state: Literal["same", "moved"] = Field(
        description="moved: the cited words stand in another document or place now."
    )
    moved_from: str | None = Field(description="The id that was asked for, where the passage has another now.")
    id: str
    text: str
    start: int
    end: int
    heading_path: tuple[str, ...]
    pages: tuple[int, int] | None
    document: DocumentOut
    citation: CitationOut
    proof: ProofOut
    context: ContextOut | None = Field(description="Sent with `?context=1`, otherwise null.")
    snapshot: SnapshotOut


class ProblemOut(_Model):
    """Every error, RFC 9457 with three or four more members. Never holds the question."""

    type: str
    title: str
    status: int
    code: str = Field(description="Stable name of the error.")
    detail: str = Field(description="What failed, and where.")
    fix: str = Field(description="What to do next.")
    request_id: str = Field(description="Also in the X-Request-ID header and in the server's log.")
    notices: tuple[NoticeOut, ...] = Field(
        default=(),
        description="There where the question could not be answered and shows danger to life: show them first.",
    )
