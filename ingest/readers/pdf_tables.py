"""
Rows of one region to text lines and table rows. Pure; decides nothing about paragraphs.

A table is a run of rows in which wide gaps stand above one another; justified text has wide gaps too, but not aligned.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ingest.readers.pdf_lines import Rule, Segment

# A bullet, or a short number or letter as lists use them, alone before its text.
BULLETS = "•‣◦▪▫■□●○◆◇►▸▶➢➤✓✔✦❖∙·⁃–—*-\uf0b7\uf0a7\uf076\uf0d8\uf0fc\uf02d\uf0a8"
MARKER = re.compile(rf"^(?:[{re.escape(BULLETS)}]|\(?(?:\d{{1,2}}|[a-zA-Z]|[ivxIVX]{{1,4}})[.)])$")
_CELL_GAP_EM = 1.2
_ALIGN_SLACK = 3.5  # points
_EXACT_SLACK = 1.0  # points; three rows with narrow gaps are a table only if they agree like this


@dataclass(frozen=True, slots=True)
class Line:
    """One line of running text."""

    text: str
    x0: float
    x1: float
    y: float
    size: float
    page: int
    is_bold: bool = False


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of a table: cells from left to right, each with its lines."""

    cells: tuple[tuple[Line, ...], ...]
    page: int


def rows_to_lines(rows: Sequence[Sequence[Segment]], rules: Sequence[Rule], page: int) -> list[Line | TableRow]:
    """
    Return text lines and table rows, from the top.

    Args:
        rows: of one region, from the top, each from left to right.
        rules: horizontal strokes of the page.
    """
    fine = [_cells(row, page) for row in rows]
    wide = [_joined_close(cells) for cells in fine]
    out: list[Line | TableRow] = []
    start = 0
    while start < len(fine):
        end = _table_end(wide, start, 2, _ALIGN_SLACK)
        if end == start:
            end = _table_end(fine, start, 3, _EXACT_SLACK)
        if end > start:
            out.extend(_table_rows(_aligned_cells(fine[start:end], wide[start:end]), rules, page))
            start = end
        else:
            out.append(_joined(fine[start]))
            start += 1
    return out


def _cells(row: Sequence[Segment], page: int) -> list[Line]:
    """Return the stretches of a row; a list marker stays with its text."""
    cells = [Line(s.text, s.x0, s.x1, s.y, s.size, page, s.is_bold) for s in row]
    if len(cells) > 1 and MARKER.match(cells[0].text) and cells[1].x0 - cells[0].x1 <= 4 * cells[1].size:
        cells[:2] = [_joined(cells[:2])]
    return cells


def _joined_close(cells: Sequence[Line]) -> list[Line]:
    """Join what stands closer together than the cells of most tables do."""
    joined: list[Line] = []
    for cell in cells:
        if joined and cell.x0 - joined[-1].x1 <= _CELL_GAP_EM * max(joined[-1].size, cell.size):
            joined[-1] = _joined([joined[-1], cell])
        else:
            joined.append(cell)
    return joined


def _aligned_cells(fine: Sequence[Sequence[Line]], wide: Sequence[Sequence[Line]]) -> list[list[Line]]:
    """Part again what was joined, where another row of the table has a cell that begins at the same place."""
    edges = [(number, cell.x0) for number, row in enumerate(fine) for cell in row]
    rows: list[list[Line]] = []
    for number, (row, joined) in enumerate(zip(fine, wide, strict=True)):
        kept = {cell.x0 for cell in joined}
        cells: list[Line] = []
        for cell in row:
            stands_under = any(n != number and abs(x - cell.x0) <= _EXACT_SLACK for n, x in edges)
            if not cells or cell.x0 in kept or stands_under:
                cells.append(cell)
            else:
                cells[-1] = _joined([cells[-1], cell])
        rows.append(cells)
    return rows


def _joined(cells: Sequence[Line]) -> Line:
    if len(cells) == 1:
        return cells[0]
    widest = max(cells, key=lambda c: len(c.text))
    is_marked = MARKER.match(cells[0].text) is not None
    return Line(
        text=" ".join(c.text for c in cells),
        x0=cells[0].x0,
        x1=cells[-1].x1,
        y=widest.y,
        size=widest.size,
        page=cells[0].page,
        is_bold=all(c.is_bold for c in (cells[1:] if is_marked else cells)),
    )


