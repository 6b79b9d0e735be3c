"""
Lines that many documents of one publisher share at their edges: a site's banner or footer. Pure.

True content repeats too ("The following symptoms may occur", a warning, the item "Fever" in a hundred lists), and a
lost warning is harm. So only a paragraph at a document's head or foot counts, short, without a sentence, without a
number to call or a clinical word; list items, table rows and headings never do.

A build reads all documents, then asks here, then splits:

    edges = [edge_lines(document) for document in documents]
    repeated = repeated_lines(edges)
    documents = [mark_repeated(document, repeated) for document in documents]
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ingest.furniture import is_protected
from ingest.model import Block, BlockKind, Document
from ingest.wording import reads_as_advice

RULE = "repeated_line"
MIN_DOCUMENTS = 5
MIN_SHARE = 0.02
MAX_CHARS = 80
MAX_WORDS = 10
# Banners and footers have few lines; what stands farther in is the document's own.
_EDGE_BLOCKS = 3

_SENTENCE = re.compile(r"[.!?:;,…]\W*$|[.!?] ")


@dataclass(frozen=True, slots=True)
class EdgeLines:
    """The short lines at the head and foot of one document."""

    publisher: str
    lines: frozenset[str]


def edge_lines(document: Document) -> EdgeLines:
    """Return what of a document could be a repeated banner or footer."""
    lines = frozenset(line for _, line in _candidates(document))
    return EdgeLines(document.metadata.publisher, lines)


def repeated_lines(documents: Iterable[EdgeLines]) -> dict[str, frozenset[str]]:
    """
    Return by publisher the lines that at least 5 documents and 2 % of its documents share.

    Documents without a publisher count as one group.
    """
    n_documents: Counter[str] = Counter()
    n_lines: Counter[tuple[str, str]] = Counter()
    for edges in documents:
        n_documents[edges.publisher] += 1
        n_lines.update((edges.publisher, line) for line in edges.lines)
    found: dict[str, set[str]] = {}
    for (publisher, line), n in n_lines.items():
        if n >= max(MIN_DOCUMENTS, MIN_SHARE * n_documents[publisher]):
            found.setdefault(publisher, set()).add(line)
    return {publisher: frozenset(lines) for publisher, lines in found.items()}


def mark_repeated(document: Document, repeated: Mapping[str, frozenset[str]]) -> Document:
    """
    Return the document with its repeated edge lines marked as furniture.

    A document that would be left without content stays as it is.
    """
    lines = repeated.get(document.metadata.publisher, frozenset())
    starts = {block.start for block, line in _candidates(document) if line in lines} if lines else set()
    if not starts:
        return document
    blocks = tuple(replace(b, furniture=RULE) if b.start in starts else b for b in document.blocks)
    if not any(block.is_quotable for block in blocks):
        return document
    return replace(document, blocks=blocks)


def lines_to_mark(edges: EdgeLines, repeated: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return a document's lines that others share; equal ones mean that `mark_repeated` gives the same again."""
    return edges.lines & repeated.get(edges.publisher, frozenset())


def unmark_repeated(document: Document) -> Document:
    """Return the document as it was before `mark_repeated`."""
    if not any(block.furniture == RULE for block in document.blocks):
        return document
    return replace(
        document, blocks=tuple(replace(b, furniture="") if b.furniture == RULE else b for b in document.blocks)
    )


def _candidates(document: Document) -> Iterator[tuple[Block, str]]:
    content = [block for block in document.blocks if not block.furniture]
    edges = content if len(content) <= 2 * _EDGE_BLOCKS else content[:_EDGE_BLOCKS] + content[-_EDGE_BLOCKS:]
    for block in edges:
        if block.kind not in (BlockKind.PARAGRAPH, BlockKind.CAPTION) or block.end - block.start > MAX_CHARS:
            continue
        piece = document.text[block.start : block.end]
        is_sentence = _SENTENCE.search(piece) is not None or len(piece.split()) > MAX_WORDS
        if not is_sentence and not is_protected(piece) and not reads_as_advice(piece):
            yield block, " ".join(piece.split()).casefold()
