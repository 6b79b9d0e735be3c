"""The fakes."""

from pathlib import Path

import numpy as np

from index.catalogue import Catalogue, StoredPassage, write_catalogue
from index.model import EmbeddingInput, PassageEmbedder, QueryEncoder
from index.testing import HashingEmbedder, embedding_input, tiny_documents
from index.verify import document_problems, passage_problems


def test_the_embedder_is_both_embedder_and_encoder() -> None:
    """This ensures that the fake fits wherever a model does."""
    embedder = HashingEmbedder()
    as_embedder: PassageEmbedder = embedder
    as_encoder: QueryEncoder = embedder

    assert as_embedder.fingerprint == as_encoder.fingerprint
    assert embedder.count_tokens(["two words", "", "don't"]) == [2, 0, 2]


def test_vectors_are_unit_rows_and_repeat() -> None:
    """This ensures that equal text gives equal vectors, of length 1 and float16 precision, in every process."""
    item = EmbeddingInput("Title", "One sentence. And two.", ((0, 13), (14, 22)))
    done: list[int] = []

    one, two = HashingEmbedder().embed([item, item], done.append)

    assert done == [1, 1]
    assert one.passage.tobytes() == two.passage.tobytes()
    assert (one.passage.shape, one.evidence.shape) == ((64,), (3, 64))
    assert one.passage.dtype == one.evidence.dtype == np.float32
    assert np.array_equal(one.evidence, one.evidence.astype(np.float16).astype(np.float32))
    np.testing.assert_allclose(np.linalg.norm(one.evidence, axis=1), 1.0, atol=1e-3)


def test_shared_words_are_similar() -> None:
    """This ensures that the fake ranks as a model would in the plainest case."""
    rows = HashingEmbedder().encode_queries(
        ["heroin withdrawal starts", "withdrawal starts when", "a garden fence", ""]
    )

    assert rows[0] @ rows[1] > 0.4 > rows[0] @ rows[2]
    assert rows[3].tolist() == [1.0] + [0.0] * 63
    assert HashingEmbedder().encode_queries([]).shape == (0, 64)


def test_names_make_models_differ() -> None:
    """This ensures that a mismatch of models can be tested."""
    one, other = HashingEmbedder(), HashingEmbedder(name="other")

    assert one.fingerprint != other.fingerprint
    assert abs(float(one.encode_queries(["heroin"])[0] @ other.encode_queries(["heroin"])[0])) < 0.5


def test_tiny_documents_keep_all_rules(tmp_path: Path) -> None:
    """This ensures that the fake library is one that verify finds sound."""
    write_catalogue(tmp_path / "c", tiny_documents())
    catalogue = Catalogue.open(tmp_path / "c")

    for document, passages in tiny_documents():
        stored: list[StoredPassage] = catalogue.passages_of(document.id)
        assert list(document_problems(document)) == []
        assert list(passage_problems(document, stored)) == []
        assert len(stored) == len(passages) > 0


def test_embedding_inputs_count_sentences_within_the_passage() -> None:
    """This ensures that sentence offsets are relative to what is embedded."""
    passage = tiny_documents()[1][1][0]

    item = embedding_input(passage)

    assert (item.prefix, item.text) == (passage.embedding_prefix, passage.text)
    assert [item.text[start:end] for start, end in item.sentences] == [
        "Naloxone reverses an opioid overdose.",
        "Call an ambulance first.",
        "😀 It wears off before heroin does.",
    ]
