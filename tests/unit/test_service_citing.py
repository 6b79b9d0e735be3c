"""Citations, links and flags."""

from __future__ import annotations

from datetime import date

import pytest

from ingest.model import Metadata, Passage, SourceType
from service.citing import citation_text, flags

TODAY = date(2026, 11, 21)


def passage(**changes: object) -> Passage:
    fields: dict[str, object] = {
        "id": "1" * 20,
        "document_id": "a.md",
        "start": 0,
        "end": 5,
        "text": "Words",
        "title": "T",
        "heading_path": ("Onset",),
        "sentences": ((0, 5),),
    }
    return Passage(**(fields | changes))  # type: ignore[arg-type]  # fields by name


def test_citation_names_what_is_known() -> None:
    """This ensures that author, title, publisher, year, section, pages and address stand in a citation."""
    meta = Metadata(
        title="Heroin",
        publisher="NIDA",
        authors=("A. Writer",),
        published=date(2018, 6, 1),
        url="https://example.org/h",
    )

    text = citation_text(meta, passage(pages=(3, 4)))

    assert text == 'A. Writer. Heroin. NIDA, 2018. Section "Onset". pp. 3-4. https://example.org/h'


def test_citation_of_an_undated_work_says_so() -> None:
    """This ensures that a missing date is stated rather than left out."""
    assert citation_text(Metadata(title="Page"), passage(heading_path=())) == "Page. no date."


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        (Metadata(), ("undated",)),
        (Metadata(published=date(2026, 1, 1)), ()),
        (Metadata(published=date(2010, 1, 1)), ("old",)),
        (Metadata(published=date(2010, 1, 1), reviewed=date(2026, 1, 1)), ()),
        (Metadata(published=date(2026, 1, 1), review_due=date(2026, 11, 20)), ("review_overdue",)),
        (Metadata(published=date(2026, 1, 1), review_due=TODAY), ()),
        (Metadata(published=date(2026, 1, 1), source_type=SourceType.TREATMENT_PROVIDER), ("commercial",)),
        (Metadata(published=date(2026, 1, 1), source_type=SourceType.PERSONAL), ("personal_testimony",)),
    ],
)
def test_flags_follow_the_clock_and_the_source(meta: Metadata, expected: tuple[str, ...]) -> None:
    """This ensures that a reader is warned of undated, old, overdue, commercial and personal sources."""
    assert flags(meta, TODAY) == expected
