"""Metadata: checked fields and merged layers."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from ingest.metadata import check_fields, merge_metadata, metadata_fields
from ingest.model import Metadata, SourceReference, SourceType


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("title", "  A \n b ", "A b"),
        ("title", 1984, "1984"),
        ("published", date(2020, 1, 2), date(2020, 1, 2)),
        ("published", datetime(2020, 1, 2, 3, 4, tzinfo=UTC), date(2020, 1, 2)),
        ("published", "2020-01-02", date(2020, 1, 2)),
        ("url", "HTTPS://example.org/a?b#c", "HTTPS://example.org/a?b#c"),
        ("language", "zh-hant-tw", "zh-Hant-TW"),
        ("language", "es_mx", "es-MX"),
        ("language", "sl-rozaj", "sl-rozaj"),
        ("tags", "a, b,, a", ("a", "b")),
        ("audience", ["x", "y"], ("x", "y")),
        ("authors", "Doe, Jane", ("Doe, Jane",)),
        ("authors", "Jane Doe, John Roe", ("Jane Doe", "John Roe")),
        ("authors", "Doe, Jane; Roe, John", ("Doe, Jane", "Roe, John")),
        ("source_type", "Health service", SourceType.HEALTH_SERVICE),
        ("sources", ["T"], (SourceReference("T"),)),
        ("sources", [{"title": "T", "url": "http://a.org"}], (SourceReference("T", url="http://a.org"),)),
    ],
)
def test_good_values_are_typed(field: str, value: object, expected: object) -> None:
    """This ensures that every field comes out in the type that Metadata holds, and stays so when checked again."""
    checked, problems = check_fields({field: value})

    assert problems == ()
    assert checked == {field: expected}
    assert check_fields(checked) == (checked, ())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ["a"]),
        ("title", True),
        ("title", "x" * 2_001),
        ("title", "a\x07b"),
        ("published", "soon"),
        ("published", "2019-02-30"),
        ("published", "20190201"),
        ("published", 2019),
        ("published", "2019-W01-1"),
        ("url", "ftp://a.org"),
        ("url", "javascript:alert(1)"),
        ("url", "https://"),
        ("url", "http://[::1"),
        ("url", "https://u:p@a.org"),
        ("url", "a.org"),
        ("url", "https://a.org/b c"),
        ("language", "English"),
        ("language", "e"),
        ("language", "en-"),
        ("language", "en;q=1"),
        ("tags", {"a": 1}),
        ("tags", [["a"]]),
        ("tags", ["x"] * 201),
        ("source_type", "blog"),
        ("source_type", 3),
        ("sources", {"title": "T"}),
        ("sources", [{"publisher": "P"}]),
        ("sources", [{"title": "T", "when": 1}]),
        ("sources", [{"title": "T", "url": "x"}]),
        ("sources", [3]),
        ("colour", "red"),
    ],
)
def test_bad_values_are_problems_that_name_field_and_value(field: str, value: object) -> None:
    """This ensures that a value of the wrong kind is left out and named, and nothing else is touched."""
    checked, [problem] = check_fields({field: value, "publisher": "P"})

    assert checked == {"publisher": "P"}
    assert problem.field == field
    assert str(problem).startswith(f"{field} = ")
    assert len(problem.value) <= 80


def test_an_empty_value_says_nothing_unless_kept() -> None:
    """This ensures that an empty field of a file hides no default, while an editor can empty a field."""
    values = {"title": " ", "authors": [], "published": None, "source_type": ""}

    assert check_fields(values) == ({}, ())
    assert check_fields(values, keep_empty=True)[0] == {
        "title": "",
        "authors": (),
        "published": None,
        "source_type": SourceType.OTHER,
    }


def test_later_layers_win() -> None:
    """This ensures the precedence defaults, file, library.toml."""
    merged = merge_metadata(
        {"publisher": "default", "language": "en"}, {"publisher": "file", "title": "file"}, {"title": "table"}
    )

    assert merged == Metadata(title="table", publisher="file", language="en")


def test_every_field_can_be_set() -> None:
    """This ensures that no field of Metadata is forgotten by the checks."""
    assert set(metadata_fields()) == set(Metadata.__dataclass_fields__)
