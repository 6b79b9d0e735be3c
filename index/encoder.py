"""
Question vectors at answer time, by onnxruntime and tokenizers. Never imports torch; `index.export` makes the files.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from index.errors import IndexFault, ModelUnusable
from index.model import Float32

ENCODERS = "encoders"
DESCRIPTION = "encoder.json"
GRAPH = "encoder.onnx"
# Beside it, with weights of 8 bits (`index.export`): half as much time for a question, a cosine of .987 to the other.
GRAPH_INT8 = "encoder.int8.onnx"
TOKENIZER = "tokenizer.json"
EXPORT_VERSION = 1
# How precisely questions are embedded; passages always are with float32 weights.
Precision = Literal["float32", "int8"]
_GRAPHS: dict[Precision, str] = {"float32": GRAPH, "int8": GRAPH_INT8}
_REBUILD = "run `citewell build`, which exports the encoder anew"


def encoder_folder(index_dir: Path, fingerprint: str) -> Path:
    """Return where the exported encoder of a model lies; it need not exist."""
    return index_dir / ENCODERS / fingerprint


class OnnxQueryEncoder:
    """
    A QueryEncoder over an exported model folder.

    One session, one thread a question: workers and the web server's thread pool give the parallelism. Safe to call
    from many threads.

    The fingerprint is the model's, whatever the precision: it says which passages' vectors the questions' belong to.
    """

    def __init__(self, folder: Path, fingerprint: str, precision: Precision = "float32") -> None:
        graph = _GRAPHS[precision]
        description = _read_description(folder, fingerprint, (graph, TOKENIZER))
        self._fingerprint = fingerprint
        self._dimension = int(description["dimension"])
        self._tokenizer = _open_tokenizer(folder, int(description["max_tokens"]))
        self._session = open_session(str(folder / graph), folder / graph, ModelUnusable, _REBUILD)

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of the model it was exported from."""
        return self._fingerprint

    @property
    def dimension(self) -> int:
        """Return d."""
        return self._dimension

    def encode_queries(self, texts: Sequence[str]) -> Float32:
        """
        Return `float32[len(texts), d]`, unit length; empty input gives `[0, d]`.

        What a text holds beyond the model's limit is not seen. Texts of different length never share a batch, so a
        vector does not depend on what else is asked.
        """
        rows = [self._encode_one(text) for text in texts]
        return np.stack(rows) if rows else np.zeros((0, self._dimension), np.float32)

    def _encode_one(self, text: str) -> Float32:
        ids = np.asarray([self._tokenizer.encode(text).ids], dtype=np.int64)
        output = self._session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        return np.ascontiguousarray(output[0][0], dtype=np.float32)


def open_encoder(index_dir: Path, fingerprint: str, precision: Precision = "float32") -> OnnxQueryEncoder:
    """
    Open the exported encoder of one model, its files checked against their SHA-256.

    Raises:
        ModelUnusable: not exported, not in this precision, incomplete or changed; says to run `citewell build`.
    """
    return OnnxQueryEncoder(encoder_folder(index_dir, fingerprint), fingerprint, precision)


def is_exported(index_dir: Path, fingerprint: str) -> bool:
    """Tell whether a complete encoder of that model is there, in every precision."""
    try:
        _read_description(encoder_folder(index_dir, fingerprint), fingerprint, (*_GRAPHS.values(), TOKENIZER))
    except ModelUnusable:
        return False
    return True


def _read_description(folder: Path, fingerprint: str, needed: Sequence[str]) -> dict[str, Any]:
    """Return the description once each of the files needed has the SHA-256 that it names."""
    path = folder / DESCRIPTION
    try:
        description = json.loads(path.read_text("utf-8"))
        files = dict(description["files"])
        known = (description["export_version"], description["fingerprint"]) == (EXPORT_VERSION, fingerprint)
        sizes = int(description["dimension"]) > 0 and int(description["max_tokens"]) > 0
    except FileNotFoundError as error:
        raise ModelUnusable("the question encoder was not exported", where=str(folder), fix=_REBUILD) from error
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ModelUnusable("not a readable encoder description", where=str(path), fix=_REBUILD) from error
    if not known or not sizes:
        raise ModelUnusable("made for another model or by another version", where=str(path), fix=_REBUILD)
    for name in needed:
        if name not in files:
            raise ModelUnusable(f"an earlier version exported no {name}", where=str(folder), fix=_REBUILD)
        found, expected = file_sha256(folder / name), files[name]
        if found != expected:
            raise ModelUnusable(f"SHA-256 is {found}, expected {expected}", where=str(folder / name), fix=_REBUILD)
    return dict(description)


def file_sha256(path: Path) -> str:
    """
    Return the SHA-256 of an encoder file, hex.

    Raises:
        ModelUnusable: it is missing or unreadable.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelUnusable(f"unreadable ({error.strerror})", where=str(path), fix=_REBUILD) from error


def _open_tokenizer(folder: Path, max_tokens: int) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    except Exception as error:  # tokenizers raises bare Exception for every failure
        raise ModelUnusable("not a tokenizer file", where=str(folder / TOKENIZER), fix=_REBUILD) from error
    tokenizer.enable_truncation(max_tokens)
    tokenizer.no_padding()
    return tokenizer


def import_onnxruntime() -> Any:
    """Return onnxruntime, which then neither makes, keeps nor sends anything of its own."""
    # Since 1.29 its Linux packages write an id into the temporary folder and send figures about sessions and models to
    # its maker. The switch is read once, when the library is imported.
    os.putenv("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def open_session(graph: str | bytes, path: Path, refused: type[IndexFault], fix: str) -> Any:
    """
    Return a session of one thread.

    Args:
        graph: the file's path or its bytes.
        path, refused, fix: what the error names, its class, and what to do.
    """
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # The arena keeps its peak for ever: with 4,000-character questions that is 100 MB a process.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no base below Exception
        raise refused("not a loadable ONNX graph", where=str(path), fix=fix) from error
