"""Small makers of documents for tests. No model, no file."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.assemble import Piece, TextBuilder, assemble_document
from ingest.model import BlockKind, Document, Metadata, Source

_KINDS = {
    "h": BlockKind.HEADING,
    "p": BlockKind.PARAGRAPH,
    "l": BlockKind.LIST_ITEM,
    "f": BlockKind.PARAGRAPH,
    "c": BlockKind.CAPTION,
}


def count_words(texts: Sequence[str]) -> list[int]:
    """Count words where the real thing counts word pieces."""
    return [len(text.split()) for text in texts]


def text_document(*parts: tuple[str, str], context: str = "", path: str = "a.txt") -> Document:
    """Return a document of (kind, text) parts: h heading, p paragraph, l list item, f furniture, c caption."""
    builder = TextBuilder()
    for kind, text in parts:
        builder.add(
            Piece(
                text,
                _KINDS[kind],
                level=2 if kind == "h" else 0,
                context=context if kind == "l" else "",
                furniture="teaser" if kind == "f" else "",
            )
        )
    extraction = builder.finish()
    return assemble_document(Source(path, "0" * 64, 1), "test/1", Metadata(title="A title"), extraction)
