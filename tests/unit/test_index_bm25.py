"""BM25 worked out here against tantivy's, and the vocabulary's file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from index.bm25 import NO_TERM, CorpusTerms, kept_length, read_vocabulary, write_vocabulary
from index.lexical import LexicalIndex, LexicalRow, write_lexical

WORDS = ("heroin", "methadone", "naloxone", "pain", "sleep", "clinic", "dose", "day", "Éire", "40mg")


def rows(n: int = 300) -> list[LexicalRow]:
    random = np.random.default_rng(5)

    def words(least: int, most: int) -> str:
        return " ".join(random.choice(WORDS, random.integers(least, most)))

    # Texts on both sides of every step of the table of lengths, and some without a term.
    return [LexicalRow(i, words(0, 4), words(0, 9), words(0, 400 if i % 7 == 0 else 60)) for i in range(n)]


@pytest.mark.parametrize(
    "weights", [{"heroin": 1.0}, {"pain": 2.0, "dose": 0.6, "eir": 1.0}, {"40mg": 1.0, "day": 1.0}]
)
def test_inner_products_are_the_scores_of_tantivy(weights: dict[str, float], tmp_path: Path) -> None:
    """This ensures that idf, saturation, lengths kept in a byte, and weights of fields are those of the local index."""
    corpus = rows()
    write_lexical(tmp_path, corpus)
    ordinals, scores = LexicalIndex.open(tmp_path).search_terms(weights, len(corpus))

    terms = CorpusTerms(corpus)
    vectors = [terms.weigh(row) for row in corpus]
    query = {terms.dimensions[term]: weight for term, weight in weights.items()}
    products = [sum(weight * vector.get(d, 0.0) for d, weight in query.items()) for vector in vectors]

    assert {i for i, product in enumerate(products) if product > 0} == set(ordinals.tolist())
    assert [products[o] for o in ordinals.tolist()] == pytest.approx(scores.tolist(), rel=1e-5)


def test_vocabulary_is_that_of_tantivy(tmp_path: Path) -> None:
    """This ensures that spelling repairs and term weights do not depend on the engine."""
    corpus = rows()
    write_lexical(tmp_path, corpus)

    assert CorpusTerms(corpus).vocabulary == dict(LexicalIndex.open(tmp_path).vocabulary)


def test_no_two_terms_share_a_dimension() -> None:
    """This ensures that a term is never found by another's number, and that 0 stays free."""
    dimensions = CorpusTerms(rows()).dimensions

    assert sorted(dimensions.values()) == list(range(1, len(dimensions) + 1))


def test_passage_without_terms_has_an_entry_that_no_question_asks_for() -> None:
    """This ensures that a passage of stop words can be stored and is never found by its words."""
    terms = CorpusTerms([LexicalRow(0, "", "", "It is what it is."), LexicalRow(1, "", "", "pain")])

    assert terms.weigh(LexicalRow(0, "", "", "It is what it is.")) == {NO_TERM: 1.0}
    assert NO_TERM not in terms.dimensions.values()


@pytest.mark.parametrize(("length", "kept"), [(0, 0), (39, 39), (40, 40), (41, 40), (55, 54), (63, 60), (10**9, 10**9)])
def test_lengths_are_kept_in_a_byte(length: int, kept: int) -> None:
    """This ensures that long fields are told apart no more finely than tantivy does."""
    assert kept_length(length) <= length
    if length < 100:
        assert kept_length(length) == kept


def test_vocabulary_survives_its_file() -> None:
    """This ensures that terms of any script come back with their numbers, in the same order."""
    vocabulary = {"40mg": 3, "pain": 12, "боль": 1}

    assert read_vocabulary(write_vocabulary(vocabulary)) == vocabulary
    assert list(read_vocabulary(write_vocabulary(vocabulary))) == list(vocabulary)
    assert read_vocabulary(write_vocabulary({})) == {}


@pytest.mark.parametrize("data", [b"pain\n", b"pain\tmany\n", b"\t3\n", b"pain\t3\n\nday\t1\n", b"\xff\t1\n"])
def test_a_damaged_vocabulary_is_refused(data: bytes) -> None:
    """This ensures that no term gets a number by guessing."""
    with pytest.raises(ValueError, match=r"line|utf-8"):
        read_vocabulary(data)
