"""
Tables of marked-up documents to one line of text a row. Knows rows and cells, not the walk that finds them.

Cells are joined with " | "; these bars are the reader's own, everything between them is the source's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.readers.cleaning import Run, clean_runs
from ingest.readers.survey import Stats

CELL_SEPARATOR = " | "
_MAX_SPAN = 1_000  # HTML standard: colspan is capped at 1,000; rowspan needs no more here
_MAX_HEADER_ROWS = 3
_LONG_CELL_CHARS = 300  # a cell longer than this is prose that a table was used to place


@dataclass(slots=True)
class Cell:
    """One cell on the way: its runs, whether it is a header, how many rows it spans."""

    is_header: bool
    row_span: int = 1
    is_plain: bool = False  # holds text that is not bold
    is_loose: bool = False  # no cell in the source: text between the cells
    runs: list[Run] = field(default_factory=list)
    _at_line_start: bool = True

    def add(self, run: Run, *, is_bold: bool) -> None:
        """Append a run; empty lines are left out."""
        if run.is_break and self._at_line_start:
            return
        self.runs.append(run)
        is_blank = run.is_break or run.text.isspace()
        self._at_line_start = run.is_break or (is_blank and self._at_line_start)
        self.is_plain |= not (is_blank or is_bold)

    def finish(self) -> None:
        """Take off what a last line break left at the end."""
        while self.runs and (self.runs[-1].is_break or self.runs[-1].text.isspace()):
            self.runs.pop()


@dataclass(frozen=True, slots=True)
class Row:
    """A finished row: the runs of its line, its header's text, and whether it is itself the header."""

    runs: tuple[Run, ...]
    context: str
    is_header: bool


def is_layout_table(role: str, stats: Stats) -> bool:
    """
    Tell whether a table only places text on a page: then its cells are read as blocks.

    So is one that says so (role none or presentation), holds tables or headings, has one column, or one row with
    much text.
    """
    if role in ("none", "presentation") or stats.n_tables > 1 or stats.n_headings > 0:
        return True
    one_column = stats.n_cells <= stats.n_rows
    return one_column or (stats.n_rows == 1 and stats.text_chars > _LONG_CELL_CHARS)


class Table:
    """
    The state of one data table while its rows go by.

    The header is the rows in <thead> and the rows of header cells alone, as long as no data row was seen, and at
    most three; else a first row that is all bold (Word's tables seldom mark their header otherwise). The last row is
    never one, nor is any row of a table without data cells. A cell that spans rows is repeated in the context of the
    rows below it, never in their text.

    Args:
        n_rows: of the whole table.
        has_data_cells: it has <td> somewhere.
    """

    def __init__(self, n_rows: int, *, has_data_cells: bool) -> None:
        self._n_rows_left = n_rows
        self._has_data_cells = has_data_cells
        self._header: list[str] = []
        self._saw_data = False
        self._cells: list[Cell] = []
        self._in_head = False
        self._spanning: list[tuple[int, str]] = []  # rows still to go, text

    def start_row(self, in_head: bool) -> None:
        """Begin a row; `in_head` says that it lies in <thead>."""
        self._cells = []
        self._in_head = in_head
        self._n_rows_left -= 1

    def start_cell(self, is_header: bool, row_span: str) -> Cell:
        """Return a new cell of the row; its runs are the caller's to fill."""
        span = int(row_span) if row_span.isascii() and row_span.isdigit() and len(row_span) < 6 else 1
        cell = Cell(is_header, min(max(span, 1), _MAX_SPAN))
        self._cells.append(cell)
        return cell

    def loose_cell(self, *, create: bool) -> Cell | None:
        """Return the cell for text of the row that stands in no cell, None if there is none and none is wanted."""
        if create and not (self._cells and self._cells[-1].is_loose):
            self._cells.append(Cell(is_header=False, is_loose=True))
        return self._cells[-1] if self._cells and self._cells[-1].is_loose else None

    def end_row(self) -> Row | None:
        """Return the row, None if no cell of it has text."""
        for cell in self._cells:
            cell.finish()
        texts = [clean_runs(cell.runs).text for cell in self._cells]
        spanned = [text for _, text in self._spanning]
        self._spanning = [(rows - 1, text) for rows, text in self._spanning if rows > 1]
        if not any(texts):
            return None
        while not texts[-1]:
            texts.pop()
        cells = self._cells[: len(texts)]
        is_header = self._is_header(cells)
        runs: list[Run] = []
        for n, cell in enumerate(cells):
            runs.extend([Run(CELL_SEPARATOR)] if n else [])
            runs.extend(cell.runs)
        if is_header:
            self._header.append(CELL_SEPARATOR.join(filter(None, texts)))
            return Row(tuple(runs), "", is_header=True)
        self._saw_data = True
        self._spanning += [
            (c.row_span - 1, text) for c, text in zip(cells, texts, strict=True) if c.row_span > 1 and text
        ]
        return Row(tuple(runs), "; ".join([*self._header, *spanned]), is_header=False)

    def _is_header(self, cells: list[Cell]) -> bool:
        may_be = self._n_rows_left > 0 and self._has_data_cells and not self._saw_data
        if not may_be or len(self._header) >= _MAX_HEADER_ROWS:
            return False
        marked = self._in_head or (len(cells) > 1 and all(cell.is_header for cell in cells))
        return marked or (not self._header and len(cells) > 1 and not any(cell.is_plain for cell in cells))
