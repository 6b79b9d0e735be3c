"""
BM25 worked out here, as tantivy works it out, for engines that can only multiply. Pure; knows no index.

A passage becomes one sparse vector: for each of its terms what tantivy would add to the score for it, over all fields.
A question's sparse vector holds each term's boost, and the inner product of the two is the BM25 score. So neither the
engine's analyzer, nor the scope of its IDF, nor the sign of its scores matters.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from index.catalogue_rows import StoredPassage
from index.lexical import FIELD_WEIGHTS, LexicalRow, analyze

# tantivy's, in bm25.rs; Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009.
_K1, _B = 1.2, 0.75
# A dimension that stands for no term. Milvus takes no sparse vector without entries, and some passages have no term.
NO_TERM = 0

SparseVector = dict[int, float]


def _length_table() -> tuple[int, ...]:
    """
    Return the lengths that tantivy tells apart: it keeps a field's length in one byte.

    Up to 24 each length is its own; above, three bits after the leading one are kept (Lucene's SmallFloat.byte4ToInt).
    """
    lengths = list(range(24))
    for byte in range(232):
        bits, shift = byte & 7, (byte >> 3) - 1
        lengths.append(24 + (bits if shift < 0 else (bits | 8) << shift))
    return tuple(lengths)


_LENGTHS = _length_table()


def kept_length(n_terms: int) -> int:
    """Return a field's length as tantivy remembers it: the largest length of its table that is not above."""
    return _LENGTHS[bisect_right(_LENGTHS, n_terms) - 1]


def lexical_row(stored: StoredPassage) -> LexicalRow:
    """Return a stored passage as the lexical index takes it: a title that heads a section counts once."""
    passage, title = stored.passage, stored.document.metadata.title
    headings = " ".join(heading for heading in passage.heading_path if heading != title)
    return LexicalRow(stored.ordinal, title, headings, passage.text)


class CorpusTerms:
    """
    The terms of a whole library: what BM25 must know before it can weigh one passage.

    `vocabulary` gives each term, in alphabetical order, the number of passages that hold it in any field; its dimension
    is its place in this order, from 1, so that no two terms share one.
    """

    def __init__(self, rows: Iterable[LexicalRow]) -> None:
        held: Counter[str] = Counter()
        self._frequencies: dict[str, Counter[str]] = {field: Counter() for field in FIELD_WEIGHTS}
        lengths = dict.fromkeys(FIELD_WEIGHTS, 0)
        self.n = 0
        for row in rows:
            fields = _terms(row)
            for field, counts in fields.items():
                self._frequencies[field].update(counts.keys())
                lengths[field] += counts.total()
            held.update(set().union(*fields.values()))
            self.n += 1
        self.vocabulary: Mapping[str, int] = dict(sorted(held.items()))
        self.dimensions = dimensions_of(self.vocabulary)
        self._average = {field: total / max(self.n, 1) for field, total in lengths.items()}

    def weigh(self, row: LexicalRow) -> SparseVector:
        """
        Return a passage's sparse vector; every term of it must have been among those of the corpus.

        Returns:
            Dimension -> weight (> 0), ascending; `{NO_TERM: 1.0}` for a passage without terms.
        """
        weights: SparseVector = {}
        for field, counts in _terms(row).items():
            frequencies, boost = self._frequencies[field], FIELD_WEIGHTS[field]
            if not counts:
                continue
            norm = _K1 * (1 - _B + _B * kept_length(counts.total()) / self._average[field])
            for term, times in counts.items():
                weight = boost * self._idf(frequencies[term]) * (_K1 + 1) * times / (times + norm)
                dimension = self.dimensions[term]
                weights[dimension] = weights.get(dimension, 0.0) + weight
        return dict(sorted(weights.items())) or {NO_TERM: 1.0}

    def _idf(self, frequency: int) -> float:
        return math.log(1 + (self.n - frequency + 0.5) / (frequency + 0.5))


def dimensions_of(vocabulary: Iterable[str]) -> dict[str, int]:
    """Return each term's dimension: its place, from 1."""
    return {term: place for place, term in enumerate(vocabulary, start=NO_TERM + 1)}


def write_vocabulary(vocabulary: Mapping[str, int]) -> bytes:
    """Return a vocabulary as a file: a line a term, the term and its number of passages with a tab between."""
    return "".join(f"{term}\t{n}\n" for term, n in vocabulary.items()).encode()


def read_vocabulary(data: bytes) -> dict[str, int]:
    """Return what `write_vocabulary` wrote. Raises ValueError: it is not of that form."""
    return dict(_entries(data.decode("utf-8")))


def _entries(text: str) -> Iterator[tuple[str, int]]:
    for line in text.removesuffix("\n").split("\n") if text else ():
        term, tab, number = line.partition("\t")
        if not (term and tab and number.isdecimal()):
            raise ValueError("a line is not a term, a tab and a number")
        yield term, int(number)


def _terms(row: LexicalRow) -> dict[str, Counter[str]]:
    parts = {"title": row.title, "headings": row.headings, "text": row.text}
    return {field: Counter(analyze(parts[field])) for field in FIELD_WEIGHTS}