def _are_aligned(first: Sequence[Line], second: Sequence[Line], slack: float) -> bool:
    """Tell whether a cell after the first stands under one of the other row (left, right or middle)."""
    for a in first[1:]:
        for b in second[1:]:
            if abs(a.x0 - b.x0) <= slack:
                return True
            if slack > _EXACT_SLACK and (abs(a.x1 - b.x1) <= slack or abs((a.x0 + a.x1) - (b.x0 + b.x1)) <= 2 * slack):
                return True
    return False


def _table_end(rows: Sequence[Sequence[Line]], start: int, at_least: int, slack: float) -> int:
    """
    Return the index after the last row of the table that begins at `start`; `start` if none begins there.

    Args:
        rows: cells by row.
        start: index of its first row.
        at_least: rows with several cells that make a table.
        slack: points by which aligned edges may differ.
    """
    if len(rows[start]) < 2:
        return start
    last, n_celled = start, 1
    place = start + 1
    while place < len(rows):
        row = rows[place]
        if rows[place - 1][0].y - row[0].y > 4 * row[0].size:
            break
        if len(row) >= 2:
            if not _are_aligned(rows[last], row, slack):
                break
            last, n_celled = place, n_celled + 1
        elif not _continues_cell(rows[last], row[0]) or place - last > 6:
            break
        place += 1
    # Lines of one cell after the last row belong to it only under a later column.
    while place - 1 > last and not _continues_later_cell(rows[last], rows[place - 1][0]):
        place -= 1
    return place if n_celled >= at_least else start


def _continues_cell(row: Sequence[Line], line: Line) -> bool:
    """Tell whether a lone line may be the wrapped rest of a cell: it begins under it and stays in its column."""
    for place, cell in enumerate(row):
        right = row[place + 1].x0 if place + 1 < len(row) else float("inf")
        if abs(cell.x0 - line.x0) <= _ALIGN_SLACK and line.x1 < right:
            return True
    return False


def _continues_later_cell(row: Sequence[Line], line: Line) -> bool:
    return any(abs(cell.x0 - line.x0) <= _ALIGN_SLACK for cell in row[1:])


def _table_rows(lines: Sequence[Sequence[Line]], rules: Sequence[Rule], page: int) -> list[TableRow]:
    """Group the lines of a table into rows: between strokes where it is ruled, else by indent and distance."""
    heights = _row_rules(lines, rules)
    gaps = [a[0].y - b[0].y for a, b in pairwise(lines)]
    tight = min(gaps, default=0.0)
    is_spaced = bool(gaps) and max(gaps) > 1.25 * tight
    first_column = min(line[0].x0 for line in lines)
    groups: list[list[Sequence[Line]]] = []
    for place, line in enumerate(lines):
        continues = False
        if groups:
            above, below = lines[place - 1][0].y, line[0].y
            if heights:
                continues = not any(below + 0.5 < y < above - 0.5 for y in heights)
            else:
                lacks_first = line[0].x0 > first_column + _ALIGN_SLACK
                is_close = above - below <= 1.15 * tight
                is_rest = any(cell.text[:1].islower() for cell in line)
                continues = (lacks_first and is_close) or (is_spaced and is_close and (is_rest or len(line) == 1))
                continues = continues or (len(line) == 1 and is_close and is_rest)
        if continues:
            groups[-1].append(line)
        else:
            groups.append([line])
    return [TableRow(_merge_cells(group), page) for group in groups]


def _row_rules(lines: Sequence[Sequence[Line]], rules: Sequence[Rule]) -> list[float]:
    """Return the heights of strokes that part rows: at least two inside the table."""
    left, right = min(line[0].x0 for line in lines), max(line[-1].x1 for line in lines)
    top, bottom = lines[0][0].y, lines[-1][0].y
    inside = {round(r.y, 1) for r in rules if bottom < r.y < top and r.x1 > left and r.x0 < right}
    return sorted(inside) if len(inside) >= 2 else []


def _merge_cells(group: Sequence[Sequence[Line]]) -> tuple[tuple[Line, ...], ...]:
    """Put the lines of a row into its cells by the nearest left edge."""
    widest = max(group, key=len)
    columns: list[list[Line]] = [[] for _ in widest]
    for line in group:
        taken = -1
        for cell in line:
            nearest = min(range(len(widest)), key=lambda i: abs(widest[i].x0 - cell.x0))
            if len(line) == len(widest):
                nearest = taken + 1
            taken = nearest
            columns[nearest].append(cell)
    return tuple(tuple(column) for column in columns if column)
