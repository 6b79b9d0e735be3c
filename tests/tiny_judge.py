"""A judge of a few hundred bytes for tests: the more words of a passage it reads, the surer it is."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from index.judge import CARD_SUFFIX, INPUTS, JUDGE_VERSION, METADATA


def tokenizer() -> dict[str, Any]:
    """Return a tokenizer of whole words, all unknown, with the two special tokens of BERT, as JSON."""
    made = Tokenizer(models.WordLevel({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]  # the stub knows no setter
    made.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return dict(json.loads(made.to_str()))


def write_judge(
    path: Path, *, scale: float = 0.1, metadata: dict[str, Any] | None = None, inputs: tuple[str, ...] = INPUTS
) -> Path:
    """Write a judge whose log-odds is `scale` for each of the passage's tokens, and its card."""
    described = {"version": JUDGE_VERSION, "shape": {"total": 24, "question": 8, "prefix": 4}, "tokenizer": tokenizer()}
    nodes = [
        helper.make_node("Cast", [inputs[-1]], ["types"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["types", "axis"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "scale"], ["log_odds"]),
    ]
    graph = helper.make_graph(
        nodes,
        "judge",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"]) for name in inputs],
        [helper.make_tensor_value_info("log_odds", TensorProto.FLOAT, ["batch"])],
        [
            helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
            helper.make_tensor("scale", TensorProto.FLOAT, [], [scale]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {METADATA: json.dumps(described if metadata is None else described | metadata)})
    onnx.save(model, path)
    seal(path)
    return path


def seal(path: Path) -> None:
    """Write the card that fits the file as it is."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(CARD_SUFFIX).write_text(json.dumps({"version": JUDGE_VERSION, "sha256": digest}), "utf-8")
