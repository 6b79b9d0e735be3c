"""
Repairs single misspelt words of a question. Pure given a vocabulary; the only module that knows rapidfuzz.

A repair is a guess about what somebody meant, and a wrong guess about a drug's name is worse than none. So:

- a word that anything knows is never touched: the index, an English word list, the lexicon's names and look-alikes;
- a word becomes a drug's name only when every other name is clearly further away;
- between ordinary words that are equally near, one must be far more common, else the word stays.

The English word list is the data file of the package symspellpy (82,834 words with their frequency in books), which is
never imported: its own search takes 150 MB and two seconds to set up for what takes a millisecond here.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rapidfuzz import process
from rapidfuzz.distance import DamerauLevenshtein

from index.lexical import STOP_WORDS, analyze

_WORD_LIST = "frequency_dictionary_en_82_765.txt"
_LETTERS = re.compile(r"[a-z]+(?:'[a-z]+)?")
_SHORTEST_SLANG = 6
_SHORTEST = 4  # shorter words have too many neighbours
_LONGEST = 40
_FROM_TWO_EDITS = 8  # letters from which two edits are within reach
_NAME_FROM_TWO_EDITS = 7  # a name has more room around it, as the next is to be further away
# Edits from a misspelling to every name but the one that it becomes, by the edits to that one.
_CLEARANCE = {0: 3, 1: 3, 2: 4}
_FAR_MORE_COMMON = 10.0
# How likely slips are, against one letter typed for another; orders of magnitude are all that matters here.
_LIKE_SOUND, _SWAPPED, _LEFT_OUT_OR_DOUBLED = 30.0, 10.0, 3.0
_COMMON = 10**5  # of 10**12 words in books; a rarer word that is not in the library is hardly ever meant, nor of use
# Spellings that sound alike, applied to both sides. British and American endings come out the same.
_SOUNDS = (
    (re.compile("ph"), "f"),
    (re.compile("ae|oe|ea|ee|ei|ie"), "e"),
    (re.compile("ck|qu|k"), "c"),
    (re.compile("^kn|^gn"), "n"),
    (re.compile("[yj]"), "i"),
    (re.compile("z"), "s"),
    (re.compile(r"(.)\1"), r"\1"),
)


@dataclass(frozen=True, slots=True)
class _Near:
    """A word near a misspelt one. `likelihood`: how likely such a slip is, against a wrong letter."""

    word: str
    distance: int
    likelihood: float


class _WordShelf:
    """
    Words by length, and by first letter where that is to be right, to find the ones within a few edits.
    """

    def __init__(self, words: Iterable[str], *, by_first_letter: bool) -> None:
        self._cut = 1 if by_first_letter else 0
        self._words: dict[tuple[int, str], tuple[list[str], list[str]]] = {}
        for word in words:
            plain, sounds = self._words.setdefault((len(word), word[: self._cut]), ([], []))
            plain.append(word)
            sounds.append(_sound(word))

    def near(self, word: str, most: int) -> list[_Near]:
        """Return the words within `most` edits; a like sound counts as one edit more than its own difference."""
        sound = _sound(word)
        found: dict[str, _Near] = {}
        # A sound may be spelt with more or fewer letters than the edits alone allow.
        for length in range(len(word) - most - 1, len(word) + most + 2):
            plain, sounds = self._words.get((length, word[: self._cut]), ([], []))
            for near, distance, _ in process.extract(
                word, plain, scorer=DamerauLevenshtein.distance, score_cutoff=most, limit=None
            ):
                found[near] = _Near(near, int(distance), _likelihood(word, near))
            for _, distance, i in process.extract(
                sound, sounds, scorer=DamerauLevenshtein.distance, score_cutoff=most - 1, limit=None
            ):
                likelihood = _LIKE_SOUND if distance == 0 else 1.0
                other = found.get(plain[i])
                if other is None or (other.distance, -other.likelihood) > (distance + 1, -likelihood):
                    found[plain[i]] = _Near(plain[i], int(distance) + 1, likelihood)
        return list(found.values())


class Speller:
    """
    Repairs words against the vocabulary of one index.

    Args:
        vocabulary: index terms (stemmed) with the number of passages that hold them.
        names: one-word names, lower case, and what each is a name of; names of one thing never contradict each other.
        medicines: the ones among them near which no word is taken for an ordinary one.
    """

    def __init__(
        self, vocabulary: Mapping[str, int], names: Mapping[str, str], medicines: frozenset[str] = frozenset()
    ) -> None:
        self._vocabulary = vocabulary
        self._names = names
        self._medicines = medicines
        stems = _english_stems()
        n_passages = max(vocabulary.values(), default=1)
        # Stop words are in every passage and in no index.
        self._held = {word: vocabulary.get(stem, 0) if stem else n_passages for word, stem in stems.items()}
        self._held = {word: n for word, n in self._held.items() if n}
        spelt = set(stems.values())
        # What no English word stems to is a technical word, known here by its stem.
        self._technical = {
            term: n
            for term, n in vocabulary.items()
            if term not in spelt and _LETTERS.fullmatch(term) and len(term) > 4
        }
        self._name_stems = {term for name in names for term in analyze(name)} - names.keys()
        # Short slang is so near to other words that only its own spelling is taken for it.
        targets = [name for name in names if name in medicines or len(name) >= _SHORTEST_SLANG]
        self._name_shelf = _WordShelf(targets, by_first_letter=False)
        self._shelf = _WordShelf(
            [*self._held, *(term for term in self._technical if term not in names)], by_first_letter=True
        )
        self._english_shelf = _english_shelf()

    def is_known(self, word: str) -> bool:
        """Tell whether a word, folded, needs no repair."""
        if word in self._names or word.removesuffix("s") in self._names or word in english_words():
            return True
        terms = analyze(word)
        # "naltrexon" is what the index makes of a name that has lost its last letter here.
        return not terms or (all(term in self._vocabulary for term in terms) and word not in self._name_stems)

    def repair(self, word: str, *, only_names: bool = False) -> str | None:
        """
        Return what an unknown word, folded, was meant to be, or None where that is in doubt.

        Args:
            only_names: for a word with a capital, which may be anybody's name.
        """
        if not _LETTERS.fullmatch(word) or not _SHORTEST <= len(word) <= _LONGEST:
            return None
        most = 2 if len(word) >= _FROM_TWO_EDITS else 1
        around = sorted(self._name_shelf.near(word, max(_CLEARANCE.values()) - 1), key=lambda n: (n.distance, n.word))
        names = [near for near in around if near.distance < _CLEARANCE[1]]
        if names and names[0].distance <= self._reach(word, names[0].word):
            return self._nearest_name(word, around)
        if only_names:
            return None
        ordinary = self._ordinary(word, most)
        # "methdon" is one edit from "method" and two from a medicine: in doubt, no repair.
        if ordinary is None or any(near.word in self._medicines for near in names):
            return None
        return ordinary

    def _reach(self, word: str, name: str) -> int:
        """Return how many edits a name may be away: one, but two for a long medicine's name with no word nearer."""
        is_far_enough = len(word) >= _NAME_FROM_TWO_EDITS and name in self._medicines
        return 2 if is_far_enough and not self._english_shelf.near(word, 1) else 1

    def _nearest_name(self, word: str, around: list[_Near]) -> str | None:
        best = around[0]
        concept = self._names[best.word]
        clearance = _CLEARANCE[best.distance]
        if any(self._names[near.word] != concept for near in around if near.distance < clearance):
            return None
        if best.word[0] != word[0] and best.distance > 1:
            return None
        rivals = self._shelf.near(word, best.distance)
        forms = (best.word, f"{best.word}s", *analyze(best.word))
        # "heroine" is no other word than "heroin" to the index, and another word all the same.
        rivals += [n for n in self._english_shelf.near(word, best.distance) if analyze(n.word) == analyze(best.word)]
        return best.word if all(near.word in forms for near in rivals) else None

    def _ordinary(self, word: str, most: int) -> str | None:
        english = english_words()
        whole = _whole_ending(word)
        if whole in english:
            return whole
        if word.endswith("in") and len(word) >= _FROM_TWO_EDITS:
            word = whole  # "shivverin": two slips of which one is known
        # Two edits lead too easily from one technical word to another.
        found = [n for n in self._shelf.near(word, most) if n.distance == 1 or n.word in english]
        if len(word) > _SHORTEST or any(n.distance == 1 for n in found):
            # A word that this index does not hold may still be the one that was meant.
            found += [
                n for n in self._english_shelf.near(word, 1) if n.word not in self._held and english[n.word] >= _COMMON
            ]
        if len(word) == _SHORTEST:
            found = [n for n in found if len(n.word) >= _SHORTEST]
        # An ordinary word here is one that is no name by chance.
        found = [n for n in found if n.word not in self._names]
        least = min((n.distance for n in found), default=0)
        nearest = sorted((n for n in found if n.distance == least), key=lambda n: (-self._weight(n), n.word))
        if not nearest:
            return None
        best = nearest[0]
        rivals = [n for n in nearest[1:] if analyze(n.word) != analyze(best.word)]
        is_clear = not rivals or self._weight(best) >= _FAR_MORE_COMMON * self._weight(rivals[0])
        return best.word if is_clear else None

    def _weight(self, near: _Near) -> float:
        """Return how likely a word was meant: by the slip, by how common it is in English and in this library."""
        held = self._held.get(near.word) or self._technical.get(near.word, 0)
        return near.likelihood * english_words().get(near.word, 10**4) * (1.0 + held) ** 2


