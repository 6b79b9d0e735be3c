"""
Lines and table rows of one region to draft blocks: paragraphs, list items, table rows. Pure; ranks no headings.

What ends a paragraph: a larger distance, another size or weight, a list marker, a first-line indent, a line after
which the next word would still have fitted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ingest.model import BlockKind
from ingest.readers.pdf_lines import plain
from ingest.readers.pdf_tables import BULLETS, Line, TableRow

_BULLET_START = re.compile(rf"^[{re.escape(BULLETS)}]\s+\S")
_NUMBER_START = re.compile(r"^\(?(?:\d{1,2}|[a-zA-Z]|[ivx]{1,4})[.)]\s+\S")
_TERMINAL = re.compile(r"[.!?:…][\"'”’»)\]]*[\d\U0010ff00-\U0010ff0f,]{0,6}$")
_CAPTION = re.compile(
    r"^(?:(?i:figure|fig\.|table|box|chart|exhibit|abbildung|tabelle|figura|tabla))\s+(?:[A-Z]?\d[\d.]*|[IVX]+|[A-Z])[.:]?\s"
)
_LEADERS = re.compile(r"(?:\.\s?){4,}\s*(?:\d+|[ivxlc]+)$")
_TAIL_CHARS = 200  # what patterns at a line's end look at: a hostile line can be endless
_NOTE_SIZE = 0.92  # of the column's usual type size; up to it a block at the foot is a note
_NEW_PARAGRAPH_GAP = 1.3  # of the usual leading; single spacing varies by a tenth, paragraph spacing is a third up


@dataclass(slots=True)
class Draft:
    """
    A block before the document's text exists.

    `lines` are its lines in reading order; a table row keeps its cells apart in `cells` instead. `x0` and `x1` are
    the edges of the column that it stands in. `opens_region` and `closes_region` tell that it is the first or last
    of its column: only there can it continue another block.
    """

    kind: BlockKind
    page: int
    lines: list[Line] = field(default_factory=list)
    cells: tuple[tuple[Line, ...], ...] = ()
    x0: float = 0.0
    x1: float = 0.0
    level: int = 0
    furniture: str = ""
    context: str = ""
    opens_region: bool = False
    closes_region: bool = False
    # Furniture that stood between two lines of it: index of the later line -> drafts, in reading order.
    removed: dict[int, list[Draft]] = field(default_factory=dict)

    @property
    def size(self) -> float:
        """Return the type size of most of its characters."""
        lines = self.lines or [line for cell in self.cells for line in cell]
        return max(lines, key=lambda line: len(line.text)).size

    @property
    def is_bold(self) -> bool:
        """Tell whether all of it is bold."""
        lines = self.lines or [line for cell in self.cells for line in cell]
        return all(line.is_bold for line in lines)

    @property
    def raw(self) -> str:
        """Return its text as laid out: lines one under the other, cells parted by a tab."""
        if self.cells:
            return plain("\t".join("\n".join(line.text for line in cell) for cell in self.cells))
        return plain("\n".join(line.text for line in self.lines))


def ends_sentence(text: str) -> bool:
    """Tell whether a line ends as a sentence, a heading's colon or a quotation does."""
    return _TERMINAL.search(text[-_TAIL_CHARS:]) is not None


def build_drafts(items: Sequence[Line | TableRow], leading: float, x0: float, x1: float) -> list[Draft]:
    """
    Return the drafts of one region.

    Args:
        items: lines and table rows from the top.
        leading: usual distance of baselines in points.
        x0: left edge of the column.
        x1: right edge of the column.
    """
    drafts: list[Draft] = []
    previous: Line | None = None
    body = _usual_size(items)
    for place, item in enumerate(items):
        if isinstance(item, TableRow):
            drafts.append(Draft(BlockKind.TABLE_ROW, item.page, cells=item.cells, x0=x0, x1=x1))
            previous = None
            continue
        following = items[place + 1] if place + 1 < len(items) else None
        after = following if isinstance(following, Line) else None
        open_draft = drafts[-1] if drafts and previous is not None else None
        if (
            open_draft is None
            or previous is None
            or _starts_block(open_draft, previous, item, after, leading * max(1.0, item.size / body))
        ):
            kind = _kind(item, open_draft, after)
            drafts.append(Draft(kind, item.page, [item], x0=x0, x1=x1))
        else:
            open_draft.lines.append(item)
        previous = item
    for draft in drafts:
        _mark_contents(draft)
    _mark_edges(drafts)
    return drafts


def _usual_size(items: Sequence[Line | TableRow]) -> float:
    """Return the size that most characters of the region have; larger lines stand that much further apart."""
    weights: dict[float, int] = {}
    for item in items:
        if isinstance(item, Line):
            weights[item.size] = weights.get(item.size, 0) + len(item.text)
    return max(weights, key=lambda size: (weights[size], size)) if weights else 12.0


def _mark_edges(drafts: Sequence[Draft]) -> None:
    """
    Mark where a column's text begins and ends.

    Notes in small type at the foot come after its last paragraph; captions and tables at the head before its first.
    """
    if not drafts:
        return
    drafts[0].opens_region = drafts[-1].closes_region = True
    usual = max(drafts, key=lambda d: len(d.raw)).size
    for draft in reversed(drafts):
        draft.closes_region = True
        if draft.size > _NOTE_SIZE * usual or draft.cells:
            break
    for draft in drafts:
        draft.opens_region = True
        if draft.kind not in (BlockKind.CAPTION, BlockKind.TABLE_ROW):
            break


