"""
Exports a model's question encoder once, so that answering needs no torch. Runs at build time only.

What it renames and deletes lies under `encoders/`, by the calls of `index/files.py`.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from index.encoder import (
    DESCRIPTION,
    EXPORT_VERSION,
    GRAPH,
    GRAPH_INT8,
    TOKENIZER,
    encoder_folder,
    file_sha256,
    import_onnxruntime,
    is_exported,
)
from index.files import fsync_file, remove, rename, storage_errors, write_atomically
from index.model_files import ModelFiles
from index.model_loading import import_torch, load_model, load_tokenizer

_OPSET = 17
_ASIDE = ".export-"


def ensure_encoder(index_dir: Path, files: ModelFiles) -> Path:
    """
    Return the folder of the exported question encoder, exporting it first where it is missing or damaged.

    It is written aside and renamed when complete, so that a killed export leaves nothing that looks whole. Called by
    the one process that holds the writer's lock: what lies aside is then of a killed one, and is deleted.

    Raises:
        ModelUnusable: the model can't be loaded.
        StorageFailed: the folder can't be written.
    """
    final = encoder_folder(index_dir, files.fingerprint)
    with storage_errors(final.parent):
        if final.parent.is_dir():
            for stale in final.parent.glob(f"{_ASIDE}*"):
                remove(stale)
        if is_exported(index_dir, files.fingerprint):
            return final
        aside = final.parent / f"{_ASIDE}{os.getpid()}-{secrets.token_hex(4)}"
        aside.mkdir(parents=True)
        try:
            _export(files, aside)
            remove(final)  # damaged; a process that answers with it has read it already
            rename(aside, final)
        finally:
            with suppress(OSError):
                remove(aside)
    return final


def _export(files: ModelFiles, folder: Path) -> None:
    dimension = _write_graph(files, folder / GRAPH)
    _quantise(folder / GRAPH, folder / GRAPH_INT8)
    load_tokenizer(files).save(str(folder / TOKENIZER))
    names = (GRAPH, GRAPH_INT8, TOKENIZER)
    for name in names:
        fsync_file(folder / name)
    description = {
        "export_version": EXPORT_VERSION,
        "fingerprint": files.fingerprint,
        "model": files.name,
        "dimension": dimension,
        "max_tokens": files.max_tokens,
        "files": {name: file_sha256(folder / name) for name in names},
    }
    write_atomically(folder / DESCRIPTION, (json.dumps(description, indent=2) + "\n").encode())


def _write_graph(files: ModelFiles, path: Path) -> int:
    """Write the graph, pooling and normalisation inside, and return d."""
    import_torch()
    import torch

    model = load_model(files)

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            features = self.model({"input_ids": input_ids, "attention_mask": attention_mask})
            return torch.nn.functional.normalize(features["sentence_embedding"], dim=-1)

    # Another length and another batch than 1, so that no size is frozen into the graph.
    ids = torch.tensor([[101, 2023, 2003, 1037, 3231, 102]] * 2)
    axes = {0: "batch", 1: "length"}
    with warnings.catch_warnings(), torch.inference_mode():
        # The tracer warns of Python branches on shapes; the equality test of both encoders covers what they guard.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Pooled().eval(),
            (ids, torch.ones_like(ids)),
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=["vector"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "vector": {0: "batch"}},
            opset_version=_OPSET,
            dynamo=False,
        )
    return int(model.get_embedding_dimension())


def _quantise(graph: Path, target: Path) -> None:
    """
    Write the graph with the weights of its matrix products as 8 bits, a scale for each column.

    With one scale for a whole matrix, or with the word embeddings quantised too, the cosine to the vectors of the other
    graph falls from .987 to .97. Ready-made files of 8 bits were slower than float32.
    """
    import_onnxruntime()
    from onnxruntime.quantization import QuantType, quantize_dynamic

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it advises to run a tool that changes nothing for this graph
    try:
        quantize_dynamic(
            str(graph), str(target), op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QInt8
        )
    finally:
        root.setLevel(level)
