"""
The YAML block at the head of a Markdown file: find it, read it, check its fields. Knows nothing of Markdown.

The YAML is built from the parser's events, not by a loader: the C loader overruns its stack on deep nesting, aliases
can unfold a few lines into gigabytes, and `language: no` would become False. Every scalar stays the text it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from ingest.errors import SourceTooLarge
from ingest.limits import Limits
from ingest.metadata import check_fields, metadata_fields

_MAX_DEPTH = 8
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # events alone are taken from it; 10 times faster in C
_KEY = re.compile(r"""["']?[A-Za-z_][\w .-]*["']?\s*:(?:\s|$)""")

# What other programs call our fields (Jekyll, Hugo, Pandoc, Obsidian).
_ALIASES = {
    "author": "authors",
    "date": "published",
    "lang": "language",
    "keywords": "tags",
    "tag": "tags",
    "lastmod": "reviewed",
    "last_reviewed": "reviewed",
    "licence": "license",
}


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What the head of a file says: `end` is the offset behind its closing line, 0 if there is none."""

    end: int = 0
    metadata: dict[str, Any] | None = None
    warnings: tuple[str, ...] = ()


class _UnsafeYamlError(Exception):
    """The YAML nests too deep or uses aliases; never leaves this module."""


def read_front_matter(text: str, limits: Limits, where: str) -> FrontMatter:
    """
    Return what the front matter of a text says; broken front matter is a warning and says nothing.

    A leading `---` without a `key:` below it, or whose block is not a table, is a rule like any other in Markdown.

    Raises:
        SourceTooLarge: the block is longer than the limits allow.
    """
    start = text.find("\n") + 1
    if start == 0 or text[:start].rstrip() != "---" or not _looks_like_yaml(text, start):
        return FrontMatter()
    closing = re.compile(r"^(?:---|\.\.\.)[ \t]*$", re.MULTILINE).search(text, start)
    if closing is None:
        return FrontMatter(warnings=("its front matter is never closed by a line ---: read as text",))
    n_bytes = len(text[start : closing.start()].encode("utf-8"))
    if n_bytes > limits.max_front_matter_bytes:
        raise SourceTooLarge(
            f"its front matter has {n_bytes} bytes, at most {limits.max_front_matter_bytes} are read",
            where=where,
            fix="shorten the block between the --- lines, or raise max_front_matter_bytes",
        )
    try:
        values = _parse_yaml(text[start : closing.start()])
    except _UnsafeYamlError as error:
        return FrontMatter(closing.end(), {}, (f"its front matter {error}: ignored",))
    except yaml.YAMLError as error:
        return FrontMatter(closing.end(), {}, (f"its front matter is not valid YAML{_line_of(error)}: ignored",))
    if not isinstance(values, dict):
        return FrontMatter()
    checked, problems = check_fields(_known_fields(values))
    warnings = tuple(f"front matter: {problem}; the field is ignored" for problem in problems)
    empty = tuple(f"front matter: {name} is empty" for name in ("title",) if values.get(name, "-") == "")
    return FrontMatter(closing.end(), checked, warnings + empty)


def _looks_like_yaml(text: str, start: int) -> bool:
    """Tell whether the first line that is neither blank nor a comment is a key, among the first few."""
    for line in text[start : start + 2_000].split("\n")[:20]:
        if line.strip() and not line.startswith("#"):
            return _KEY.match(line) is not None or line.strip() in ("---", "...")
    return False


def _line_of(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    # The first line of the block is the file's second, and marks count from 0.
    return "" if mark is None else f" at line {mark.line + 2}"


def _known_fields(values: dict[str, object]) -> dict[str, object]:
    """Return the fields that Metadata has, under its names; a file may say other things to other programs."""
    fields: dict[str, object] = {}
    known = metadata_fields()
    for key, value in values.items():
        name = key.strip().lower().replace("-", "_").replace(" ", "_")
        if name in known:
            fields[name] = value
        elif name in _ALIASES:
            fields.setdefault(_ALIASES[name], value)
    return fields


def _parse_yaml(block: str) -> object:
    """Return the first document of a YAML block as dicts, lists and texts; an empty value is ""."""
    root: list[object] = []
    stack: list[tuple[list[object], bool]] = [(root, False)]  # (items so far, is a mapping)
    for event in yaml.parse(block, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise _UnsafeYamlError("uses YAML aliases")
        if isinstance(event, yaml.ScalarEvent):
            is_null = event.style is None and event.value in ("~", "null", "Null", "NULL")
            stack[-1][0].append("" if is_null else event.value)
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(stack) > _MAX_DEPTH:
                raise _UnsafeYamlError(f"nests deeper than {_MAX_DEPTH} levels")
            stack.append(([], isinstance(event, yaml.MappingStartEvent)))
        elif isinstance(event, yaml.CollectionEndEvent):
            items, is_mapping = stack.pop()
            stack[-1][0].append(_as_mapping(items) if is_mapping else items)
        elif isinstance(event, yaml.DocumentEndEvent):
            break
    return root[0] if root else {}


def _as_mapping(items: list[object]) -> dict[str, object]:
    """Return keys and values that alternate as a dict; keys that are no texts are left out."""
    pairs = zip(items[::2], items[1::2], strict=False)
    return {key: value for key, value in pairs if isinstance(key, str)}
