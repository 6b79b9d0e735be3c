"""Front matter: what it says, what it can't do."""

from __future__ import annotations

from datetime import date

import pytest

from ingest.errors import SourceTooLarge
from ingest.limits import Limits
from ingest.model import SourceType
from ingest.readers.front_matter import FrontMatter, read_front_matter


def _read(block: str) -> FrontMatter:
    return read_front_matter(f"---\n{block}\n---\nBody.\n", Limits(), "x.md")


def test_fields_are_typed() -> None:
    """This ensures that texts, dates, lists and enumerations come out as Metadata holds them."""
    front = _read(
        'title: "A: b"\npublished: 2019-05-02\nauthors:\n  - Ann Ray\n  - Bo Lee\ntags: x; y\n'
        "source_type: Peer-Reviewed\nlanguage: no\nsources:\n  - title: T\n    published: 2001-01-01"
    )

    assert front.warnings == ()
    assert front.metadata is not None
    assert front.metadata["title"] == "A: b"
    assert front.metadata["published"] == date(2019, 5, 2)
    assert front.metadata["authors"] == ("Ann Ray", "Bo Lee")
    assert front.metadata["tags"] == ("x", "y")
    assert front.metadata["source_type"] is SourceType.PEER_REVIEWED
    assert front.metadata["language"] == "no"
    assert front.metadata["sources"][0].published == date(2001, 1, 1)


@pytest.mark.parametrize(
    ("block", "field", "value"),
    [
        ("title: 5", "title", "5"),
        ("author: Ann Ray", "authors", ("Ann Ray",)),
        ("date: 2020-02-29T10:00:00Z", "published", date(2020, 2, 29)),
        ("keywords: [a, b]", "tags", ("a", "b")),
        ("lang: en_US", "language", "en-US"),
        ("title: Off", "title", "Off"),
    ],
)
def test_obvious_values_are_understood(block: str, field: str, value: object) -> None:
    """This ensures that numbers as titles and the field names of other programs are taken as meant."""
    assert _read(block).metadata == {field: value}


@pytest.mark.parametrize(
    ("block", "field"),
    [
        ("published: soon", "published"),
        ("published: 2019-02-30", "published"),
        ("title: [a, b]", "title"),
        ("url: javascript:alert(1)", "url"),
        ("source_type: blog", "source_type"),
        ("language: English", "language"),
        ("tags: {a: b}", "tags"),
    ],
)
def test_wrong_types_are_warnings_that_name_the_field(block: str, field: str) -> None:
    """This ensures that a lying field is dropped and named and the others are kept."""
    front = _read(f"{block}\npublisher: P")

    assert front.metadata == {"publisher": "P"}
    assert len(front.warnings) == 1
    assert f"front matter: {field} = " in front.warnings[0]


@pytest.mark.parametrize(
    "block", ["title: [a", "title: 'x", "a: b: c", "\ttitle: x\nkey: - y", "title: @x", "title: a\n\x01: b"]
)
def test_broken_yaml_is_a_warning(block: str) -> None:
    """This ensures that broken front matter costs its metadata, never the document."""
    front = _read(f"publisher: P\n{block}")

    assert front.metadata == {}
    assert "not valid YAML" in front.warnings[0]
    assert front.end > 0


@pytest.mark.parametrize(
    "block",
    ["a: &a [x, x]\nb: [*a, *a]", "a: " + "[" * 20_000, "a:\n  " + "- " * 20_000, "a: " + "{b: " * 10_000],
    ids=["aliases", "flow depth", "block depth", "map depth"],
)
def test_bombs_are_refused_without_being_unfolded(block: str) -> None:
    """This ensures that aliases and deep nesting neither eat memory nor overrun the stack."""
    front = _read(block)

    assert front.metadata == {}
    assert "ignored" in front.warnings[0]


@pytest.mark.parametrize(
    "text",
    [
        "---\n\nA rule, then text.\n\n---\nMore.",
        "---\n- a list\n---\n",
        "no\n---\na: b\n---",
        "---",
        "",
        "----\na: b\n---\n",
    ],
)
def test_a_rule_is_no_front_matter(text: str) -> None:
    """This ensures that text between two rules is not swallowed."""
    assert read_front_matter(text, Limits(), "x.md") == FrontMatter()


def test_front_matter_that_never_closes_is_text() -> None:
    """This ensures that an unclosed block is read as text and reported."""
    front = read_front_matter("---\ntitle: x\n\nBody.", Limits(), "x.md")

    assert front.end == 0
    assert "never closed" in front.warnings[0]


def test_an_enormous_block_is_refused() -> None:
    """This ensures that the cap on front matter is an error with both numbers."""
    with pytest.raises(SourceTooLarge, match="at most 65536"):
        _read("title: " + "x" * 70_000)


def test_an_empty_title_is_reported() -> None:
    """This ensures that `title:` with nothing behind it does not pass in silence."""
    assert _read('title: ""').warnings == ("front matter: title is empty",)


def test_other_programs_fields_are_left_alone() -> None:
    """This ensures that layout settings and the like are neither metadata nor a warning."""
    assert _read("layout: post\ndraft: true").warnings == ()
