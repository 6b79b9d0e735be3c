"""The real model: passages through torch, questions through onnxruntime, one space."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from index.embed import SentenceTransformerEmbedder
from index.encoder import ENCODERS, GRAPH, OnnxQueryEncoder, Precision, open_encoder
from index.errors import ModelUnusable
from index.model import EmbeddingInput
from index.model_files import find_model
from index.model_loading import load_model

TEXTS = ("how soon does withdrawal start", "naltrexon 🙂 — “quoted”", "a", "word " * 400)


@pytest.fixture(scope="module")
def index_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the exported encoder of the default model."""
    folder = tmp_path_factory.mktemp("index")
    SentenceTransformerEmbedder(find_model()).export_query_encoder(folder)
    return folder


@pytest.fixture(scope="module")
def encoder(index_dir: Path) -> OnnxQueryEncoder:
    return open_encoder(index_dir, find_model().fingerprint)


@pytest.fixture(scope="module")
def embedder() -> SentenceTransformerEmbedder:
    return SentenceTransformerEmbedder(find_model(), allow_bf16=False)


def plain(text: str) -> EmbeddingInput:
    return EmbeddingInput("", text, ((0, len(text)),))


def test_questions_and_the_library_agree_with_onnxruntime(encoder: OnnxQueryEncoder) -> None:
    """This ensures that the exported graph gives what sentence-transformers gives, within 1e-5."""
    expected = load_model(find_model()).encode(list(TEXTS), normalize_embeddings=True, show_progress_bar=False)

    found = encoder.encode_queries(TEXTS)

    assert np.abs(found - expected).max() < 1e-5


def test_eight_bits_give_nearly_the_same_vectors(index_dir: Path, encoder: OnnxQueryEncoder) -> None:
    """This ensures that the graph of 8 bits is the same model, that it is really another graph, and a unit vector."""
    narrow = open_encoder(index_dir, find_model().fingerprint, "int8")

    found, expected = narrow.encode_queries(TEXTS), encoder.encode_queries(TEXTS)

    cosines = (found * expected).sum(axis=1)
    assert (narrow.fingerprint, narrow.dimension) == (encoder.fingerprint, encoder.dimension)
    assert cosines.min() > 0.95
    assert cosines.min() < 0.9999
    assert np.abs(np.linalg.norm(found, axis=1) - 1.0).max() < 1e-5


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_questions_vector_does_not_depend_on_the_others(index_dir: Path, precision: Precision) -> None:
    """This ensures that nobody's answer depends on who else asks: 8 bits are scaled by all that is in a batch."""
    encoder = open_encoder(index_dir, find_model().fingerprint, precision)

    together = encoder.encode_queries(TEXTS)

    assert [row.tobytes() for row in together] == [encoder.encode_queries([text])[0].tobytes() for text in TEXTS]


def test_passages_lie_where_questions_do(encoder: OnnxQueryEncoder, embedder: SentenceTransformerEmbedder) -> None:
    """This ensures that a passage without prefix has the vector of the same words asked, but for float16 rounding."""
    passages = np.stack([v.passage for v in embedder.embed([plain(text) for text in TEXTS])])

    assert np.abs(passages - encoder.encode_queries(TEXTS)).max() < 1e-3


def test_bf16_moves_vectors_hardly(embedder: SentenceTransformerEmbedder) -> None:
    """This ensures that the faster arithmetic, where the processor has it, gives the same directions."""
    fast = SentenceTransformerEmbedder(find_model()).embed([plain(text) for text in TEXTS])
    exact = embedder.embed([plain(text) for text in TEXTS])

    assert min(float(a.passage @ b.passage) for a, b in zip(fast, exact, strict=True)) > 0.9995


