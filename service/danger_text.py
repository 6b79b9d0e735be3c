"""
How detecting danger reads what was typed: hidden characters and disguises undone, words folded, long messages cut.

Pure. An ordinary text comes back from `readable` as it is, so that its vector is the one that the search needs anyway.
"""

from __future__ import annotations

import html
import re
import unicodedata
from itertools import pairwise

# A message is judged whole and in windows of at most so many words, so that one sentence is not drowned by a story.
_WINDOW_WORDS = 24
# Longer messages alone are cut: most questions cost one vector, the one that the search needs anyway.
_WHOLE_WORDS = 30
# Beyond it only the beginning and the end are read; an operator may allow questions of 800,000 characters.
_MAX_CHARS = 20_000
_WORD = re.compile(r"[^\W_]+")
_SENTENCE_END = re.compile(r"(?<=[.!?;…])\s+|\n+")
_REPEATED = re.compile(r"(.)\1{2,}")
_APOSTROPHE = re.compile(r"(?<=\w)['’‘`´ʼ](?=\w)")
_TAG = re.compile(r"</?[a-z][^<>]{0,200}>", re.IGNORECASE)
# A digit inside a word ("k1ll", "0verd0se"), but not a dose, an age or a time ("20mg", "3yo", "b4").
_DISGUISED = re.compile(r"(?<![^\W_])(?=[^\W_@$]*[a-zA-Z][013457@$]+[a-zA-Z])[a-zA-Z013457@$]+(?![^\W_])")
# Where two words are, others with a digit at their edge are too ("d0", "h3").
_DISGUISED_TOO = re.compile(r"(?<![^\W_])(?:[a-zA-Z]+[01347@$]+|[01347@$]+[a-zA-Z]+)(?![^\W_])")
_LEET = str.maketrans("013457@$", "oieastas")
# Cyrillic and Greek letters that look like Latin ones (Unicode TR39 confusables, the letters alone).
_LOOKS_LIKE = str.maketrans("аеорсухіјѕкмнтвԁһԛԝοανιρυκτχ", "aeopcyxijskmhtbdhqwoavipuktx")
# The one rule: a cry for help that names an overdose and says nothing else, too short for any model.
_CRY = re.compile(
    r"(?=.*\b(?:help|emergency|urgent|ayuda|socorro|urgente)\b)(?=.*\b(?:overdos\w*|od|oding|sobredosis)\b)"
    r"(?:(?:help|me|us|please|emergency|urgent|now|an?|overdos\w*|od|oding"
    r"|ayuda|socorro|urgente|por|favor|sobredosis) ?)+"
)
_LATIN = re.compile(r"[a-zA-Z]")


def readable(text: str) -> str:
    """Return the text without markup, hidden characters, letters of another script among Latin ones, and leetspeak."""
    plain = text[:_MAX_CHARS] + text[-_MAX_CHARS:] if len(text) > 2 * _MAX_CHARS else text
    if "<" in plain or "&" in plain:
        plain = html.unescape(_TAG.sub(" ", plain))
    if not plain.isascii():
        plain = "".join(c for c in plain if unicodedata.category(c) != "Cf")
        plain = " ".join(_of_one_script(word) for word in plain.split(" "))
    plain, n_disguised = _DISGUISED.subn(_without_leet, plain)
    return _DISGUISED_TOO.sub(_without_leet, plain) if n_disguised > 1 else plain


def _without_leet(match: re.Match[str]) -> str:
    return match.group().translate(_LEET)


def _of_one_script(word: str) -> str:
    plain = word if word.isascii() else "".join(map(_compatible, word))
    return plain.translate(_LOOKS_LIKE) if _LATIN.search(plain) else plain


def _compatible(character: str) -> str:
    """Return the plain letter of a full-width or mathematical one; accents stay."""
    plain = unicodedata.normalize("NFKC", character)
    return plain if len(plain) == 1 and plain.isascii() and plain.isalnum() else character


def last_sentence(text: str) -> str:
    """Return the last sentence that holds anything, "" without one."""
    return next((part for part in reversed(_SENTENCE_END.split(text)) if part.strip()), "")


def split_windows(text: str) -> list[str]:
    """
    Return the message as a whole and, if it is long, its overlapping windows of about two sentences.

    Never empty. Sentences without an end mark are cut by words, so no window is longer than `_WINDOW_WORDS` words.
    """
    if len(text) > _MAX_CHARS:
        text = f"{text[: _MAX_CHARS // 2]}\n{text[-_MAX_CHARS // 2 :]}"
    if len(text.split()) <= _WHOLE_WORDS:
        return [text]
    pieces: list[list[str]] = []
    for sentence in _SENTENCE_END.split(text):
        words = sentence.split()
        pieces += [words[first : first + _WINDOW_WORDS // 2] for first in range(0, len(words), _WINDOW_WORDS // 2)]
    pairs = [" ".join(left + right) for left, right in pairwise(pieces)]
    alone = [" ".join(piece) for piece in pieces]
    return [text, *dict.fromkeys(pairs + alone)]


def fold(text: str) -> str:
    """Return the text as the text model reads it: no case, no accents, no apostrophes, no stretched letters."""
    plain = text.casefold()
    if not plain.isascii():
        decomposed = unicodedata.normalize("NFKD", plain)
        plain = "".join(c for c in decomposed if not unicodedata.combining(c) and unicodedata.category(c) != "Cf")
    return _REPEATED.sub(r"\1\1", " ".join(_WORD.findall(_APOSTROPHE.sub("", plain))))


def is_cry(text: str) -> bool:
    """Tell whether a message is nothing but a cry for help with an overdose."""
    return len(text) < 200 and _CRY.fullmatch(fold(text)) is not None
