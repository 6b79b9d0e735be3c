"""
Running headers, footers and page numbers, found by comparing the edges of pages. Pure; knows no particular document.

A row counts only at the edge of its page: nothing but furniture may stand between it and the margin.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from ingest.readers.pdf_lines import Segment, rows_by_baseline

_EDGE_ROWS = 4  # rows looked at from each edge
_EDGE_SHARE = 0.14  # of the page's height within which furniture stands: 4 cm of A4
_SAME_HEIGHT = 4.0  # points by which the same header may differ between pages
_NEIGHBOURS = 4  # rows before and after that are compared number by number: left and right pages, a page left out
_DIGITS = re.compile(r"\d+")
_ROMAN = re.compile(r"^[ivxlc]{1,7}$", re.I)
_PAGE_NUMBER = re.compile(
    r"^[\s\-–—|·\[\]()/.]*(?:(?:page|p\.|pg\.?|seite|página|pág\.|page\s+n°)\s*)?"
    r"(\d{1,4}|[ivxlc]{1,7})(?:\s*(?:of|/|von|de|sur)\s*\d{1,4})?[\s\-–—|·\[\]()/.]*$",
    re.I,
)


@dataclass(frozen=True, slots=True)
class EdgeRow:
    """One row at the top or bottom of a page."""

    page: int  # from 1
    edge: str  # "header" or "footer"
    depth: int  # 0 is nearest to the edge
    segments: tuple[Segment, ...]
    gap: float = float("inf")  # points to the next row towards the middle

    @property
    def text(self) -> str:
        """Return the row as read."""
        return " ".join(s.text for s in self.segments)

    @property
    def y(self) -> float:
        """Return the baseline."""
        return self.segments[0].y

    @property
    def size(self) -> float:
        """Return the largest type size in it."""
        return max(s.size for s in self.segments)


@dataclass(frozen=True, slots=True)
class FurnitureRow:
    """A row recognised as furniture, with the rule that did."""

    row: EdgeRow
    rule: str  # running_header, running_footer or page_number


def edge_rows(page: int, segments: Sequence[Segment], height: float) -> list[EdgeRow]:
    """
    Return the rows of a page that could be furniture.

    Args:
        page: number from 1.
        segments: the upright ones.
        height: of the page in points.
    """
    rows = rows_by_baseline(list(segments))
    found: list[EdgeRow] = []
    for edge, ordered in (("header", rows), ("footer", rows[::-1])):
        for depth, row in enumerate(ordered[:_EDGE_ROWS]):
            y = row[0].y
            if (y > height * (1 - _EDGE_SHARE)) if edge == "header" else (y < height * _EDGE_SHARE):
                gap = abs(y - ordered[depth + 1][0].y) if depth + 1 < len(ordered) else float("inf")
                found.append(EdgeRow(page, edge, depth, tuple(row), gap))
    return found


def find_furniture(rows: Sequence[EdgeRow], n_pages: int, body_size: float) -> list[FurnitureRow]:
    """
    Return the rows that are furniture.

    Args:
        rows: of all pages, as `edge_rows` gives them.
        n_pages: pages with text.
        body_size: type size of most of the text.
    """
    rules: dict[tuple[int, str, int], str] = {}
    for edge in ("header", "footer"):
        mine = [row for row in rows if row.edge == edge]
        marked = {_key(row): _tagged(row) for row in mine if _tagged(row)}
        marked.update(_page_numbers(mine, n_pages))
        marked.update({k: v for k, v in _repeated(mine, n_pages, body_size).items() if k not in marked})
        marked.update({k: v for k, v in _same_place(mine, marked, n_pages).items() if k not in marked})
        rules.update(_from_the_edge(mine, marked))
    return [FurnitureRow(row, rules[_key(row)]) for row in rows if _key(row) in rules]


def _key(row: EdgeRow) -> tuple[int, str, int]:
    return row.page, row.edge, row.depth


def _name(row: EdgeRow) -> str:
    return "page_number" if _page_number(row.text) is not None else f"running_{row.edge}"


def _tagged(row: EdgeRow) -> str:
    """Return the rule for a row that the file itself tags as an artifact of pagination."""
    return _name(row) if all(s.artifact and s.artifact != "watermark" for s in row.segments) else ""


def _from_the_edge(rows: Sequence[EdgeRow], marked: dict[tuple[int, str, int], str]) -> dict[tuple[int, str, int], str]:
    """
    Keep marks only while nothing unmarked stands between a row and the edge; tagged rows always count.

    Rows as close to the body as its own lines are not furniture: the head of a long table, text that recurs.
    """
    by_page: dict[int, list[EdgeRow]] = defaultdict(list)
    for row in sorted(rows, key=lambda r: r.depth):
        by_page[row.page].append(row)
    kept: dict[tuple[int, str, int], str] = {}
    for page_rows in by_page.values():
        outer = list(takewhile(lambda r: _key(r) in marked, page_rows))
        while outer and _is_close(outer[-1]) and marked[_key(outer[-1])] != "page_number":
            outer.pop()
        kept.update({_key(r): marked[_key(r)] for r in [*outer, *(r for r in page_rows if _tagged(r))]})
    return kept


def _is_close(row: EdgeRow) -> bool:
    return row.gap < 1.35 * row.size and not _tagged(row)


def _page_number(text: str) -> int | None:
    match = _PAGE_NUMBER.match(text) if len(text) <= 60 else None
    if match is None:
        return None
    value = match.group(1)
    return int(value) if value.isdigit() else _roman(value)


def _roman(text: str) -> int | None:
    if not _ROMAN.match(text):
        return None
    values = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}
    numbers = [values[c] for c in text.lower()]
    return sum(-a if a < b else a for a, b in zip(numbers, [*numbers[1:], 0], strict=True))


def _page_numbers(rows: Sequence[EdgeRow], n_pages: int) -> dict[tuple[int, str, int], str]:
    """
    Mark rows that are nothing but a number which counts pages.

    The number minus the page is the same on at least two pages; on a lone page only "Page 1 of 1" is sure.
    """
    shifts: dict[int, list[EdgeRow]] = defaultdict(list)
    for row in rows:
        number = _page_number(row.text)
        if number is not None:
            shifts[number - row.page].append(row)
    marked: dict[tuple[int, str, int], str] = {}
    for group in shifts.values():
        if len({row.page for row in group}) >= 2:
            marked.update({_key(row): "page_number" for row in group})
    if n_pages == 1:
        marked.update(
            {_key(r): "page_number" for r in rows if re.match(r"^page\s+1(\s+of\s+1)?$", r.text.strip(), re.I)}
        )
    return marked


def _repeated(rows: Sequence[EdgeRow], n_pages: int, body_size: float) -> dict[tuple[int, str, int], str]:
    """
    Mark rows that return on other pages at the same height.

    Word for word: on two pages, or three if large or bold (a heading may return at the top of a page). With changing
    numbers: only if one of the numbers counts the pages, and not in large type ("Step 1", "Step 2").
    """
    marked: dict[tuple[int, str, int], str] = {}
    if n_pages < 2:
        return marked
    groups: dict[str, list[EdgeRow]] = defaultdict(list)
    pages: dict[tuple[str, int], set[int]] = defaultdict(set)
    for row in rows:
        groups[_DIGITS.sub("#", _folded(row))].append(row)
        for height in _heights(row):
            pages[(_folded(row), height)].add(row.page)
    for group in groups.values():
        for place, row in enumerate(group):  # pages ascend: what counts them is found next door
            n_others = max(len(pages[(_folded(row), height)]) for height in _heights(row)) - 1
            is_large = row.size > 1.1 * body_size or all(s.is_bold for s in row.segments)
            mates = group[max(0, place - _NEIGHBOURS) : place + _NEIGHBOURS + 1]
            if n_others >= (2 if is_large else 1) or (
                not is_large and any(_counts_pages(row, o) for o in mates if abs(o.y - row.y) <= _SAME_HEIGHT)
            ):
                marked[_key(row)] = _name(row)
    marked.update(_partly_repeated(rows))
    return marked


def _folded(row: EdgeRow) -> str:
    return " ".join(row.text.casefold().split())


def _heights(row: EdgeRow) -> tuple[int, int]:
    """Return the two bands of height that a row lies in: rows closer than half a band share one."""
    band = 2 * _SAME_HEIGHT
    return 2 * round(row.y / band), 2 * round(row.y / band - 0.5) + 1


def _partly_repeated(rows: Sequence[EdgeRow]) -> dict[tuple[int, str, int], str]:
    """Mark rows of which one part returns at its place on three pages: the book's name beside the chapter's."""
    places: dict[tuple[str, int, int], set[int]] = defaultdict(set)
    for row in rows:
        for segment in row.segments:
            places[(segment.text.casefold(), round(segment.x0), round(segment.y))].add(row.page)
    return {
        _key(row): _name(row)
        for row in rows
        if any(len(places[(s.text.casefold(), round(s.x0), round(s.y))]) >= 3 for s in row.segments)
        and len(row.segments) > 1
    }


def _counts_pages(row: EdgeRow, other: EdgeRow) -> bool:
    """Tell whether the numbers that differ between two rows differ as their pages do."""
    pairs = zip(_DIGITS.findall(row.text), _DIGITS.findall(other.text), strict=False)
    changing = [(int(a), int(b)) for a, b in pairs if a != b]
    return bool(changing) and all(a - b == row.page - other.page for a, b in changing)


def _same_place(
    rows: Sequence[EdgeRow], marked: dict[tuple[int, str, int], str], n_pages: int
) -> dict[tuple[int, str, int], str]:
    """
    Mark a row that stands exactly where furniture stands on most other pages: a header naming the chapter.

    Same height, size and weight as rows marked on at least three pages and 40 % of all.
    """
    places: dict[tuple[int, float, bool], set[int]] = defaultdict(set)
    for row in rows:
        if _key(row) in marked:
            for shift in (-1, 0, 1):
                places[(round(row.y) + shift, round(row.size, 1), row.segments[0].is_bold)].add(row.page)
    found: dict[tuple[int, str, int], str] = {}
    for row in rows:
        pages = places.get((round(row.y), round(row.size, 1), row.segments[0].is_bold), set())
        if len(pages) >= max(3, 0.4 * n_pages):
            found[_key(row)] = _name(row)
    return found
