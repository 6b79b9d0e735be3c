"""
All pages of a document to drafts in reading order. Pure; ties lines, columns, tables, furniture and headings together.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ingest.model import BlockKind
from ingest.readers.lead_in import join_context, lead_in
from ingest.readers.pdf_blocks import Draft, build_drafts
from ingest.readers.pdf_columns import leading_of, order_regions, rows_of
from ingest.readers.pdf_furniture import EdgeRow, FurnitureRow, edge_rows, find_furniture
from ingest.readers.pdf_headings import body_size_of, mark_headings
from ingest.readers.pdf_joins import join_broken
from ingest.readers.pdf_lines import Rule, Segment, shown
from ingest.readers.pdf_tables import Line, TableRow, rows_to_lines
from ingest.readers.table_rows import CELL_SEPARATOR

_HAS_DIGIT = re.compile(r"\d")
_MAX_HEADER_CHARS = 60  # of one column's name
_UNREADABLE_SHARE = 0.2  # of a block's characters; above it nobody should be shown a quotation from it


@dataclass(frozen=True, slots=True)
class PageLayout:
    """What one page shows, reduced to segments."""

    number: int  # from 1
    width: float
    height: float
    segments: tuple[Segment, ...]
    rules: tuple[Rule, ...]


def draft_document(pages: Sequence[PageLayout], check: Callable[[], None]) -> list[Draft]:
    """
    Return the drafts of a document.

    Args:
        pages: all of them, ascending.
        check: called between pages; may raise to stop.
    """
    body_size = body_size_of(segment for page in pages for segment in page.segments)
    rows: list[EdgeRow] = []
    for page in pages:
        rows.extend(edge_rows(page.number, [s for s in page.segments if s.angle == 0], page.height))
    n_pages = sum(1 for page in pages if page.segments)
    furniture: dict[int, list[FurnitureRow]] = defaultdict(list)
    repeated = find_furniture(rows, n_pages, body_size)
    if sum(len(found.row.segments) for found in repeated) == sum(len(page.segments) for page in pages):
        repeated = []  # cards with one line each: what is everything is not furniture
    for found in repeated:
        furniture[found.row.page].append(found)
    drafts: list[Draft] = []
    gutters: list[float] = []
    for page in pages:
        check()
        drafts.extend(_draft_page(page, furniture[page.number], gutters))
    for draft in drafts:
        if not draft.furniture and draft.raw.count("\ufffd") > _UNREADABLE_SHARE * len(draft.raw):
            draft.furniture = "unreadable"
    mark_headings(drafts, body_size)
    drafts = join_broken(drafts)
    _give_context(drafts)
    return drafts


def _draft_page(page: PageLayout, furniture: Sequence[FurnitureRow], gutters: list[float]) -> list[Draft]:
    edge_ids = {id(s) for found in furniture for s in found.row.segments}
    headers = [_furniture_draft(f, page) for f in furniture if f.row.edge == "header"]
    footers = [_furniture_draft(f, page) for f in reversed(furniture) if f.row.edge == "footer"]
    body: list[Draft] = []
    rest = [s for s in page.segments if id(s) not in edge_ids]
    angles = sorted({s.angle for s in rest}, key=lambda a: -sum(len(s.text) for s in rest if s.angle == a))
    for angle in angles:
        turned = [s for s in rest if s.angle == angle]
        if angle % 90 or any(s.artifact == "watermark" for s in turned):
            marks = sorted(turned, key=lambda s: s.order)
            body.extend(_one_line_draft([s], page.number, "watermark") for s in marks)
            continue
        rules = page.rules if angle == 0 else ()
        regions, found = order_regions(turned, rules, gutters)
        gutters.extend(g for g in found if g not in gutters)
        for region in regions:
            region_rows = rows_of(region)
            items: list[Line | TableRow] = rows_to_lines(region_rows, rules, page.number)
            body.extend(build_drafts(items, leading_of(region_rows), region.x0, region.x1))
    return [*headers, *body, *footers]


def _furniture_draft(found: FurnitureRow, page: PageLayout) -> Draft:
    return _one_line_draft(found.row.segments, page.number, found.rule)


def _one_line_draft(segments: Sequence[Segment], page: int, rule: str) -> Draft:
    first, last = segments[0], segments[-1]
    text = " ".join(s.text for s in segments)
    line = Line(text, first.x0, last.x1, first.y, first.size, page, first.is_bold)
    return Draft(BlockKind.PARAGRAPH, page, [line], x0=first.x0, x1=last.x1, furniture=rule)


def _give_context(drafts: Sequence[Draft]) -> None:
    """Give list items the sentence that leads them in, table rows the header row of their table."""
    introduction = ""
    table: list[Draft] = []
    for draft in (d for d in drafts if not d.furniture):
        if draft.kind is BlockKind.TABLE_ROW:
            if table and len(table[-1].cells) != len(draft.cells) and len(table) > 1:
                _give_header(table)
                table = []
            table.append(draft)
            continue
        _give_header(table)
        table = []
        if draft.kind is BlockKind.LIST_ITEM:
            draft.context = introduction
            continue
        is_paragraph = draft.kind is BlockKind.PARAGRAPH
        introduction = lead_in(shown(" ".join(line.text for line in draft.lines))) if is_paragraph else ""
    _give_header(table)


def _give_header(table: Sequence[Draft]) -> None:
    """
    Give the rows of a table its first row, if that names the columns.

    It does if it is bold and the others are not, or if a column of figures has a name without a figure.
    """
    if len(table) < 2:
        return
    first, rest = table[0], table[1:]
    names = [shown(" ".join(line.text for line in cell)) for cell in first.cells]
    figures = any(
        len(row.cells) == len(names)
        and any(_HAS_DIGIT.search(cell[0].text) and not _HAS_DIGIT.search(names[i]) for i, cell in enumerate(row.cells))
        for row in rest
    )
    is_set_off = first.is_bold and not any(row.is_bold for row in rest)
    if is_set_off or (figures and all(len(name) <= _MAX_HEADER_CHARS for name in names)):
        for row in rest:
            row.context = join_context(CELL_SEPARATOR.join(names))
