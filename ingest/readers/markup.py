"""
Walks an lxml tree in reading order and hands its blocks to a TextBuilder. Parses nothing, judges no furniture.

Used for html, epub and docx (by way of mammoth). `page_furniture` judges elements, `cleaning` characters.

What is decided here:

* Everything shown stays in the text. Within a line, what is not shown (hidden parts, struck-out words, page numbers
  of a printed edition) is taken out as a recorded repair; standing by itself it stays, as furniture.
* Two line breaks in a row end a paragraph, one is a line end within it.
* <summary> is a paragraph and the context of what it opens; <dt> the context of its <dd>.
* A heading inside an aside, a quotation, a figure or <details> holds to the end of that, and then the one before it.
* A button in a heading is a toggle around the heading's words and is read; any other button is furniture.
* A heading that consists of an image alone is read by its alternative text.
* <noscript> is furniture: a reader with scripts doesn't see it. So is text drawn in <svg>: it is not read at all.

The walk keeps its own stack: no recursion, whatever the nesting.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lxml import etree

from ingest.assemble import Piece, TextBuilder
from ingest.errors import SourceTooLarge
from ingest.limits import Limits
from ingest.model import BlockKind
from ingest.readers.block_lines import LineJudge, paragraphs
from ingest.readers.cleaning import Cleaned, Run, clean_runs
from ingest.readers.deadline import Deadline
from ingest.readers.lead_in import join_context, lead_in
from ingest.readers.page_furniture import OUTSIDE_MAIN, Place, cut_rule, furniture_rule
from ingest.readers.survey import BLOCKS, CONTROLS, HEADINGS, UNSHOWN, Stats, Survey, survey_page
from ingest.readers.table_rows import Cell, Table, is_layout_table
from ingest.readers.tree import local_name

_LISTS = frozenset({"ul", "ol", "menu", "dir", "dl"})
_ITEMS = frozenset({"li", "dt", "dd"})
_NAMED = frozenset({"li", "dt", "summary"})  # their own text is the context of what hangs on them
_PREFORMATTED = frozenset({"pre", "textarea", "xmp", "listing", "plaintext"})
_SECTIONING = frozenset({"main", "article", "section", "aside", "nav", "blockquote", "figure", "details"})
# A heading in one of these holds until its end. Not in <section>: page builders put a heading in one, its text in the
# next.
_DIGRESSIONS = frozenset({"aside", "blockquote", "details", "figure", "dialog"})
_ID = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ufffd]{1,200}")
_BLOCK_STYLE = re.compile(r"(?:^|;)\s*display\s*:\s*(?:block|flex|grid|list-item|table)\b")
_EVENTS_PER_CHECK = 4_096
_TITLE_BY_LENGTH = 200  # characters of content after which a page without a title is past its head


@dataclass(slots=True)
class _Frame:
    """An open element: what its text inherits."""

    kind: BlockKind = BlockKind.PARAGRAPH
    level: int = 0
    furniture: str = ""
    cut: str = ""
    context: str = ""
    is_block: bool = True
    is_preformatted: bool = False
    is_muted: bool = False
    is_bold: bool = False
    is_title: bool = False
    in_main: bool = False
    in_content: bool = False
    in_section: bool = False
    in_link: bool = False
    in_head: bool = False  # of a table
    table: Table | None = None
    in_row: bool = False
    is_lone_row: bool = False  # of a table of one
    ends_row: bool = False
    cell: Cell | None = None
    holds_toggle: bool = False  # the dt or summary around: a button in it is its text
    named: _Frame | None = None  # the li, dt or summary around, or this one
    headings: tuple[tuple[int, str], ...] | None = None  # that hold again once it is closed
    own_text: str = ""  # of such a one
    term: str = ""  # of a list: its last dt


class PageWalker:
    """
    Adds one tree after another to a builder.

    Args:
        builder: receives the pieces.
        limits: `max_text_chars` is used.
        deadline: checked on the way.
        where: names the file in errors.
        is_content: the trees hold no site around them (chapters, documents): headers, footers and asides are content.
        keeps_ids: blocks carry element ids.
    """

    def __init__(
        self,
        builder: TextBuilder,
        limits: Limits,
        deadline: Deadline,
        where: str,
        *,
        is_content: bool = False,
        keeps_ids: bool = True,
    ) -> None:
        self._builder = builder
        self._limits = limits
        self._deadline = deadline
        self._where = where
        self._is_content = is_content
        self._keeps_ids = keeps_ids
        self._survey = Survey({}, Stats())
        self._lines = LineJudge()
        self._address = ""
        self._runs: list[Run] = []
        self._alts: list[tuple[str, str]] = []
        self._has_text = False  # the open block does
        self._pending_id = self._inner_id = self._heading_id = ""
        self._lead_in = ""  # of the block just before, if it is one
        self._content_chars = self._n_content = 0
        self._saw_title = False
        self._title_text = ""

    @property
    def title_text(self) -> str:
        """Return the h1 that names the tree walked last, as it stands in the text; "" if there is none."""
        return self._title_text

    @property
    def n_content(self) -> int:
        """Return how many blocks so far are content."""
        return self._n_content

    def walk(self, root: etree._Element, *, address: str = "", furniture: str = "") -> Survey:
        """
        Add all blocks of a tree.

        Args:
            root: as `tree.parse_html` or `tree.parse_xml` gives it.
            address: of the tree within its document (a chapter's file); element ids become `address#id`.
            furniture: a rule name that marks the whole tree.

        Raises:
            SourceTooLarge: the text or the time passes its cap.
        """
        self._survey = survey_page(root)
        self._lines = LineJudge()
        self._address, self._saw_title, self._content_chars = address, False, 0
        self._title_text = ""
        self._pending_id = self._inner_id = self._heading_id = self._lead_in = ""
        base = _Frame(furniture=furniture, in_content=self._is_content, in_section=self._is_content)
        frames = [base]
        walker = etree.iterwalk(root, events=("start", "end"))
        skipped: etree._Element | None = None
        for n, (event, element) in enumerate(walker):
            if n % _EVENTS_PER_CHECK == 0:
                self._deadline.check()
            tag = local_name(element)
            if event == "start":
                if tag in UNSHOWN:
                    skipped = element
                    walker.skip_subtree()
                    continue
                frames.append(self._open(element, tag, frames[-1]))
                self._text(element.text, frames[-1])
                continue
            if element is skipped:
                skipped = None
            else:
                self._close(tag, frames.pop(), frames[-1])
            self._text(element.tail if element is not root else None, frames[-1])
        self._flush(base)
        return self._survey

    def _open(self, element: etree._Element, tag: str, parent: _Frame) -> _Frame:
        self._note_id(element, tag)
        frame = replace(parent, own_text="", term="", ends_row=False, headings=None)
        frame.is_block = tag in BLOCKS or bool(_BLOCK_STYLE.search(element.get("style", "").lower()))
        is_toggle = tag == "button" and (parent.kind is BlockKind.HEADING or parent.holds_toggle)
        rule = "" if parent.furniture or is_toggle else furniture_rule(element, self._survey, self._place(parent))
        frame.is_block = (frame.is_block or bool(rule)) and not is_toggle
        if frame.is_block:
            self._flush(parent)
        if parent.in_row:  # a row is one line: a button in it can't stand by itself
            frame.cut = parent.cut or rule
        else:
            frame.furniture = parent.furniture or rule
        frame.cut = frame.cut or ("" if rule else cut_rule(element, tag))
        if tag in _DIGRESSIONS:
            frame.headings = self._builder.open_headings
        self._set_content(frame, element, tag)
        self._set_kind(frame, element, tag, parent)
        if tag == "br":
            self._add_run(Run("", is_break=True, cut=frame.cut), frame)
        elif tag == "img":
            self._note_alt(element.get("alt", ""), frame)
        return frame

    def _set_content(self, frame: _Frame, element: etree._Element, tag: str) -> None:
        """Set what an element says about where the content lies."""
        frame.in_main = frame.in_main or element in self._survey.mains
        frame.in_content = frame.in_content or frame.in_main or tag == "article" or element.get("role") == "article"
        frame.in_section = frame.in_section or frame.in_content or tag in _SECTIONING
        frame.in_link = frame.in_link or (tag == "a" and element.get("href") is not None)
        frame.is_preformatted = frame.is_preformatted or tag in _PREFORMATTED
        frame.is_bold = frame.is_bold or tag in ("b", "strong")
        frame.is_muted = (frame.is_muted or tag == "svg") and not (tag in BLOCKS or tag == "foreignobject")
        if element is self._survey.title:
            frame.is_title = self._saw_title = True

    def _set_kind(self, frame: _Frame, element: etree._Element, tag: str, parent: _Frame) -> None:
        """Set what kind of block an element makes, and the context it gives or takes."""
        level = _heading_level(element, tag)
        if level:
            frame.kind, frame.level = BlockKind.HEADING, level
        elif tag in ("figcaption", "caption"):
            frame.kind = BlockKind.CAPTION
        elif tag in _LISTS:
            frame.context = self._list_context(parent)
        elif tag in _ITEMS:
            frame.kind, frame.level = BlockKind.LIST_ITEM, 0
            frame.context = join_context(parent.context, parent.term) if tag == "dd" else parent.context
        elif tag == "table":
            frame.in_row = False
            stats = self._survey.of(element)
            layout = parent.cell is not None or is_layout_table(element.get("role", ""), stats)
            frame.is_lone_row = stats.n_rows == 1
            frame.table = None if layout else Table(stats.n_rows, has_data_cells=stats.n_data_cells > 0)
        elif tag == "thead":
            frame.in_head = True
        elif tag == "tr" and frame.table is not None and not parent.in_row:
            frame.table.start_row(frame.in_head)
            frame.in_row = frame.ends_row = True
        elif tag in ("td", "th") and frame.table is not None and parent.in_row and parent.cell is None:
            frame.cell = frame.table.start_cell(tag == "th", element.get("rowspan", "1"))
        if tag in _NAMED:
            frame.named = frame
        elif tag in ("details", "dd"):
            frame.named = None
        frame.holds_toggle = tag in ("dt", "summary") or (frame.holds_toggle and tag not in ("dd", "li"))

    def _close(self, tag: str, frame: _Frame, parent: _Frame) -> None:
        if frame.is_block:
            self._flush(frame)
        if frame.headings is not None:
            self._builder.return_to(frame.headings)
        if tag == "dt":
            parent.term = frame.own_text
        elif tag == "summary":
            parent.context = join_context(parent.context, frame.own_text)
        if not frame.ends_row or frame.table is None:
            return
        row = frame.table.end_row()
        if row is not None:
            furniture = frame.furniture or ("table_header" if row.is_header else "")
            row_frame = replace(frame, kind=BlockKind.TABLE_ROW, level=0, context=row.context, furniture=furniture)
            self._emit(row.runs, row_frame)
        self._emit_alts()

    def _list_context(self, parent: _Frame) -> str:
        if parent.kind is BlockKind.LIST_ITEM and parent.named is not None and parent.named.own_text:
            return join_context(parent.context, parent.named.own_text)
        return self._lead_in or parent.context

    def _place(self, parent: _Frame) -> Place:
        past_head = self._saw_title or (self._survey.title is None and self._content_chars > _TITLE_BY_LENGTH)
        return Place(
            in_content=parent.in_content,
            in_section=parent.in_section,
            in_row=parent.in_row,
            follows_lead_in=bool(self._lead_in),
            follows_title=past_head,
            is_bound=self._is_content,
        )

    def _note_id(self, element: etree._Element, tag: str) -> None:
        found = element.get("id") or (element.get("name") if tag == "a" else None)
        if not self._keeps_ids or not found or not _ID.fullmatch(found):
            return
        if self._has_text:
            self._inner_id = self._inner_id or found
        else:
            self._pending_id = found

    def _note_alt(self, alt: str, frame: _Frame) -> None:
        if alt.strip() and not frame.is_muted:
            self._alts.append((alt, frame.furniture or frame.cut or "image_alt"))

    def _text(self, text: str | None, frame: _Frame) -> None:
        if text and not frame.is_muted:
            self._add_run(Run(text, frame.cut, frame.is_preformatted, in_link=frame.in_link), frame)

    def _add_run(self, run: Run, frame: _Frame) -> None:
        is_blank = run.is_break or run.text.isspace()
        if frame.in_row and frame.table is not None:
            cell = frame.cell or frame.table.loose_cell(create=not is_blank)
            if cell is not None:
                cell.add(run, is_bold=frame.is_bold)
            return
        self._runs.append(run)
        self._has_text = self._has_text or not is_blank

    def _flush(self, frame: _Frame) -> None:
        """End the open block, whose text inherits from `frame`; within a table's cell begin a new line."""
        if frame.in_row:
            self._add_run(Run("", is_break=True), frame)
            return
        runs, self._runs = self._runs, []
        if not self._has_text and frame.kind is BlockKind.HEADING and self._alts:
            runs = [Run(f"{alt} ") for alt, _ in self._alts]
            self._alts = []
        is_whole = frame.kind is BlockKind.HEADING or frame.is_preformatted
        for group in [runs] if is_whole else paragraphs(runs):
            self._emit(group, frame)
        self._has_text, self._inner_id = False, ""
        self._emit_alts()

    def _emit_alts(self) -> None:
        for alt, furniture in self._alts:
            cleaned = clean_runs([Run(alt)])
            self._builder.add(Piece(cleaned.text, BlockKind.CAPTION, furniture=furniture, repairs=cleaned.repairs))
        self._alts = []

    def _emit(self, runs: Sequence[Run], frame: _Frame) -> None:
        if not runs:
            return
        cleaned, furniture = _shown(runs, frame.furniture)
        if not cleaned.text:
            return
        is_title_outside = frame.is_title and not self._survey.title_in_main
        if self._survey.main_holds_page and not frame.in_main and not is_title_outside:
            furniture = furniture or OUTSIDE_MAIN
        furniture = furniture or self._line_rule(runs, cleaned.text, frame)
        is_heading = frame.kind is BlockKind.HEADING
        own_id = self._pending_id or (self._inner_id if is_heading else "")
        self._pending_id = self._inner_id = ""
        if is_heading and not furniture:
            self._heading_id = own_id
        element_id = own_id or self._heading_id
        if self._address:
            element_id = f"{self._address}#{element_id}" if element_id else self._address
        self._builder.add(
            Piece(
                cleaned.text,
                frame.kind,
                level=frame.level if is_heading else 0,
                element_id=element_id,
                context=frame.context if not is_heading else "",
                furniture=furniture,
                repairs=cleaned.repairs,
            )
        )
        self._remember(cleaned.text, frame, furniture)

    def _line_rule(self, runs: Sequence[Run], text: str, frame: _Frame) -> str:
        if frame.is_title or (frame.kind is BlockKind.TABLE_ROW and not frame.is_lone_row):
            return ""
        is_above = self._survey.title is not None and not self._saw_title and not frame.in_content
        lead = bool(self._lead_in or frame.context)
        return self._lines.judge(runs, text, frame.kind, follows_lead_in=lead, is_above_title=is_above)

    def _remember(self, text: str, frame: _Frame, furniture: str) -> None:
        """Keep what later blocks need to know of this one."""
        if self._builder.length > self._limits.max_text_chars:
            raise SourceTooLarge(
                f"has over {self._builder.length} characters of text, the cap is {self._limits.max_text_chars}",
                where=self._where,
                fix="split the file into smaller ones",
            )
        if frame.is_title and not self._title_text:
            self._title_text = text
        if not furniture:
            if frame.named is not None and not frame.named.own_text:
                frame.named.own_text = text
            self._n_content += 1
            self._content_chars += len(text)
            self._lead_in = lead_in(text) if frame.kind is BlockKind.PARAGRAPH else ""


def _heading_level(element: etree._Element, tag: str) -> int:
    if tag in HEADINGS:
        return int(tag[1])
    if element.get("role") == "heading" and tag not in CONTROLS:
        level = element.get("aria-level", "2")
        return int(level) if level in ("1", "2", "3", "4", "5", "6") else 2
    return 0


def _shown(runs: Sequence[Run], furniture: str) -> tuple[Cleaned, str]:
    """Return a block's text and its furniture: a block of which nothing is shown keeps its text, as furniture."""
    cleaned = clean_runs(runs)
    if cleaned.text or not any(run.cut for run in runs):
        return cleaned, furniture
    rule = next(run.cut for run in runs if run.cut)
    return clean_runs(replace(run, cut="") for run in runs), furniture or rule
