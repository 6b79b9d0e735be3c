"""
How documents and passages become rows of the catalogue and come back. Pure: no SQL, no file.

Lists are JSON, dates ISO 8601, unknown dates NULL. Column order is that of the constants below.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from ingest.model import (
    Block,
    BlockKind,
    Document,
    Metadata,
    PageStart,
    Passage,
    Repair,
    Source,
    SourceReference,
    SourceType,
)
from ingest.repeated import EdgeLines, edge_lines

DOCUMENT_COLUMNS = (
    "number",
    "id",
    "source_sha256",
    "source_bytes",
    "reader",
    "title",
    "publisher",
    "authors",
    "published",
    "reviewed",
    "review_due",
    "url",
    "license",
    "language",
    "tags",
    "audience",
    "source_type",
    "funding",
    "disclosure",
    "content_note",
    "sources",
    "text_sha256",
    "n_chars",
    "n_blocks",
    "n_pages",
    "first_ordinal",
    "n_passages",
    "warnings",
)
CONTENT_COLUMNS = ("number", "text", "blocks", "repairs", "page_starts")
PASSAGE_COLUMNS = (
    "ordinal",
    "id",
    "document",
    "start_char",
    "end_char",
    "text",
    "title",
    "heading_path",
    "sentences",
    "first_page",
    "last_page",
    "element_id",
    "context",
)
READING_COLUMNS = ("number", "key", "has_own_title", "edge_lines", "repeated_lines")
_FIRST_ORDINAL = DOCUMENT_COLUMNS.index("first_ordinal")
_SENTENCES = PASSAGE_COLUMNS.index("sentences")

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """
    A document without its text and blocks.

    `number` counts documents from 0 in the order of the build; its passages have the ordinals
    `[first_ordinal, first_ordinal + n_passages)`.
    """

    number: int
    source: Source
    reader: str
    metadata: Metadata
    text_sha256: str
    n_chars: int
    n_blocks: int
    n_pages: int
    first_ordinal: int
    n_passages: int
    warnings: tuple[str, ...]

    @property
    def id(self) -> str:
        """Return the path relative to the corpus folder."""
        return self.source.path


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """A passage with its row in the index and its document."""

    ordinal: int
    passage: Passage
    document: StoredDocument


@dataclass(frozen=True, slots=True)
class Reading:
    """
    What a document was made from, as far as a next build must know.

    `key` stands for everything that reading depends on (`reuse.reading_key`), "" where that is not known.
    `edges` are its lines that could be a banner, `repeated` those that others shared when it was stored.
    """

    key: str
    has_own_title: bool
    edges: EdgeLines
    repeated: frozenset[str]


@dataclass(frozen=True, slots=True)
class DocumentRows:
    """All rows of one document; columns as in the constants above."""

    document: Row
    content: Row
    reading: Row
    passages: tuple[Row, ...]

    @property
    def n_sentences(self) -> int:
        """Return the number of sentences of all passages; each is one inner list of a list of lists."""
        return sum(row[_SENTENCES].count("[") - 1 for row in self.passages)

    def placed(self, number: int, first_ordinal: int) -> DocumentRows:
        """Return the rows with another number, and passages with ordinals from another first one on."""
        document = (number, *self.document[1:_FIRST_ORDINAL], first_ordinal, *self.document[_FIRST_ORDINAL + 1 :])
        passages = tuple((first_ordinal + i, row[1], number, *row[3:]) for i, row in enumerate(self.passages))
        return DocumentRows(document, (number, *self.content[1:]), (number, *self.reading[1:]), passages)


@dataclass(frozen=True, slots=True)
class CatalogueCounts:
    """What `write_catalogue` wrote."""

    documents: int
    passages: int
    sentences: int


def to_rows(document: Document, passages: Sequence[Passage], reading: Reading | None = None) -> DocumentRows:
    """
    Return the rows of a document as if it were the only one.

    Args:
        reading: None stores that nothing is known of how it was made, so that no build reuses it.

    Raises:
        ValueError: a passage belongs to another document.
    """
    for passage in passages:
        if passage.document_id != document.id:
            raise ValueError(f"passage {passage.id} belongs to {passage.document_id}, not to {document.id}")
    reading = reading or Reading("", document.has_own_title, edge_lines(document), frozenset())
    return DocumentRows(
        document_row(0, document, 0, len(passages)),
        content_row(0, document),
        reading_row(0, reading),
        tuple(passage_row(i, 0, passage) for i, passage in enumerate(passages)),
    )


def reading_row(number: int, reading: Reading) -> Row:
    """Return how a document was made, columns as in READING_COLUMNS."""
    lines = (_json(sorted(found)) for found in (reading.edges.lines, reading.repeated))
    return number, reading.key, int(reading.has_own_title), *lines


def read_reading(publisher: str, row: Sequence[Any]) -> Reading:
    """Return the reading of a row in the order of READING_COLUMNS. Raises ValueError, TypeError: damaged row."""
    _, key, has_own_title, lines, repeated = row
    edges = EdgeLines(publisher, frozenset(_list(lines)))
    return Reading(key, bool(has_own_title), edges, frozenset(_list(repeated)))


def document_row(number: int, document: Document, first_ordinal: int, n_passages: int) -> Row:
    """Return a document's row, columns as in DOCUMENT_COLUMNS."""
    about = document.metadata
    return (
        number,
        document.id,
        document.source.sha256,
        document.source.size_bytes,
        document.reader,
        about.title,
        about.publisher,
        _json(about.authors),
        _iso(about.published),
        _iso(about.reviewed),
        _iso(about.review_due),
        about.url,
        about.license,
        about.language,
        _json(about.tags),
        _json(about.audience),
        about.source_type.value,
        about.funding,
        about.disclosure,
        about.content_note,
        _json([[s.title, s.publisher, _iso(s.published), s.url] for s in about.sources]),
        document.text_sha256,
        len(document.text),
        len(document.blocks),
        len(document.page_starts),
        first_ordinal,
        n_passages,
        _json(document.warnings),
    )


