"""
Links that open a web page at quoted words: the value of a `text=` fragment directive. Pure.

Source: WICG, URL Fragment Text Directives. What matters of it here: a browser marks the first place that fits; it
compares without regard to case and at word boundaries; the words at the start, at the end and before the quote must
each lie in one block of the page, though the words before may lie in the block above; "-", "," and "&" are escaped.
"""

from __future__ import annotations

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
    lowered, place = document_text.lower(), len(document_text[:start].lower())
    reaching = directive = ""
    for directive, needed in _candidates(words, before, after):
        ends = list(islice(_iter_ends(lowered, [word.lower() for word in needed]), 2))
        if len(ends) == 1:
            return directive
        if not reaching and ends and ends[0] > place:
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


def _iter_ends(text: str, words: Sequence[str]) -> Iterator[int]:
    """
    Yield the end of each place where the words stand in a row, with any white space between, none overlapping.

    Places are found by the longest word, which is seldom there: a pattern for each row of words took ten times as long.
    """
    middle = max(range(len(words)), key=lambda i: len(words[i]))
    place, last = text.find(words[middle]), 0
    while place >= 0:
        start = _reach_back(text, place, words[:middle])
        end = _reach_on(text, place + len(words[middle]), words[middle + 1 :])
        if start >= last and end >= 0:
            yield end
            last = end
        place = text.find(words[middle], place + 1)


def _reach_back(text: str, place: int, words: Sequence[str]) -> int:
    """Return where these words begin if they end before `place`, -1 if they don't."""
    for word in reversed(words):
        end = place
        while end > 0 and text[end - 1].isspace():
            end -= 1
        if end == place or not text.endswith(word, 0, end):
            return -1
        place = end - len(word)
    return place


def _reach_on(text: str, place: int, words: Sequence[str]) -> int:
    """Return where these words end if they begin after `place`, -1 if they don't."""
    for word in words:
        start = place
        while start < len(text) and text[start].isspace():
            start += 1
        if start == place or not text.startswith(word, start):
            return -1
        place = start + len(word)
    return place


def _escape(words: Sequence[str]) -> str:
    return quote(" ".join(words), safe="").replace("-", "%2D")
