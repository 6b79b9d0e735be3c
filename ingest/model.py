"""
The values that flow from files to passages. Standard library only; no I/O, no logic beyond invariants.

All offsets are Unicode code points, half-open `[start, end)`, into `Document.text`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

_STOPS = (".", ":", "?", "!")


class BlockKind(StrEnum):
    """What a stretch of text is in its document."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST_ITEM = "list_item"
    TABLE_ROW = "table_row"
    CAPTION = "caption"


class SourceType(StrEnum):
    """Who speaks in a document."""

    GOVERNMENT = "government"
    PEER_REVIEWED = "peer_reviewed"
    HEALTH_SERVICE = "health_service"
    CHARITY = "charity"
    TREATMENT_PROVIDER = "treatment_provider"
    NEWS = "news"
    PERSONAL = "personal"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class SourceReference:
    """One work that a document rests on."""

    title: str
    publisher: str = ""
    published: date | None = None
    url: str = ""


@dataclass(frozen=True, slots=True)
class Metadata:
    """
    What is known about a document. "" / None / () mean unknown.

    `title` is never empty once a Document exists: it falls back to the first heading, then to the file name.
    """

    title: str = ""
    publisher: str = ""
    authors: tuple[str, ...] = ()
    published: date | None = None
    reviewed: date | None = None
    review_due: date | None = None
    url: str = ""
    license: str = ""
    language: str = ""
    tags: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()
    source_type: SourceType = SourceType.OTHER
    funding: str = ""
    disclosure: str = ""
    content_note: str = ""
    sources: tuple[SourceReference, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """One file of the corpus, with its bytes' identity but without its bytes."""

    path: str  # relative to the corpus folder, "/" between parts; it is the document's id
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Block:
    """
    A stretch of the text with one role, `text[start:end]` without white space at its edges.

    `heading_path` holds the headings above it, outermost first (for a heading: without itself).
    `section` numbers the stretches between headings, from 0: equal `section` means under the same heading.
    `context` is the lead-in of a list item or the header row of a table row, "" where there is none.
    `furniture` names the rule that marked the block as not being content; "" is content.
    """

    start: int
    end: int
    kind: BlockKind
    heading_path: tuple[str, ...] = ()
    level: int = 0  # of a heading, 1 to 6; 0 otherwise
    section: int = 0
    element_id: str = ""
    context: str = ""
    furniture: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"block span [{self.start}, {self.end}) is empty or negative")

    @property
    def is_quotable(self) -> bool:
        """Tell whether the text belongs in passages: content, and no heading or caption, which say nothing alone."""
        return not self.furniture and self.kind not in (BlockKind.HEADING, BlockKind.CAPTION)


@dataclass(frozen=True, slots=True)
class Repair:
    """
    One change that a reader made to the raw extraction.

    `text[start:end]` stands where the raw extraction had `original`; undoing all repairs from the last to the
    first gives the raw extraction back exactly (`ingest.assemble.undo_repairs`).
    """

    start: int
    end: int
    original: str
    rule: str


@dataclass(frozen=True, slots=True)
class PageStart:
    """The offset at which a page begins; pages ascend and the first one begins at 0."""

    offset: int
    page: int  # from 1


@dataclass(frozen=True, slots=True)
class Extraction:
    """
    What a reader makes of one file's bytes.

    `blocks` ascend and do not overlap. `metadata` is what the file says about itself, by field name of Metadata
    (only known fields, values already of the right type). `warnings` are sentences for the build report
    ("page 3 has images and no text").
    """

    text: str
    blocks: tuple[Block, ...]
    repairs: tuple[Repair, ...] = ()
    page_starts: tuple[PageStart, ...] = ()
    metadata: dict[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """
    One readable source. `text` is made once; no character of it changes afterwards.

    Invariants: `text_sha256 == sha256(text as UTF-8)`; blocks ascend, do not overlap and end within the text.
    """

    source: Source
    reader: str  # name and version, e.g. "pdf/1"
    metadata: Metadata
    text: str
    text_sha256: str
    blocks: tuple[Block, ...]
    repairs: tuple[Repair, ...] = ()
    page_starts: tuple[PageStart, ...] = ()
    warnings: tuple[str, ...] = ()
    # False when the title was taken from a heading somewhere inside or from the file's name: good enough to show,
    # misleading as the context of every passage.
    has_own_title: bool = True

    @property
    def id(self) -> str:
        """Return the path relative to the corpus folder."""
        return self.source.path

    def __post_init__(self) -> None:
        previous = 0
        for block in self.blocks:
            if block.start < previous or block.end > len(self.text):
                raise ValueError(f"block [{block.start}, {block.end}) overlaps another or ends after the text")
            previous = block.end

    def pages_of(self, start: int, end: int) -> tuple[int, int] | None:
        """Return the first and last page that `[start, end)` touches, None for a source without pages."""
        if not self.page_starts:
            return None
        first = max((p.page for p in self.page_starts if p.offset <= start), default=self.page_starts[0].page)
        last = max((p.page for p in self.page_starts if p.offset < end), default=first)
        return first, last


@dataclass(frozen=True, slots=True)
class Passage:
    """
    A quotable stretch of one document.

    Invariants: `document.text[start:end] == text`; no white space at the edges; `sentences` ascend, lie within
    `[start, end)` and together cover all of it but white space; a passage lies within one section and holds no
    furniture and no heading.

    `context` is what is embedded before the text besides title and headings (a list's lead-in, a table's header).
    """

    id: str
    document_id: str
    start: int
    end: int
    text: str
    title: str
    heading_path: tuple[str, ...]
    sentences: tuple[tuple[int, int], ...]
    pages: tuple[int, int] | None = None
    element_id: str = ""
    context: str = ""

    def __post_init__(self) -> None:
        if self.end - self.start != len(self.text) or not self.text.strip():
            raise ValueError(f"passage span [{self.start}, {self.end}) does not fit a text of {len(self.text)}")

    @property
    def embedding_prefix(self) -> str:
        """Return title, headings and context as sentences of their own, as embedded before the text."""
        headings = (heading for heading in self.heading_path if heading != self.title)
        parts = (part.strip() for part in (self.title, *headings, self.context))
        return " ".join(part if part.endswith(_STOPS) else f"{part}." for part in parts if part)


def text_sha256(text: str) -> str:
    """Return the SHA-256 of a text's UTF-8 bytes, hex."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
