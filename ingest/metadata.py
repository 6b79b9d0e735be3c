"""
What a document says about itself: check the fields, merge the layers. Pure; opens nothing, knows no file format.

Values come from library.toml, Markdown front matter, HTML meta, PDF and DOCX properties. Each is checked by the same
rules and turned into the type that `Metadata` holds; what can't be is left out and named in a FieldProblem.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

from ingest.model import Metadata, SourceReference, SourceType

MAX_FIELD_CHARS = 2_000
MAX_LIST_ITEMS = 200

# BCP 47, the shapes that occur: language, script, region, variants (RFC 5646, section 2.1).
_LANGUAGE = re.compile(
    r"([A-Za-z]{2,3})(?:-([A-Za-z]{4}))?(?:-([A-Za-z]{2}|\d{3}))?((?:-(?:[A-Za-z0-9]{5,8}|\d[A-Za-z0-9]{3}))*)"
)
_ISO_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ]\d{2}:\d{2}.*)?")


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One field that can't be used: its name, its value as written (cut), and what is wrong with it."""

    field: str
    value: str
    problem: str

    def __str__(self) -> str:
        """Return one line for a report."""
        return f"{self.field} = {self.value}: {self.problem}"


class _WrongValueError(Exception):
    """Carries what is wrong with a value up to check_fields; never leaves this module."""


def check_fields(
    values: Mapping[str, object], *, keep_empty: bool = False
) -> tuple[dict[str, Any], tuple[FieldProblem, ...]]:
    """
    Return the usable fields, typed as in Metadata, and the problems with the others.

    Args:
        values: by field name; unknown names are problems.
        keep_empty: keep "" and [] as values. A file that says nothing must not hide a default, but an editor who
            writes `authors = []` in library.toml wants what the file says removed.
    """
    checked: dict[str, Any] = {}
    problems: list[FieldProblem] = []
    for name, value in values.items():
        check = _CHECKS.get(name)
        if check is None:
            problems.append(FieldProblem(name, _shown(value), f"no such field; known are {', '.join(_CHECKS)}"))
            continue
        try:
            result = check(value)
        except _WrongValueError as error:
            problems.append(FieldProblem(name, _shown(value), str(error)))
            continue
        if result in ("", (), None):
            if keep_empty:
                checked[name] = getattr(Metadata(), name)
        else:
            checked[name] = result
    return checked, tuple(problems)


def merge_metadata(*layers: Mapping[str, Any]) -> Metadata:
    """Return the metadata of checked layers; where two name a field the later one wins."""
    merged: dict[str, Any] = {}
    for layer in layers:
        merged.update(layer)
    return Metadata(**merged)


def metadata_fields() -> tuple[str, ...]:
    """Return the names of all fields."""
    return tuple(_CHECKS)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _text(value: object) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, (date, SourceType)):
        value = value.isoformat() if isinstance(value, date) else value.value
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _WrongValueError("must be a text")
    value = " ".join(value.split())
    if len(value) > MAX_FIELD_CHARS:
        raise _WrongValueError(f"has {len(value)} characters, at most {MAX_FIELD_CHARS} are taken")
    if not value.isprintable():
        raise _WrongValueError("holds control characters")
    return value


def _day(value: object) -> date | None:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = _text(value)
    if not text:
        return None
    match = _ISO_DATE.fullmatch(text)
    if match is None:
        raise _WrongValueError("must be a date such as 2024-05-31")
    try:
        return date.fromisoformat(match.group(1))
    except ValueError as error:
        raise _WrongValueError("is no day of the calendar") from error


def _url(value: object) -> str:
    text = _text(value)
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        host = parts.hostname
        has_user = parts.username is not None
    except ValueError as error:
        raise _WrongValueError("is no web address") from error
    if parts.scheme.lower() not in ("http", "https") or not host or " " in text or has_user:
        raise _WrongValueError("must be a web address beginning with http:// or https://")
    return text


def _language(value: object) -> str:
    text = _text(value).replace("_", "-")
    if not text:
        return ""
    match = _LANGUAGE.fullmatch(text)
    if match is None:
        raise _WrongValueError('must be a language tag such as "en", "es-MX" or "zh-Hant"')
    language, script, region, variants = match.groups()
    tag = language.lower()
    if script:
        tag += "-" + script.title()
    if region:
        tag += "-" + region.upper()
    return tag + variants.lower()


def _texts(value: object) -> tuple[str, ...]:
    """Return a list of texts; one text is taken apart at its commas or semicolons."""
    if isinstance(value, str):
        value = re.split(r"\s*[,;]\s*", value)
    return _listed(value)


def _names(value: object) -> tuple[str, ...]:
    """Return names of people: "Doe, Jane" is one, "Jane Doe, John Roe" are two."""
    if isinstance(value, str):
        parts = re.split(r"\s*;\s*", value)
        if len(parts) == 1:
            by_comma = re.split(r"\s*,\s*", value.strip())
            parts = by_comma if all(" " in part for part in by_comma) else [value]
        value = parts
    return _listed(value)


def _listed(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, (int, float)):
        value = [value]
    if not isinstance(value, (list, tuple)):
        raise _WrongValueError("must be a list of texts")
    if len(value) > MAX_LIST_ITEMS:
        raise _WrongValueError(f"has {len(value)} items, at most {MAX_LIST_ITEMS} are taken")
    return tuple(dict.fromkeys(text for text in map(_text, value) if text))


def _source_type(value: object) -> SourceType | None:
    text = re.sub(r"[\s-]+", "_", _text(value).lower())
    if not text:
        return None
    try:
        return SourceType(text)
    except ValueError as error:
        raise _WrongValueError(f"must be one of {', '.join(SourceType)}") from error


def _references(value: object) -> tuple[SourceReference, ...]:
    if value is None or value == "":
        return ()
    if not isinstance(value, (list, tuple)):
        raise _WrongValueError("must be a list of tables with title, publisher, published, url")
    if len(value) > MAX_LIST_ITEMS:
        raise _WrongValueError(f"has {len(value)} items, at most {MAX_LIST_ITEMS} are taken")
    return tuple(_reference(number, item) for number, item in enumerate(value, start=1))


def _reference(number: int, item: object) -> SourceReference:
    if isinstance(item, SourceReference):
        return item
    if isinstance(item, str):
        item = {"title": item}
    if not isinstance(item, Mapping):
        raise _WrongValueError(f"item {number} must be a table with title, publisher, published, url")
    unknown = [str(key) for key in item if key not in ("title", "publisher", "published", "url")]
    if unknown:
        raise _WrongValueError(f"item {number} has the unknown field {unknown[0]!r}")
    try:
        title = _text(item.get("title"))
        reference = SourceReference(
            title=title,
            publisher=_text(item.get("publisher")),
            published=_day(item.get("published")),
            url=_url(item.get("url")),
        )
    except _WrongValueError as error:
        raise _WrongValueError(f"item {number}: {error}") from error
    if not title:
        raise _WrongValueError(f"item {number} has no title")
    return reference


_CHECKS: dict[str, Callable[[object], object]] = {
    "title": _text,
    "publisher": _text,
    "authors": _names,
    "published": _day,
    "reviewed": _day,
    "review_due": _day,
    "url": _url,
    "license": _text,
    "language": _language,
    "tags": _texts,
    "audience": _texts,
    "source_type": _source_type,
    "funding": _text,
    "disclosure": _text,
    "content_note": _text,
    "sources": _references,
}
