"""
A document laid out for a person who reads it: headings, paragraphs, lists, what is never quoted. Pure.

Every word of the document is shown as it stands and in its order. What stands between blocks is white space or the
marks of a notation ("## ", "- "): it is shown by the layout instead.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby, takewhile

from ingest.model import Block, BlockKind, Document, Passage

# A screen shows some 2,000 characters. Longer documents come in parts, so that a book of a thousand pages neither
# takes seconds to load nor freezes a telephone.
PART_CHARS = 60_000
# A part may end early, so that a chapter begins the next one, but not earlier than this share of it.
_SHORTEST_LEAF = 0.5
# Nobody wraps text narrower than this; plain text is usually wrapped at 60 to 80 characters.
_SHORTEST_MARGIN = 50
_BULLET = re.compile(r"[-*+•‣▪◦·–—]?")


class PartKind(StrEnum):
    """How a stretch of the document is shown."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST = "list"
    ROWS = "rows"
    CAPTION = "caption"
    LEFT_OUT = "left_out"  # never quoted: navigation, advertising, notices of the site


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text; `passage_id` is "" outside passages, `is_first` marks the beginning of a passage."""

    text: str
    passage_id: str = ""
    is_first: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One block's text, cut where passages begin and end; `marker` is a list item's own ("1."), "" for a bullet."""

    pieces: tuple[Piece, ...]
    marker: str = ""
    element_id: str = ""

    @property
    def text(self) -> str:
        """Return the whole block's text."""
        return "".join(piece.text for piece in self.pieces)

    @property
    def keeps_breaks(self) -> bool:
        """Tell whether line breaks mean something (an address, verses) or only come from wrapping at a margin."""
        lines = self.text.splitlines()
        return len(lines) > 1 and max(len(line) for line in lines) < _SHORTEST_MARGIN


@dataclass(frozen=True, slots=True)
class Part:
    """Blocks that are shown together: a heading, a paragraph, or neighbours in a list, a table or what is left out."""

    kind: PartKind
    lines: tuple[Line, ...]
    level: int = 0  # of a heading as shown below the page's own, 2 to 6, none left out on the way down
    page: int = 0  # the source's page that begins here, 0 where none does


@dataclass(frozen=True, slots=True)
class Leaf:
    """A stretch of a document that is shown at once; `number` counts from 1 to `n_leaves`."""

    parts: tuple[Part, ...]
    number: int
    n_leaves: int


def lay_out(document: Document, passages: Sequence[Passage], leaf: int = 1, shown: str = "") -> Leaf:
    """
    Return one leaf of a document.

    Args:
        passages: of this document, ascending.
        leaf: which; a number outside of what there is gives the nearest.
        shown: id of a passage; when it is one of `passages`, the leaf that it begins on is returned instead.
    """
    leaves = _leaves(document)
    start = next((p.start for p in passages if p.id == shown), None)
    if start is not None:
        leaf = next((n for n, blocks in enumerate(leaves, 1) if blocks[-1].end > start), len(leaves))
    number = min(max(leaf, 1), len(leaves))
    blocks = leaves[number - 1]
    previous_end = leaves[number - 2][-1].end if number > 1 else 0
    lines = _iter_lines(document, blocks, previous_end, passages)
    parts = _iter_parts(zip(blocks, lines, strict=True), document.metadata.title if number == 1 else "")
    return Leaf(tuple(_iter_paged(document, parts)), number, len(leaves))


def _leaves(document: Document) -> list[Sequence[Block]]:
    """Cut the document's blocks into leaves, before headings where one is near."""
    blocks = document.blocks
    cuts, heading = [0], 0
    for i, block in enumerate(blocks):
        first = blocks[cuts[-1]].start
        if block.kind is BlockKind.HEADING and block.start - first > _SHORTEST_LEAF * PART_CHARS:
            heading = i
        if block.end - first > PART_CHARS and i > cuts[-1]:
            cuts.append(heading if heading > cuts[-1] else i)
    return [blocks[a:b] for a, b in zip(cuts, [*cuts[1:], len(blocks)], strict=True)] if blocks else [()]


def _iter_lines(
    document: Document, blocks: Sequence[Block], previous_end: int, passages: Sequence[Passage]
) -> Iterator[Line]:
    for block in blocks:
        between = document.text[previous_end : block.start].strip()
        previous_end = block.end
        marker = "" if block.kind is not BlockKind.LIST_ITEM or _BULLET.fullmatch(between) else between
        yield Line(tuple(_iter_pieces(document.text, block, passages)), marker, block.element_id)


def _iter_pieces(text: str, block: Block, passages: Sequence[Passage]) -> Iterator[Piece]:
    position = block.start
    first = bisect_right(passages, block.start, key=lambda passage: passage.end)
    for passage in takewhile(lambda passage: passage.start < block.end, passages[first:]):
        start, end = max(passage.start, block.start), min(passage.end, block.end)
        if position < start:
            yield Piece(text[position:start])
        yield Piece(text[start:end], passage.id, is_first=start == passage.start)
        position = end
    if position < block.end:
        yield Piece(text[position : block.end])


_KINDS = {
    BlockKind.HEADING: PartKind.HEADING,
    BlockKind.PARAGRAPH: PartKind.PARAGRAPH,
    BlockKind.LIST_ITEM: PartKind.LIST,
    BlockKind.TABLE_ROW: PartKind.ROWS,
    BlockKind.CAPTION: PartKind.CAPTION,
}


def _iter_parts(blocks: Iterable[tuple[Block, Line]], title: str) -> Iterator[tuple[int, Part]]:
    """Yield what is shown and where it begins; a first heading that repeats the title is left to the title."""
    is_begun, above = False, list[int]()
    for kind, group in groupby(blocks, key=lambda item: _part_kind(item[0])):
        members = list(group)
        if kind in (PartKind.LIST, PartKind.ROWS, PartKind.LEFT_OUT):
            yield members[0][0].start, Part(kind, tuple(line for _, line in members))
            is_begun = is_begun or kind is not PartKind.LEFT_OUT
            continue
        for block, line in members:
            is_title = not is_begun and kind is PartKind.HEADING and line.text == title
            is_begun = True
            if kind is PartKind.HEADING and not is_title:
                above = [*(level for level in above if level < block.level), block.level]
            if not is_title:
                yield block.start, Part(kind, (line,), min(len(above) + 1, 6) if kind is PartKind.HEADING else 0)


def _iter_paged(document: Document, parts: Iterable[tuple[int, Part]]) -> Iterator[Part]:
    """Yield the parts, the first one on each page of the source with that page's number."""
    shown = 0
    for start, part in parts:
        pages = document.pages_of(start, start + 1)
        page = pages[0] if pages and pages[0] != shown else 0
        shown = page or shown
        yield replace(part, page=page) if page else part


def _part_kind(block: Block) -> PartKind:
    return PartKind.LEFT_OUT if block.furniture else _KINDS[block.kind]
