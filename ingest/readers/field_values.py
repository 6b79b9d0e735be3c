"""
Metadata values as html, epub and docx files write them, to what Metadata holds. Pure; knows no file format.

`ingest.metadata` decides what is valid; this module finds the value in what such files put around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date

from ingest.metadata import check_fields

MAX_VALUE_CHARS = 500
MAX_AUTHORS = 50

_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffd-\uffff\ud800-\udfff]"
)
_DATE = re.compile(r"(\d{4})([-/])(\d{2})\2(\d{2})(?=$|[T\s])")
_CC_URL = re.compile(r"https?://creativecommons\.org/(licenses|publicdomain)/([a-z-]+)/(\d\.\d)\b", re.IGNORECASE)


def clean_value(value: object) -> str:
    """Return a metadata value on one line without invisible characters, "" for what is no text or too long."""
    if not isinstance(value, str):
        return ""
    text = " ".join(_INVISIBLE.sub(" ", value[: 4 * MAX_VALUE_CHARS]).split())
    return text if len(text) <= MAX_VALUE_CHARS else ""


def valid_fields(values: Mapping[str, object]) -> dict[str, object]:
    """Return the fields that have a valid value, typed as in Metadata."""
    return dict(check_fields({name: value for name, value in values.items() if value})[0])


def parse_date(value: object) -> date | None:
    """Return the day of an ISO 8601 date or time (also 2015/03/04), None for anything vaguer or impossible."""
    match = _DATE.match(clean_value(value))
    if match is None or not 1800 <= int(match.group(1)) <= 2100:
        return None
    try:
        return date(int(match.group(1)), int(match.group(3)), int(match.group(4)))
    except ValueError:
        return None


def first_date(values: Iterable[object]) -> date | None:
    """Return the first of the values that is a date."""
    return next((found for found in map(parse_date, values) if found), None)


def parse_language(value: object) -> str:
    """Return a language tag in its usual letters (pt-BR), "" if it is none."""
    return str(valid_fields({"language": clean_value(value)}).get("language", ""))


def parse_url(value: object) -> str:
    """Return an absolute http(s) address of a host with a dot, "" for anything else."""
    url = str(valid_fields({"url": clean_value(value)}).get("url", ""))
    return url if re.match(r"https?://[^/?#\s<>\"]+\.[^/?#\s<>\"]+[^\s<>\"]*$", url, re.IGNORECASE) else ""


def parse_license(value: object) -> str:
    """Return a licence, a Creative Commons address as its short name ("CC BY 4.0")."""
    text = clean_value(value)
    match = _CC_URL.search(text)
    if match is None:
        return text
    group, name, version = (part.lower() for part in match.groups())
    if group == "licenses":
        return f"CC {name.upper()} {version}"
    return f"CC0 {version}" if name == "zero" else f"Public Domain Mark {version}"


def unique(values: Iterable[str]) -> tuple[str, ...]:
    """Return the values that are not empty, each once, in order."""
    return tuple(dict.fromkeys(value for value in values if value))
