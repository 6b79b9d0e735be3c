"""Citations, links and flags."""

from __future__ import annotations

from datetime import date
from urllib.parse import unquote

import pytest

from ingest.model import Metadata, Passage, SourceType
from service.citing import citation_text, flags, text_directive

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


def test_a_short_quote_is_linked_whole_and_escaped() -> None:
    """This ensures that hyphens, commas and ampersands can't be read as the fragment's own syntax."""
    directive = text_directive("long-acting, once & for all")

    assert not set("-,&") & set(directive.replace("%2D", "").replace("%2C", "").replace("%26", ""))
    assert unquote(directive) == "long-acting, once & for all"


def test_a_long_quote_is_linked_by_its_ends() -> None:
    """This ensures that a link stays short: the first and the last words, joined by a comma."""
    words = [f"w{i}" for i in range(40)]

    first, last = text_directive(" ".join(words)).split(",")

    assert unquote(first).split() == words[:4]
    assert unquote(last).split() == words[-4:]


def test_a_repeated_opening_is_linked_with_as_many_words_as_make_it_unique() -> None:
    """This ensures that a link leads to the quoted sentence and not to another that begins alike."""
    text = "It is taken once a day by mouth. It is taken once a month by injection, and only after detox is complete."
    quoted = text[text.index("It is taken once a month") :]

    first, _ = text_directive(quoted, "by mouth. ", text).split(",")

    assert unquote(first) == "It is taken once a month"


def test_a_sentence_that_stands_twice_is_linked_with_the_words_before_it() -> None:
    """This ensures that the second of two equal sentences can be told from the first."""
    text = "Heroin: ask a doctor first of all, always. Kratom: ask a doctor first of all, always."
    start = text.rindex("ask a doctor")

    directive = text_directive(text[start:], text[:start], text)

    assert unquote(directive.split("-,")[0]).endswith("Kratom:")