def content_row(number: int, document: Document) -> Row:
    """Return the row with a document's text and spans, columns as in CONTENT_COLUMNS."""
    blocks = [
        [b.start, b.end, b.kind.value, b.heading_path, b.level, b.section, b.element_id, b.context, b.furniture]
        for b in document.blocks
    ]
    repairs = [[r.start, r.end, r.original, r.rule] for r in document.repairs]
    pages = [[p.offset, p.page] for p in document.page_starts]
    return number, document.text, _json(blocks), _json(repairs), _json(pages)


def passage_row(ordinal: int, number: int, passage: Passage) -> Row:
    """Return a passage's row, columns as in PASSAGE_COLUMNS."""
    first_page, last_page = passage.pages or (None, None)
    return (
        ordinal,
        passage.id,
        number,
        passage.start,
        passage.end,
        passage.text,
        passage.title,
        _json(passage.heading_path),
        _json(passage.sentences),
        first_page,
        last_page,
        passage.element_id,
        passage.context,
    )


def read_document(row: Sequence[Any]) -> StoredDocument:
    """Return the document of a row in the order of DOCUMENT_COLUMNS. Raises ValueError, TypeError: damaged row."""
    of = dict(zip(DOCUMENT_COLUMNS, row, strict=True))
    metadata = Metadata(
        title=of["title"],
        publisher=of["publisher"],
        authors=_list(of["authors"]),
        published=_date(of["published"]),
        reviewed=_date(of["reviewed"]),
        review_due=_date(of["review_due"]),
        url=of["url"],
        license=of["license"],
        language=of["language"],
        tags=_list(of["tags"]),
        audience=_list(of["audience"]),
        source_type=SourceType(of["source_type"]),
        funding=of["funding"],
        disclosure=of["disclosure"],
        content_note=of["content_note"],
        sources=tuple(SourceReference(s[0], s[1], _date(s[2]), s[3]) for s in _list(of["sources"])),
    )
    return StoredDocument(
        number=of["number"],
        source=Source(of["id"], of["source_sha256"], of["source_bytes"]),
        reader=of["reader"],
        metadata=metadata,
        text_sha256=of["text_sha256"],
        n_chars=of["n_chars"],
        n_blocks=of["n_blocks"],
        n_pages=of["n_pages"],
        first_ordinal=of["first_ordinal"],
        n_passages=of["n_passages"],
        warnings=_list(of["warnings"]),
    )


def read_content(stored: StoredDocument, row: Sequence[Any]) -> Document:
    """Return the whole document of a row in the order of CONTENT_COLUMNS. Raises ValueError, TypeError: damaged row."""
    _, text, blocks, repairs, pages = row
    return Document(
        source=stored.source,
        reader=stored.reader,
        metadata=stored.metadata,
        text=text,
        text_sha256=stored.text_sha256,
        blocks=tuple(
            Block(start, end, BlockKind(kind), tuple(path), level, section, element_id, context, furniture)
            for start, end, kind, path, level, section, element_id, context, furniture in json.loads(blocks)
        ),
        repairs=tuple(Repair(*repair) for repair in json.loads(repairs)),
        page_starts=tuple(PageStart(*page) for page in json.loads(pages)),
        warnings=stored.warnings,
    )


def read_passage(row: Sequence[Any], document: StoredDocument) -> StoredPassage:
    """Return the passage of a row in the order of PASSAGE_COLUMNS. Raises ValueError, TypeError: damaged row."""
    of = dict(zip(PASSAGE_COLUMNS, row, strict=True))
    passage = Passage(
        id=of["id"],
        document_id=document.id,
        start=of["start_char"],
        end=of["end_char"],
        text=of["text"],
        title=of["title"],
        heading_path=_list(of["heading_path"]),
        sentences=tuple((start, end) for start, end in json.loads(of["sentences"])),
        pages=None if of["first_page"] is None else (of["first_page"], of["last_page"]),
        element_id=of["element_id"],
        context=of["context"],
    )
    return StoredPassage(of["ordinal"], passage, document)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _list(text: str) -> tuple[Any, ...]:
    # Most lists are empty, and parsing them took half of the time of reading a row.
    return () if text == "[]" else tuple(json.loads(text))


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
