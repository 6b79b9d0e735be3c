"""Running headers, footers and page numbers, judged on bare rows."""

from __future__ import annotations

from ingest.readers.pdf_furniture import EdgeRow, edge_rows, find_furniture
from ingest.readers.pdf_lines import Segment


def segment(text: str, y: float, x: float = 72, size: float = 10, **more: object) -> Segment:
    return Segment(text, x, x + 5 * len(text), y, size, 0, **more)  # type: ignore[arg-type]


WORDS = ("nothing", "page one", "the next", "this third", "all four", "five", "the last")


def page_rows(number: int, *tops: Segment, body_y: float = 650) -> list[EdgeRow]:
    return edge_rows(
        number, [*tops, segment(f"The body of {WORDS[number]}.", body_y), segment("More of it.", 400)], 800
    )


def rules(rows: list[EdgeRow], n_pages: int) -> list[tuple[int, str, str]]:
    return [(f.row.page, f.rule, f.row.text) for f in find_furniture(rows, n_pages, 10)]


def test_numbers_that_count_pages() -> None:
    """This ensures that a lone number at the foot is furniture only if it follows the pages."""
    counting = [row for n in (1, 2, 3) for row in page_rows(n, segment(str(n + 8), 30))]
    roman = [row for n, text in ((1, "i"), (2, "ii"), (3, "iii")) for row in page_rows(n, segment(text, 30))]
    chance = [row for n, text in ((1, "100"), (2, "250"), (3, "15")) for row in page_rows(n, segment(text, 30))]

    assert [rule for _, rule, _ in rules(counting, 3)] == ["page_number"] * 3
    assert [rule for _, rule, _ in rules(roman, 3)] == ["page_number"] * 3
    assert rules(chance, 3) == []


def test_headings_that_return_are_kept() -> None:
    """This ensures that "Step 1" and "Step 2" at the top of pages stay headings."""
    rows = [row for n in (1, 2, 3) for row in page_rows(n, segment(f"Step {n}", 760, size=18))]

    assert rules(rows, 3) == []


def test_the_head_of_a_long_table_is_kept() -> None:
    """This ensures that a repeated row as close to the body as its lines is no header."""
    rows = [row for n in (1, 2, 3) for row in page_rows(n, segment("Medicine Dose", 760), body_y=748)]

    assert rules(rows, 3) == []


def test_header_with_a_number_in_it() -> None:
    """This ensures that title and page number on one row are one running header."""
    rows = [row for n in (4, 5) for row in page_rows(n, segment(f"Handbook {n}", 770, size=8))]

    assert [rule for _, rule, _ in rules(rows, 2)] == ["running_header"] * 2


def test_headers_of_left_and_right_pages() -> None:
    """This ensures that headers that alternate between left and right pages are both found."""
    rows = [
        row for n in range(1, 7) for row in page_rows(n, segment("Book" if n % 2 else "Chapter", 770, 72 + n % 2 * 300))
    ]

    assert len(rules(rows, 6)) == 6


def test_a_lone_page_has_no_furniture_but_a_sure_page_number() -> None:
    """This ensures that nothing is taken from a leaflet of one page by comparison."""
    assert rules(page_rows(1, segment("Get help now", 770), segment("7", 30)), 1) == []
    assert rules(page_rows(1, segment("Page 1 of 1", 30)), 1) == [(1, "page_number", "Page 1 of 1")]


def test_a_date_that_repeats_under_the_header() -> None:
    """This ensures that several rows of furniture at one edge are all found."""
    rows = [row for n in (1, 2) for row in page_rows(n, segment("Handbook", 780), segment("Version of March", 766))]

    assert len(rules(rows, 2)) == 4