def _whole_ending(word: str) -> str:
    """Return a word with the ending that it was cut to or left whole before: "injectin", "medicateing"."""
    return f"{word}g" if word.endswith("in") else f"{word[:-4]}ing" if word.endswith("eing") else word


def _likelihood(word: str, near: str) -> float:
    """Return how likely a word is typed for another, by its letters alone."""
    if len(word) < len(near):
        return _LEFT_OUT_OR_DOUBLED
    if len(word) > len(near):
        # A letter too many is mostly the one before it again.
        return _LEFT_OUT_OR_DOUBLED if _without_doubles(word) == _without_doubles(near) else 1.0
    return _SWAPPED if sorted(word) == sorted(near) else 1.0


def _without_doubles(word: str) -> str:
    return "".join(letter for i, letter in enumerate(word) if word[i - 1 : i] != letter)


def _sound(word: str) -> str:
    for pattern, replacement in _SOUNDS:
        word = pattern.sub(replacement, word)
    return word


@cache
def english_words() -> Mapping[str, int]:
    """Return the English word list with frequencies; empty where the package is not installed."""
    spec = importlib.util.find_spec("symspellpy")
    folder = spec.submodule_search_locations[0] if spec and spec.submodule_search_locations else None
    if folder is None:
        return {}
    words: dict[str, int] = {}
    for line in (Path(folder) / _WORD_LIST).read_text("utf-8-sig").splitlines():
        word, _, count = line.partition(" ")
        if _LETTERS.fullmatch(word):
            words[word] = int(count)
    return words | dict.fromkeys(STOP_WORDS - words.keys(), 10**8)


@cache
def _english_stems() -> Mapping[str, str]:
    """Return the index term of every English word, "" for a stop word."""
    return {word: " ".join(analyze(word)) for word in english_words()}


@cache
def _english_shelf() -> _WordShelf:
    return _WordShelf(english_words(), by_first_letter=True)