@pytest.mark.parametrize("allow_bf16", [True, False])
def test_a_vector_depends_on_nothing_but_its_text(allow_bf16: bool) -> None:
    """This ensures that company, order and threads change no bit: an index never tells how it was built."""
    texts = [*TEXTS, *("naloxone reverses an overdose " * n for n in (1, 2, 2, 4, 7, 9)), "word " * 253, "word " * 254]
    items = [EmbeddingInput("Guide.", text, ((0, len(text) // 2), (len(text) // 2, len(text)))) for text in texts]
    embedder = SentenceTransformerEmbedder(find_model(), allow_bf16=allow_bf16)

    together = embedder.embed(items * 2)
    backwards = embedder.embed(items[::-1])[::-1]
    one_thread = SentenceTransformerEmbedder(find_model(), allow_bf16=allow_bf16, threads=1).embed(items)

    for number, item in enumerate(items):
        alone = embedder.embed([item])[0]
        for other in (together[number], together[number + len(items)], backwards[number], one_thread[number]):
            assert np.array_equal(other.passage, alone.passage)
            assert np.array_equal(other.evidence, alone.evidence)


def test_another_process_gets_the_same_embedder_without_its_model(embedder: SentenceTransformerEmbedder) -> None:
    """This ensures that sending an embedder to workers costs some bytes, and that they know it again."""
    embedder.embed([plain("loaded now")])

    data = pickle.dumps(embedder)

    assert len(data) < 1_000
    assert pickle.loads(data) == embedder
    assert hash(pickle.loads(data)) == hash(embedder)
    assert pickle.loads(data) != SentenceTransformerEmbedder(find_model())


def test_evidence_has_a_row_for_the_text_and_each_sentence(embedder: SentenceTransformerEmbedder) -> None:
    """This ensures the shape, and that a question is nearest to the sentence that answers it."""
    text = "Naloxone reverses an overdose. Tomatoes grow in summer."
    item = EmbeddingInput("Guide.", text, ((0, 30), (31, len(text))))

    vectors = embedder.embed([item])[0]
    question = embedder.embed([plain("when do tomatoes grow")])[0].passage

    assert vectors.evidence.shape == (3, vectors.passage.shape[0])
    assert np.allclose(np.linalg.norm(vectors.evidence, axis=1), 1, atol=2e-3)
    assert vectors.evidence[2] @ question > vectors.evidence[1] @ question


def test_a_long_prefix_never_pushes_the_text_out(embedder: SentenceTransformerEmbedder) -> None:
    """This ensures that the words that are quoted are always among those that are embedded."""
    text = "Tomatoes grow in summer."
    buried = embedder.embed([EmbeddingInput("heading " * 500, text, ((0, len(text)),))])[0]
    question = embedder.embed([plain("when do tomatoes grow")])[0].passage

    other = embedder.embed([plain("how is a car repaired")])[0].passage

    assert buried.passage @ question > buried.passage @ other + 0.2


def test_sentences_past_the_limit_still_get_a_vector(embedder: SentenceTransformerEmbedder) -> None:
    """This ensures that a passage longer than the model reads brings no row of zeros and no crash."""
    text = "word " * 600 + "last."
    item = EmbeddingInput("", text, ((0, 2999), (3000, len(text))))

    vectors = embedder.embed([item])[0]

    assert np.linalg.norm(vectors.evidence, axis=1).min() > 0.9


def test_tokens_are_counted_without_the_files_own_limit(embedder: SentenceTransformerEmbedder) -> None:
    """This ensures that the 128 at which the tokenizer file cuts and pads is not taken for a count."""
    assert embedder.count_tokens(["hi", "word " * 300, ""]) == [1, 300, 0]


def test_no_questions_give_no_rows(encoder: OnnxQueryEncoder) -> None:
    """This ensures that an empty batch has the right width."""
    assert encoder.encode_queries([]).shape == (0, encoder.dimension)


def test_answering_never_imports_torch(index_dir: Path) -> None:
    """This ensures that a process which encodes questions has loaded neither torch nor sentence-transformers."""
    program = (
        "import sys; from pathlib import Path; from index.encoder import open_encoder; import service.answering; "
        f"open_encoder(Path({str(index_dir)!r}), {find_model().fingerprint!r}).encode_queries(['hello']); "
        "print(sorted({'torch', 'sentence_transformers', 'transformers'} & set(sys.modules)))"
    )

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"


def test_a_missing_encoder_says_how_to_make_one(tmp_path: Path) -> None:
    """This ensures that an index folder without its encoder names the command that exports it."""
    with pytest.raises(ModelUnusable, match="not exported") as caught:
        open_encoder(tmp_path, "0" * 64)

    assert "citewell build" in caught.value.fix


def test_a_changed_encoder_is_refused_and_exported_anew(tmp_path: Path) -> None:
    """This ensures that one flipped byte in the graph is noticed, named, and mended by the next build."""
    embedder = SentenceTransformerEmbedder(find_model())
    embedder.export_query_encoder(tmp_path)
    graph = tmp_path / ENCODERS / embedder.fingerprint / GRAPH
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 1
    graph.write_bytes(data)

    with pytest.raises(ModelUnusable, match="SHA-256"):
        open_encoder(tmp_path, embedder.fingerprint)
    embedder.export_query_encoder(tmp_path)

    assert open_encoder(tmp_path, embedder.fingerprint).encode_queries(["hello"]).shape == (1, 384)
    assert [p.name for p in (tmp_path / ENCODERS).iterdir()] == [embedder.fingerprint]


def test_runtime_reports_to_nobody(tmp_path: Path) -> None:
    """This ensures that opening an encoder makes no id, no cache and no upload of the runtime's own."""
    code = f"""
import os, sys, threading
from pathlib import Path
from index.errors import ModelUnusable
from index import encoder
try:
    encoder.open_session({str(tmp_path)!r}, Path(), ModelUnusable, "")
except ModelUnusable:
    pass
assert "onnxruntime" in sys.modules
print(len(os.listdir("/proc/self/task")))
"""
    folders = {name: str(tmp_path / name) for name in ("TMPDIR", "HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")}
    for folder in folders.values():
        Path(folder).mkdir()
    kept = {k: v for k, v in os.environ.items() if k not in ("CI", "ORT_DISABLE_TELEMETRY")}
    root = str(Path(__file__).parents[2])

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**kept, **folders, "PYTHONPATH": root},
    )

    assert done.returncode == 0, done.stderr
    assert [path for folder in folders.values() for path in Path(folder).rglob("*")] == []
