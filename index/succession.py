"""
What became of the passages of one document that was edited: which passage stands there now. Pure; no file.

Precision over reach: a passage that was rewritten beyond recognition has no successor, because showing somebody the
wrong passage is worse than showing the document. Evidence is counted in sentences, so that passages which merely share
a template or function words never succeed each other by the sum of small likenesses.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Container, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from rapidfuzz.distance import Indel

from index.catalogue_words import WordedPassage

# Share of an old passage's words in sentences that are found, equal or edited, in one new passage. It suffices when
# one sentence at least is equal. `tests/bench/bench_succession.py` prints what these numbers do on generated edits.
_MAJORITY = 0.6
# Without an equal sentence the likeness of the whole passage must pass this: sentences made from one template ("signs
# and symptoms of X are ...") are alike by 0.8 without being the same. Of 2,786 edits on 1,500 NIH documents 0.9 made
# none wrong and found 80 % of those with a successor (the rest is boilerplate), 0.8 made 1 wrong, 0.7 made 4; without
# setting common sentences aside 18 were wrong.
_ALL_ALIKE = 0.9
# A shortened passage: at least this much of the old one is left, and hardly anything else stands in the new one.
_REST = 0.3
_HARDLY_ELSE = 0.8
# Two sentences are one that was edited from this share of common words, in order; unrelated ones stay below 0.4.
_SAME_SENTENCE = 0.6
# A second sentence that is nearly as like makes the first one doubtful.
_CLEARLY = 0.1
# Beyond so many pairs of sentences in one gap only equal ones are looked for; a document was rewritten as a whole.
_MOST_PAIRS = 40_000
# Equal sentences away from the old place must be long enough not to be a phrase that anybody uses.
_FEWEST_WORDS = 5

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a passage: the one that stands there now (None: not known), or the place is gone."""

    successor: str | None
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class _Sentence:
    passage: int  # its place in the document's list
    text: str
    words: tuple[str, ...]


# A sentence before, the same one now, and their likeness, 0 to 1.
_Pair = tuple[_Sentence, _Sentence, float]


class _Tally:
    """What of an old passage is found in each new one, in words: at all, times their likeness, in equal sentences."""

    def __init__(self) -> None:
        self.found: Counter[int] = Counter()
        self.alike: Counter[int] = Counter()
        self.equal: Counter[int] = Counter()

    def add(self, passage: int, n_words: int, likeness: float) -> None:
        self.found[passage] += n_words
        self.alike[passage] += round(1000 * n_words * likeness)
        if likeness == 1.0:
            self.equal[passage] += n_words


def trace_passages(
    old: Sequence[WordedPassage],
    new: Sequence[WordedPassage],
    new_text: str,
    retired: Collection[str],
    known: Container[bytes],
    common: Container[str] = (),
) -> dict[str, Fate]:
    """
    Return the fate of each retired passage.

    Args:
        old, new: one document's passages before and after, in order.
        new_text: the document's text now.
        retired: ids among `old` whose words are no passage any more.
        known: digests of words that were a passage before, in whichever document: none of them is an edit of another.
        common: sentences of several documents. They are no evidence: one template fills many documents.
    """
    fresh = [i for i, passage in enumerate(new) if passage.digest not in known]
    fates: dict[str, Fate] = {}
    for first, last, new_first, new_last in _gaps(old, new):
        lost = [i for i in range(first, last) if old[i].id in retired]
        in_gap = [j for j in fresh if new_first <= j < new_last]
        tallies = _match_sentences(
            [_sentences(old[i], i, common) for i in lost], [_sentences(new[j], j, common) for j in in_gap]
        )
        for i, tally in zip(lost, tallies, strict=True):
            successor = _successor(old[i], tally, new, common)
            if successor is None and not tally.found:
                successor = _moved_and_edited(old, i, new, fresh, common)
            is_gone = successor is None and not in_gap and not _is_echoed(old[i], new, fresh, new_text)
            fates[old[i].id] = Fate(None if successor is None else new[successor].id, is_gone)
    return fates


def _gaps(old: Sequence[WordedPassage], new: Sequence[WordedPassage]) -> Iterator[tuple[int, int, int, int]]:
    """Yield the stretches between passages that are the same before and after, as places in both lists."""
    matcher = SequenceMatcher(None, [p.digest for p in old], [p.digest for p in new], autojunk=False)
    for tag, first, last, new_first, new_last in matcher.get_opcodes():
        if tag in ("replace", "delete"):
            yield first, last, new_first, new_last


