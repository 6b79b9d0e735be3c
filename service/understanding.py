"""
From a question as typed to what is searched for; readable from `understand` down. Query side only.

Spelling is repaired, names are understood, the question inside a long message and what a question turns down are found.
The question's own wording is kept beside every other one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from index.engine import Words
from index.lexical import analyze
from index.model import DenseText, Query, QueryTerm
from service.lexicon import SHOWN, Lexicon, NameKind, NameMatch, fold, iter_words
from service.spelling import Speller


@dataclass(frozen=True, slots=True)
class UnderstandingConfig:
    """
    Weights of understanding, with the measurement that chose them in ARCHITECTURE.md ("Understanding").

    `rewritten_weight`: of the repaired and neutral wording, beside 1 for the question as typed. `name_boost`: of the
    terms that a name stands for, beside 1 for the question's own.

    A message of at least `long_words` words in at least
    `long_sentences` sentences is long: its sentence that most likely asks counts `asking_weight` beside 1 for the
    whole.
    """

    rewritten_weight: float = 1.0
    name_boost: float = 0.6
    long_words: int = 30
    long_sentences: int = 3
    asking_weight: float = 0.5


@dataclass(frozen=True, slots=True)
class _Word:
    """A word with its offsets in the question; `read` is what it is taken for."""

    typed: str
    start: int
    end: int
    read: str


# Of the words of a question, how many may stay unknown after repair before it counts as another language.
_MOST_UNEXPLAINED = 0.34
_FEW_WORDS = 3
_MOST_REPAIRS = 12
# The default model reads 256 word pieces; English has about 1.3 to a word, misspelt English more.
_WINDOW_WORDS = 160
_MOST_WINDOWS = 3
_SENTENCE = re.compile(r"\S.*?(?:[.?!…]+(?=\s)|\n|$)", re.DOTALL)
_ASKING_START = re.compile(
    r"(?:so |and |but |or |also |ok |okay |please )*"
    r"(?:what|why|how|when|where|who|which|is|are|was|does|do|did|can|could|will|would|should|has|have|any)\b",
    re.IGNORECASE,
)
_TURNS_DOWN = re.compile(
    r"\b(?:without|other than|apart from|instead of|rather than|except(?: for)?|besides|not on|not)"
    r"(?: (?:having|using|taking|being|going|getting|need|needing|to|on|the|a|an|any|more|my))* $",
    re.IGNORECASE,
)


def understand(
    text: str,
    lexical: Words,
    lexicon: Lexicon | None = None,
    config: UnderstandingConfig = UnderstandingConfig(),
) -> Query:
    """
    Return what to search for.

    Args:
        text: a question that `parse_question` let through.
        lexical: the index that is asked; its vocabulary is what spelling is repaired against.
        lexicon: the operator's names; None understands none.

    Returns:
        For a short question in plain words what `index.search.plain_query` returns.
    """
    lexicon = lexicon or NO_LEXICON
    words = _read_words(text, lexical, lexicon)
    matches = lexicon.match([word.read for word in words])
    spelt = _replace(text, words, [])
    unsaid = [match for match in matches if not _is_said(match, spelt)]
    rewritten = _replace(text, words, [match for match in unsaid if match.entry.kind is not NameKind.CLASS])
    avoid = _turned_down(spelt, lexicon)
    asking = _asking_sentence(rewritten, config)
    return Query(
        dense=_dense_texts(text, spelt, rewritten, asking, config),
        terms=_terms(spelt, unsaid, avoid, config),
        avoid=avoid,
        matched=tuple(dict.fromkeys(f"{m.entry.name}: {m.entry.means}" for m in unsaid if m.entry.kind in SHOWN)),
    )


NO_LEXICON = Lexicon()


@lru_cache(maxsize=2)  # the snapshot being served and the one being warmed
def _speller(lexical: Words, lexicon: Lexicon) -> Speller:
    return Speller(lexical.vocabulary, lexicon.concepts, lexicon.medicines)


def _read_words(text: str, lexical: Words, lexicon: Lexicon) -> list[_Word]:
    """Return the words of a question with what each is taken for."""
    words = [_Word(typed, start, end, typed) for typed, start, end in iter_words(text)]
    speller = _speller(lexical, lexicon)
    named = {i for match in lexicon.match([w.typed for w in words]) for i in range(match.first, match.last)}
    unknown = {
        i
        for i, word in enumerate(words)
        if i not in named and not speller.is_known(fold(word.typed)) and fold(word.typed) not in lexicon.shorthand
    }
    repaired = {i: _repair(words[i], text, speller) for i in sorted(unknown)[:_MOST_REPAIRS]}
    unexplained = len(unknown) - sum(taken is not None for taken in repaired.values())
    if len(words) > _FEW_WORDS and unexplained > _MOST_UNEXPLAINED * len(words):
        return words  # another language: what looks like English in it is chance
    read: list[_Word] = []
    for i, word in enumerate(words):
        short_for = lexicon.shorthand.get(fold(word.typed)) if i not in named and not word.typed.isupper() else None
        read.append(_Word(word.typed, word.start, word.end, short_for or repaired.get(i) or word.typed))
    return read


def _repair(word: _Word, text: str, speller: Speller) -> str | None:
    """Return what a word was meant to be; a capital inside a sentence may be a person's name."""
    if word.typed.isupper() and len(word.typed) <= 5:
        return None
    before = text[: word.start].rstrip()
    is_name_like = word.typed[:1].isupper() and bool(before) and before[-1] not in ".?!…:"
    return speller.repair(fold(word.typed), only_names=is_name_like)


