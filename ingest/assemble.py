"""
The one place where `Document.text` and its spans are made. Pure; opens nothing and judges no content.

Readers whose text is not the file itself (html, pdf, docx, epub) hand their blocks to a TextBuilder; readers whose
text is the decoded file (txt, md) place their blocks with `place_blocks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ingest.model import (
    Block,
    BlockKind,
    Document,
    Extraction,
    Metadata,
    PageStart,
    Repair,
    Source,
    text_sha256,
)

SEPARATOR = "\n\n"


class Outline:
    """
    Turns a run of headings into heading paths and section numbers.

    A heading closes all headings of its level and below it, whatever levels were skipped.
    """

    def __init__(self) -> None:
        self._open: list[tuple[int, str]] = []
        self._section = 0

    @property
    def open_headings(self) -> tuple[tuple[int, str], ...]:
        """Return (level, text) of the headings that hold here, outermost first."""
        return tuple(self._open)

    def return_to(self, headings: Sequence[tuple[int, str]]) -> None:
        """Take up the headings that held before an aside, a quotation or another chapter; a new section begins."""
        if list(headings) != self._open:
            self._open = list(headings)
            self._section += 1

    def place(self, block: Block, text: str) -> Block:
        """Return the block with `heading_path` and `section` set; a heading's own text opens its section."""
        if block.kind is not BlockKind.HEADING or block.furniture:
            path = tuple(title for _, title in self._open)
            return replace(block, heading_path=path, section=self._section)
        level = block.level or 1
        self._open = [(lv, title) for lv, title in self._open if lv < level]
        path = tuple(title for _, title in self._open)
        self._open.append((level, " ".join(text.split())))
        self._section += 1
        return replace(block, level=level, heading_path=path, section=self._section)


def place_blocks(text: str, blocks: Iterable[Block]) -> tuple[Block, ...]:
    """Return blocks that lie in `text` with heading paths and sections filled in."""
    outline = Outline()
    return tuple(outline.place(block, text[block.start : block.end]) for block in blocks)


@dataclass(frozen=True, slots=True)
class Piece:
    """
    A block on its way into a text, before it has an offset.

    `repairs` are relative to `text`. `page_starts` are (offset in `text`, page) for every page that begins in it.
    """

    text: str
    kind: BlockKind
    level: int = 0
    element_id: str = ""
    context: str = ""
    furniture: str = ""
    repairs: tuple[Repair, ...] = ()
    page_starts: tuple[tuple[int, int], ...] = ()


class TextBuilder:
    """
    Joins pieces into one text with a blank line between them, and keeps offsets, repairs and pages right.

    White space at a piece's edges is cut off (its repairs must lie inside what remains); a piece of nothing else
    is dropped, its pages are kept.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._outline = Outline()
        self._blocks: list[Block] = []
        self._repairs: list[Repair] = []
        self._pages: list[PageStart] = []

    @property
    def length(self) -> int:
        """Return the number of code points so far."""
        return self._length

    @property
    def open_headings(self) -> tuple[tuple[int, str], ...]:
        """Return (level, text) of the headings under which the next piece will lie, outermost first."""
        return self._outline.open_headings

    def return_to(self, headings: Sequence[tuple[int, str]]) -> None:
        """Lay the next pieces under these headings again, in a section of their own; () under none."""
        self._outline.return_to(headings)

    def add(self, piece: Piece) -> None:
        """Append one piece."""
        stripped = piece.text.strip()
        lead = len(piece.text) - len(piece.text.lstrip())
        if stripped and self._parts:
            self._append(SEPARATOR)
        base = self._length - lead
        for offset, page in piece.page_starts:
            start = min(max(base + offset, self._length), self._length + len(stripped))
            self._pages.append(PageStart(start if self._pages else 0, page))
        if not stripped:
            return
        block = Block(
            start=self._length,
            end=self._length + len(stripped),
            kind=piece.kind,
            level=piece.level,
            element_id=piece.element_id,
            context=piece.context,
            furniture=piece.furniture,
        )
        self._blocks.append(self._outline.place(block, stripped))
        for repair in piece.repairs:
            start, end = base + repair.start, base + repair.end
            if start < block.start or end > block.end:
                raise ValueError(f"repair {repair.rule} lies outside its trimmed piece")
            self._repairs.append(replace(repair, start=start, end=end))
        self._append(stripped)

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)

    def finish(self, metadata: dict[str, object] | None = None, warnings: Sequence[str] = ()) -> Extraction:
        """Return what was built."""
        return Extraction(
            text="".join(self._parts),
            blocks=tuple(self._blocks),
            repairs=tuple(self._repairs),
            page_starts=tuple(self._pages),
            metadata=dict(metadata or {}),
            warnings=tuple(warnings),
        )


def undo_repairs(text: str, repairs: Sequence[Repair]) -> str:
    """Return the raw extraction: every repaired stretch put back as the reader found it."""
    for repair in sorted(repairs, key=lambda r: (r.start, r.end), reverse=True):
        text = text[: repair.start] + repair.original + text[repair.end :]
    return text


def assemble_document(
    source: Source,
    reader: str,
    metadata: Metadata,
    extraction: Extraction,
    blocks: Sequence[Block] | None = None,
) -> Document:
    """
    Return the document of one file.

    Args:
        blocks: the extraction's blocks after furniture was marked; None takes them as they are.

    Raises:
        ValueError: blocks overlap or leave the text (a reader's bug, not a user's fault).
    """
    return Document(
        source=source,
        reader=reader,
        metadata=metadata,
        text=extraction.text,
        text_sha256=text_sha256(extraction.text),
        blocks=tuple(extraction.blocks if blocks is None else blocks),
        repairs=extraction.repairs,
        page_starts=extraction.page_starts,
        warnings=extraction.warnings,
    )