def _sentences(passage: WordedPassage, place: int, common: Container[str] = ()) -> list[_Sentence]:
    told = (text for text in passage.sentences if text not in common)
    found = [_Sentence(place, text, tuple(_WORD.findall(text.lower()))) for text in told]
    return [sentence for sentence in found if sentence.words]


def _match_sentences(old: Sequence[Sequence[_Sentence]], new: Sequence[Sequence[_Sentence]]) -> list[_Tally]:
    """Pair sentences one to one, equal ones first, then edited ones; return each old passage's words by new passage."""
    tallies = [_Tally() for _ in old]
    place = {sentences[0].passage: n for n, sentences in enumerate(old) if sentences}
    lost = [sentence for sentences in old for sentence in sentences]
    found = [sentence for sentences in new for sentence in sentences]
    for one, other, likeness in [*_pair_equal(lost, found), *_pair_edited(lost, found)]:
        tallies[place[one.passage]].add(other.passage, len(one.words), likeness)
    return tallies


def _pair_equal(lost: list[_Sentence], found: list[_Sentence]) -> list[_Pair]:
    """Take pairs of equal sentences out of both lists, in order."""
    pairs = []
    for one in list(lost):
        other = next((candidate for candidate in found if candidate.text == one.text), None)
        if other is not None:
            lost.remove(one)
            found.remove(other)
            pairs.append((one, other, 1.0))
    return pairs


def _pair_edited(lost: Sequence[_Sentence], found: Sequence[_Sentence]) -> list[_Pair]:
    """Return pairs that are each other's best, by a clear distance from any sentence of another passage."""
    if not lost or not found or len(lost) * len(found) > _MOST_PAIRS:
        return []
    likeness = [[Indel.normalized_similarity(one.words, other.words) for other in found] for one in lost]
    pairs = []
    for i, one in enumerate(lost):
        j = max(range(len(found)), key=lambda n: likeness[i][n])
        best, other = likeness[i][j], found[j]
        if best < _SAME_SENTENCE:
            continue
        rivals = [likeness[i][n] for n in range(len(found)) if found[n].passage != other.passage]
        rivals += [likeness[n][j] for n in range(len(lost)) if lost[n].passage != one.passage]
        if max(rivals, default=0.0) <= best - _CLEARLY:
            pairs.append((one, other, best))
    return pairs


def _successor(
    passage: WordedPassage, tally: _Tally, new: Sequence[WordedPassage], common: Container[str]
) -> int | None:
    """Return the new passage that clearly stands for the old one by the words found in each."""
    total = sum(len(sentence.words) for sentence in _sentences(passage, 0, common))
    if not tally.found:
        return None
    (best, n_words), *others = tally.found.most_common(2)
    n_there = sum(len(sentence.words) for sentence in _sentences(new[best], best))
    is_rest = not others and n_words >= _REST * total and tally.equal[best] >= _HARDLY_ELSE * n_there
    is_majority = n_words >= _MAJORITY * total and tally.equal[best] > 0
    is_alike = tally.alike[best] >= 1000 * _ALL_ALIKE * total
    return best if is_rest or is_majority or is_alike else None


def _moved_and_edited(
    old: Sequence[WordedPassage],
    place: int,
    new: Sequence[WordedPassage],
    fresh: Sequence[int],
    common: Container[str],
) -> int | None:
    """Return the new passage anywhere in the document that holds most of the old one's sentences unchanged."""
    before = Counter(text for passage in old for text in passage.sentences)
    after = Counter(text for passage in new for text in passage.sentences)
    tally = _Tally()
    for sentence in _sentences(old[place], place, common):
        if before[sentence.text] == after[sentence.text] == 1 and len(sentence.words) >= _FEWEST_WORDS:
            for j in fresh:
                if sentence.text in new[j].sentences:
                    tally.add(j, len(sentence.words), 1.0)
    return _successor(old[place], tally, new, common)


def _is_echoed(passage: WordedPassage, new: Sequence[WordedPassage], fresh: Sequence[int], new_text: str) -> bool:
    """Tell whether anything of a passage still stands in the document, be it edited, outside passages or in another."""
    if passage.text in new_text:
        return True
    candidates = [sentence for j in fresh for sentence in _sentences(new[j], j)]
    for sentence in _sentences(passage, 0):
        if len(sentence.words) >= _FEWEST_WORDS and sentence.text in new_text:
            return True
        if any(Indel.normalized_similarity(sentence.words, c.words) >= _SAME_SENTENCE for c in candidates):
            return True
    return False
