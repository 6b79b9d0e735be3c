"""
Links that open a web page at quoted words: the value of a `text=` fragment directive. Pure.

Source: WICG, URL Fragment Text Directives. What matters of it here: a browser marks the first place that fits; it
compares without regard to case and at word boundaries; the words at the start, at the end and before the quote must
each lie in one block of the page, though the words before may lie in the block above; "-", "," and "&" are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from urllib.parse import quote

# Few words make a short link that survives small edits, more make it unique.
_FEWEST_WORDS = 4
_MOST_WORDS = 12
_LAST_WORDS = 4
_MOST_CONTEXT_WORDS = 10
# As far as words before and after a quote are looked for.
_CONTEXT_CHARS = 300


def text_directive(document_text: str, start: int, end: int) -> str:
    """
    Return the value of the `text=` directive that leads to `document_text[start:end]`.

    A short quote is given whole, a longer one by its first and last words; of a quote over several blocks, which blank
    lines part in the text, the first one counts. As many first words are taken as make them unique in the document;
    where that does not suffice, words before the quote are added, and words after it where even that does not.
    """
    stretch = document_text[start:end].split("\n\n", maxsplit=1)[0]
    words = stretch.split()
    if not words:
        return ""
    before = _words_before(document_text, start)
    after = (
        document_text[start + len(stretch.rstrip()) : start + len(stretch) + _CONTEXT_CHARS]
        .split("\n\n", maxsplit=1)[0]
        .split()
    )
    # Patterns are made and tried one by one, since the first is unique nearly always and making one takes its time.
    lowered, place = document_text.lower(), len(document_text[:start].lower())
    reaching = directive = ""
    for directive, needed in _candidates(words, before, after):
        found = list(islice(_pattern(needed).finditer(lowered), 2))
        if len(found) == 1:
            return directive
        if not reaching and found and found[0].end() > place:
            reaching = directive
    return reaching or directive


def _candidates(
    words: Sequence[str], before: Sequence[str], after: Sequence[str]
) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield directives, shortest first, each with the words in a row that a browser would look for."""
    is_whole = len(words) <= _FEWEST_WORDS + _LAST_WORDS
    most = len(words) if is_whole else min(_MOST_WORDS, len(words) - _LAST_WORDS)
    end = "" if is_whole else f",{_escape(words[-_LAST_WORDS:])}"
    for n in range(most if is_whole else _FEWEST_WORDS, most + 1):
        yield f"{_escape(words[:n])}{end}", words[:n]
    for n in range(2, min(len(before), _MOST_CONTEXT_WORDS) + 1):
        context = before[-n:]
        yield f"{_escape(context)}-,{_escape(words[:most])}{end}", [*context, *words[:most]]
    # Words after belong to the whole quote, so that it is given whole.
    for n in range(2, min(len(after), _MOST_CONTEXT_WORDS) + 1):
        context = before[-_MOST_CONTEXT_WORDS:]
        prefix = f"{_escape(context)}-," if context else ""
        directive = f"{prefix}{_escape(words)},-{_escape(after[:n])}"
        yield directive, [*context, *words, *after[:n]]


def _words_before(document_text: str, start: int) -> list[str]:
    """Return the words of the block that ends at `start`, none cut in two."""
    cut = max(0, start - _CONTEXT_CHARS)
    before = document_text[cut:start].rstrip().rpartition("\n\n")[2]
    words = before.split()
    is_cut = cut > 0 and document_text[cut:start].rstrip() == before and not document_text[cut - 1].isspace()
    return words[1:] if is_cut else words


def _pattern(words: Sequence[str]) -> re.Pattern[str]:
    # Lower case on both sides: without IGNORECASE the search can skip to the first word's letters.
    return re.compile(r"\s+".join(re.escape(word.lower()) for word in words))


def _escape(words: Sequence[str]) -> str:
    return quote(" ".join(words), safe="").replace("-", "%2D")