def _replace(text: str, words: Sequence[_Word], matches: Sequence[NameMatch]) -> str:
    """Return the text with every word as read, and matched names as what they mean."""
    parts: list[str] = []
    at = i = 0
    by_first = {match.first: match for match in matches}
    while i < len(words):
        match = by_first.get(i)
        last = match.last if match else i + 1
        parts += [text[at : words[i].start], match.entry.means if match else words[i].read]
        at, i = words[last - 1].end, last
    return "".join([*parts, text[at:]])


def _is_said(match: NameMatch, text: str) -> bool:
    """Tell whether the question says already what the name stands for."""
    return set(analyze(match.entry.search)) <= set(analyze(text))


def _turned_down(text: str, lexicon: Lexicon) -> tuple[str, ...]:
    """Return the terms of medicines and drugs that the question does not want."""
    found: list[str] = []
    for word, start, _ in iter_words(text):
        name = fold(word)
        if name in lexicon.medicines and _TURNS_DOWN.search(text[:start]) and not _is_why_not(text[:start]):
            found += analyze(name) + analyze(lexicon.concepts[name])
    return tuple(dict.fromkeys(found))


def _is_why_not(before: str) -> bool:
    return bool(re.search(r"\bwhy not\b", before, re.IGNORECASE))


def _asking_sentence(text: str, config: UnderstandingConfig) -> str | None:
    """Return the sentence of a long message that most likely asks; None for a short question."""
    sentences = [match.group().strip() for match in _SENTENCE.finditer(text)]
    if len(text.split()) < config.long_words or len(sentences) < config.long_sentences:
        return None
    positions = range(len(sentences))
    return sentences[max(positions, key=lambda i: (_asks(sentences[i], i / positions[-1]), i))]


def _asks(sentence: str, position: float) -> float:
    """Return how much a sentence asks: a question mark tells most, then how it begins, then that it comes late."""
    is_marked, begins = sentence.rstrip().endswith("?"), bool(_ASKING_START.match(sentence))
    n_content = len(set(analyze(sentence)))
    return 2.0 * is_marked + 1.0 * begins + 0.5 * position + 0.1 * min(n_content, 5)


def _dense_texts(
    text: str, spelt: str, rewritten: str, asking: str | None, config: UnderstandingConfig
) -> tuple[DenseText, ...]:
    if asking is not None:
        windows = _windows(spelt)
        return (
            *(DenseText(window, 1.0 / len(windows)) for window in windows),
            DenseText(asking, config.asking_weight),
        )
    if rewritten == text:
        return (DenseText(text),)
    return (DenseText(text), DenseText(rewritten, config.rewritten_weight))


def _windows(text: str) -> list[str]:
    """Return a message in pieces that the model can read whole; of a very long one the first and the last two."""
    words = text.split()
    n_windows = -(-len(words) // _WINDOW_WORDS)
    size = -(-len(words) // max(n_windows, 1))
    windows = [" ".join(words[first : first + size]) for first in range(0, len(words), size or 1)]
    return windows if len(windows) <= _MOST_WINDOWS else [windows[0], *windows[-(_MOST_WINDOWS - 1) :]]


def _terms(
    spelt: str, matches: Sequence[NameMatch], avoid: Sequence[str], config: UnderstandingConfig
) -> tuple[QueryTerm, ...]:
    """Return the question's own terms, then the ones that its names stand for; none that it turns down."""
    terms = {term: QueryTerm(term, float(n)) for term, n in Counter(analyze(spelt)).items()}
    for match in matches:
        stands_for = next((term for term in analyze(match.entry.name) if term in terms), "")
        for term in analyze(match.entry.search):
            terms.setdefault(term, QueryTerm(term, config.name_boost, stands_for))
    return tuple(term for name, term in terms.items() if name not in avoid)
