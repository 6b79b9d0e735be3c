"""What a PDF's properties are believed, and how warnings about pages are worded."""

from __future__ import annotations

import logging
import warnings
from datetime import date

import pytest

from ingest.readers.pdf_metadata import is_sane_title, parse_date, read_metadata, split_authors
from ingest.readers.pdf_quiet import collect_logs
from ingest.readers.pdf_warnings import PageNotes, name_pages


@pytest.mark.parametrize(
    "title",
    ["Microsoft Word - guide.doc", "guide_final.indd", "untitled", "", "12", "C:\\Users\\x\\guide", "(anonymous)",
     "PowerPoint Presentation", "report_2016", "Slide 1", "x" * 400],
)  # fmt: skip
def test_what_is_no_title(title: str) -> None:
    """This ensures that file names and placeholders never become a document's title."""
    assert not is_sane_title(title)


def test_a_title_with_numbers_and_marks_is_one() -> None:
    """This ensures that a real title is kept."""
    assert is_sane_title("Opioid withdrawal: 10 things to know (2016)")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ana Ruiz; Li Wei", ("Ana Ruiz", "Li Wei")),
        ("Ana Ruiz and Li Wei", ("Ana Ruiz", "Li Wei")),
        ("Ana Ruiz, Li Wei", ("Ana Ruiz", "Li Wei")),
        ("Ruiz, Ana", ("Ruiz, Ana",)),
        ("Administrator", ()),
        ("", ()),
    ],
)
def test_authors(text: str, expected: tuple[str, ...]) -> None:
    """This ensures that names are parted where that is safe, and account names are dropped."""
    assert split_authors(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("D:20160314120000+01'00'", date(2016, 3, 14)),
        ("D:20160314", date(2016, 3, 14)),
        ("2016-03-14T12:00:00", date(2016, 3, 14)),
        ("D:2016", None),
        ("D:19010101", None),
        ("D:29990101", None),
        ("D:20160231", None),
        ("yesterday", None),
    ],
)
def test_dates(text: str, expected: date | None) -> None:
    """This ensures that only a whole and possible day is taken for a date."""
    assert parse_date(text) == expected


def test_fields_have_the_right_names_and_types() -> None:
    """This ensures that the library can take the properties over as they are."""
    info = {"/Title": " A  guide ", "/Author": "Ana Ruiz", "/CreationDate": "D:20160314"}

    assert read_metadata(info, "en-US", str) == {
        "title": "A guide",
        "authors": ("Ana Ruiz",),
        "published": date(2016, 3, 14),
        "language": "en-US",
    }


def test_properties_of_odd_types_are_ignored() -> None:
    """This ensures that numbers and lists in the place of strings do no harm."""
    assert read_metadata({"/Title": 7, "/Author": [1], "/CreationDate": None}, {"x": 1}, str) == {}


def test_pages_are_named_in_runs() -> None:
    """This ensures that a warning about many pages stays one line."""
    assert name_pages([3]) == "page 3"
    assert name_pages([5, 3, 4, 9, 9]) == "pages 3-5, 9"


def test_notes_come_once_per_kind() -> None:
    """This ensures that an editor reads one sentence per problem."""
    notes = PageNotes()
    notes.page(2, "image")
    notes.page(3, "image")
    notes.page(1, "broken")
    notes.document("something about the file")

    assert notes.sentences() == (
        "something about the file",
        "page 1 is broken inside and was left out",
        "pages 2-3 have images and no text",
    )


def test_logs_are_collected_and_the_logger_is_left_as_it_was() -> None:
    """This ensures that keeping a library quiet is not a lasting side effect."""
    logger = logging.getLogger("pypdf")
    before = (logger.propagate, list(logger.handlers))

    with collect_logs("pypdf") as lines:
        logging.getLogger("pypdf.inner").warning("odd object %d", 3)
        warnings.warn("odd", UserWarning, stacklevel=1)

    assert lines == ["odd object %d"]
    assert (logger.propagate, list(logger.handlers)) == before
