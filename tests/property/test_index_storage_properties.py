"""Whatever the text, it comes back as it was; whatever the question, it is searched."""

import tempfile
from contextlib import closing
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.catalogue import Catalogue, write_catalogue
from index.lexical import LexicalIndex, LexicalRow, analyze, write_lexical
from index.model import PassageVectors
from index.testing import tiny_document, tiny_passages
from index.vector_cache import VectorCache
from ingest.model import SourceReference, SourceType

# Surrogates can't be in a document: its checksum is taken of its UTF-8 bytes.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
WORDS = TEXT.filter(lambda text: bool(text.strip()) and not text.startswith(("- ", "~ ")))
DAY = st.dates(min_value=date(1000, 1, 1))


@given(
    paths=st.lists(WORDS, min_size=1, max_size=4, unique=True),
    paragraphs=st.lists(WORDS, min_size=1, max_size=4),
    words=TEXT,
    day=DAY,
    kind=st.sampled_from(SourceType),
)
@settings(max_examples=20, deadline=None)
def test_any_document_comes_back_as_it_was(
    paths: list[str], paragraphs: list[str], words: str, day: date, kind: SourceType
) -> None:
    """This ensures that no character, date or list is changed by the catalogue."""
    documents = [
        tiny_document(
            path,
            words or "t",
            {"Heading": paragraphs},
            publisher=words,
            authors=(words, words),
            published=day,
            tags=(words,),
            source_type=kind,
            sources=(SourceReference(words, published=day),),
        )
        for path in paths
    ]
    library = [(document, tiny_passages(document)) for document in documents]

    with tempfile.TemporaryDirectory() as folder:
        write_catalogue(Path(folder) / "c", library)
        with closing(Catalogue.open(Path(folder) / "c")) as catalogue:
            assert [catalogue.full_document(document.id) for document in documents] == documents
            assert [catalogue.text(document.id) for document in documents] == [d.text for d in documents]
            stored = catalogue.passages(range(catalogue.n_passages))
    assert [s.passage for s in stored] == [passage for _, passages in library for passage in passages]


@pytest.fixture(scope="module")
def lexical(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    folder: Path = tmp_path_factory.mktemp("lexical")
    write_lexical(folder, [LexicalRow(i, "Heroin", "Pain", f"word{i} text") for i in range(20)])
    return LexicalIndex.open(folder)


@given(text=st.text(max_size=200), depth=st.integers(-3, 30), allowed=st.lists(st.booleans(), min_size=20, max_size=20))
@settings(max_examples=100, deadline=None)
def test_any_question_is_searched(lexical: LexicalIndex, text: str, depth: int, allowed: list[bool]) -> None:
    """This ensures that no string, surrogates included, is an error or finds what does not hold its terms."""
    mask = np.array(allowed)

    ordinals, scores = lexical.search(f"{text} word3", depth, mask)

    assert len(ordinals) == len(scores) <= max(depth, 0)
    assert all(mask[ordinals])
    assert (scores > 0).all()
    assert len(lexical.document_frequency(analyze(text))) == len(analyze(text))


@given(rows=st.integers(1, 5), d=st.integers(1, 9), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_any_vectors_come_back_from_the_cache(rows: int, d: int, seed: int) -> None:
    """This ensures that a cached vector equals a fresh one bit for bit."""
    matrix = np.random.default_rng(seed).standard_normal((rows + 1, d)).astype(np.float16).astype(np.float32)
    vectors = PassageVectors(matrix[0], matrix[1:])

    with tempfile.TemporaryDirectory() as folder, VectorCache.open(Path(folder) / "v") as cache:
        cache.put_many("model", [("key", vectors)])
        found = cache.get_many("model", ["key"], dimension=d)["key"]

    assert found.passage.tobytes() == vectors.passage.tobytes()
    assert found.evidence.tobytes() == vectors.evidence.tobytes()