def _kind(line: Line, above: Draft | None, after: Line | None) -> BlockKind:
    if is_list_start(line, above, after):
        return BlockKind.LIST_ITEM
    return BlockKind.CAPTION if _CAPTION.match(line.text) and len(line.text) < 300 else BlockKind.PARAGRAPH


def is_list_start(line: Line, above: Draft | None, after: Line | None) -> bool:
    """
    Tell whether a line begins a list item.

    A bullet always does, a dash after another item or a finished sentence. A number does after another item, where
    the next line hangs or is numbered too: a line of running text may happen to begin with "12. The trial".
    """
    if _BULLET_START.match(line.text):
        is_dash = line.text.startswith(("–", "—"))
        return not is_dash or above is None or above.kind is BlockKind.LIST_ITEM or _ends(above)
    if not _NUMBER_START.match(line.text):
        return False
    if after is not None and line.y - after.y < 2 * line.size and after.x0 > line.x0 + 0.8 * line.size:
        return True
    if above is not None and above.lines and not _is_finished(above.lines[-1], line, above.x1):
        return False
    if after is not None and _NUMBER_START.match(after.text) and abs(after.x0 - line.x0) < 1:
        return True
    return above is not None and above.kind is BlockKind.LIST_ITEM and abs(above.lines[0].x0 - line.x0) < 2


def _ends(draft: Draft) -> bool:
    return bool(draft.lines) and ends_sentence(draft.lines[-1].text)


def _is_finished(line: Line, following: Line, right: float) -> bool:
    return ends_sentence(line.text) or _would_fit(line, following, right)


def _would_fit(line: Line, following: Line, right: float) -> bool:
    """Tell whether the next line's first word would still have fitted: the break was meant."""
    word = following.text.split(" ", 1)[0]
    width = (following.x1 - following.x0) * (len(word) + 1) / max(1, len(following.text))
    return line.x1 + 1.3 * width + 0.5 * line.size < right


def _starts_block(draft: Draft, previous: Line, line: Line, after: Line | None, leading: float) -> bool:
    distance = previous.y - line.y
    usual = max(leading, 1.0 * min(previous.size, line.size))
    is_other_size = abs(previous.size - line.size) > max(0.6, 0.08 * previous.size)
    if is_other_size and not _runs_on(draft, previous, line, distance, usual):
        return True
    if distance > _NEW_PARAGRAPH_GAP * max(usual, 1.05 * line.size) or distance < -0.5 * line.size:
        return True
    is_mid_sentence = not _is_finished(previous, line, draft.x1) and line.text[:1].islower()
    if previous.is_bold != line.is_bold and not is_mid_sentence:
        # A bold stretch that happens to fill a line belongs to its sentence.
        return True
    if is_list_start(line, draft, after) or _CAPTION.match(line.text) or _has_leaders(previous):
        return True
    if draft.kind is BlockKind.LIST_ITEM:
        return _leaves_item(draft, previous, line)
    return _starts_paragraph(draft, previous, line, after)


def _runs_on(draft: Draft, previous: Line, line: Line, distance: float, usual: float) -> bool:
    """Tell whether a line mostly in another size (a path in small monospace) still belongs to the sentence."""
    return (
        0.75 <= line.size / previous.size <= 1.34
        and 0 < distance <= 1.15 * usual
        and line.is_bold == previous.is_bold
        and not _is_finished(previous, line, draft.x1)
    )


def _leaves_item(draft: Draft, previous: Line, line: Line) -> bool:
    """Tell whether a line without a marker stands left of a hanging item's text."""
    start = draft.lines[0]
    if len(draft.lines) > 1:
        return line.x0 < draft.lines[1].x0 - 0.5 * line.size
    hangs = line.x0 > start.x0 + 0.4 * line.size
    return not hangs and _is_finished(previous, line, draft.x1)


def _starts_paragraph(draft: Draft, previous: Line, line: Line, after: Line | None) -> bool:
    slack = 0.6 * line.size
    is_indented = line.x0 > previous.x0 + slack
    was_hanging = len(draft.lines) > 1 and draft.lines[1].x0 > draft.lines[0].x0 + slack
    centred = abs((line.x0 + line.x1) - (draft.x0 + draft.x1)) < line.size
    if was_hanging:
        return line.x0 < previous.x0 - slack and _is_finished(previous, line, draft.x1)
    if line.x0 < previous.x0 - slack and not centred and _would_fit(previous, line, draft.x1):
        return True
    if is_indented and not centred and _is_finished(previous, line, draft.x1):
        # The second line of a hanging paragraph is indented too, but so are all after it.
        return after is None or after.x0 < line.x0 - slack or line.x0 < previous.x0 + 3 * line.size
    starts_fresh = not line.text[:1].islower()
    return starts_fresh and ends_sentence(previous.text) and _would_fit(previous, line, draft.x1)


def _has_leaders(line: Line) -> bool:
    return _LEADERS.search(line.text[-_TAIL_CHARS:]) is not None


def _mark_contents(draft: Draft) -> None:
    """Mark an entry of a table of contents (leader dots before a page number)."""
    if draft.lines and all(_has_leaders(line) for line in draft.lines):
        draft.furniture = "contents_entry"
