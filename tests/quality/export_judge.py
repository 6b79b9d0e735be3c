"""
Turn a trained judge into one int8 ONNX file with its card, and say how large, how equal and how fast it is.

    python tests/quality/export_judge.py RUN_DIR index/data/judge.onnx [--passages 3] [--tokens 96]

Weights of matrix products are int8 per channel, and so are the word embeddings, which are most of the file otherwise.
The tokenizer and the sizes stand in the file's metadata; OUT.json, its card, says what it is and holds its SHA-256.
`equal` is the correlation and the largest difference of log-odds to the judge in float32 on random pairs; times are of
so many passages of so many tokens one after the other, one thread, as at answer time. `--untrained 3` exports a new
judge of three layers: size and speed do not depend on the training.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from judge_model import SHAPE, Scorer, Shape, new_judge, save_judge, to_tensors

from index.encoder import open_session
from index.errors import JudgeUnusable
from index.judge import CARD_SUFFIX, INPUTS, JUDGE_VERSION, METADATA, EncodedPair, open_judge
from index.model_files import ModelFiles, find_model
from index.model_loading import import_torch

_OPSET = 17
LICENCE = (
    "Apache-2.0. Trained from the weights of all-MiniLM-L6-v2 (Apache-2.0) on questions made from the text of MedQuAD "
    "(Ben Abacha and Demner-Fushman 2019, CC BY 4.0)."
)
COMMAND = "tests/quality/JUDGE.md, section Commands"
_WORDS = (2000, 20000)  # ids of ordinary words of the vocabulary
_N_QUESTION = 18


def random_pairs(n: int, n_tokens: int, seed: int) -> list[EncodedPair]:
    """Return pairs of random words, the first of exactly so many tokens, the others a little shorter."""
    generator = np.random.default_rng(seed)
    lengths = [n_tokens, *generator.integers(n_tokens * 3 // 4, n_tokens, n - 1)]
    return [EncodedPair((101, *map(int, generator.integers(*_WORDS, k - 2)), 102), _N_QUESTION) for k in lengths]


def export(judge: Any, out: Path) -> None:
    """Write a judge, a torch module, as int8 ONNX."""
    torch = import_torch()
    from onnxruntime.quantization import QuantType, quantize_dynamic

    axes = {0: "batch", 1: "length"}
    example = to_tensors(random_pairs(2, 40, 0))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.inference_mode():
        # The tracer warns of Python branches on shapes; the comparison below covers what they guard.
        warnings.simplefilter("ignore")
        whole = Path(folder) / "judge.onnx"
        torch.onnx.export(
            judge.eval(),
            tuple(example[name] for name in INPUTS),
            str(whole),
            input_names=list(INPUTS),
            output_names=["log_odds"],
            dynamic_axes={**dict.fromkeys(INPUTS, axes), "log_odds": {0: "batch"}},
            opset_version=_OPSET,
            dynamo=False,
        )
        quantize_dynamic(
            whole, out, per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul", "Gather"]
        )


def describe(out: Path, files: ModelFiles, shape: Shape, about: dict[str, Any]) -> None:
    """Write tokenizer and sizes into the graph's metadata, and the card with its SHA-256 beside it."""
    import onnx

    tokenizer = json.loads((files.folder / "tokenizer.json").read_text("utf-8"))
    tokenizer["truncation"] = tokenizer["padding"] = None
    described = {"version": JUDGE_VERSION, "shape": asdict(shape.pair()), "tokenizer": tokenizer}
    graph = onnx.load(out)
    onnx.helper.set_model_props(graph, {METADATA: json.dumps(described, separators=(",", ":"), ensure_ascii=False)})
    onnx.save(graph, out)
    card = {
        "version": JUDGE_VERSION,
        "sha256": hashlib.sha256(out.read_bytes()).hexdigest(),
        "bytes": out.stat().st_size,
        "layers": shape.n_layers,
        "licence": LICENCE,
        "command": COMMAND,
        "training": about,
    }
    out.with_suffix(CARD_SUFFIX).write_text(json.dumps(card, indent=2) + "\n", "utf-8")


def run_session(session: Any, pairs: Sequence[EncodedPair]) -> list[float]:
    """Return the log-odds of pairs, one after the other."""
    return [float(session.run(None, pair.arrays())[0][0]) for pair in pairs]


def compare(judge: Any, session: Any) -> tuple[float, float]:
    """Return correlation and largest difference of the log-odds of both on random pairs."""
    torch = import_torch()
    pairs = random_pairs(48, 120, 1)
    with torch.inference_mode():
        whole = np.array(judge(**to_tensors(pairs)).tolist())
    small = np.array(run_session(session, pairs))
    return float(np.corrcoef(whole, small)[0, 1]), float(np.abs(whole - small).max())


def times_ms(session: Any, n_passages: int, n_tokens: int) -> tuple[float, float]:
    """Return median and 95th percentile of the milliseconds of one batch."""
    taken = []
    for seed in range(60):
        pairs = random_pairs(n_passages, n_tokens, seed)
        start = time.perf_counter()
        run_session(session, pairs)
        taken.append(1000 * (time.perf_counter() - start))
    return float(np.median(taken[10:])), float(np.percentile(taken[10:], 95))


def main(arguments: list[str] | None = None) -> int:
    """Export and print the figures; returns the exit code."""
    parser = argparse.ArgumentParser(description="Turn a trained judge into one int8 ONNX file.")
    parser.add_argument("run", type=Path, help="a training's folder; with --untrained it is made there")
    parser.add_argument("out", type=Path)
    parser.add_argument("--passages", type=int, default=3)
    parser.add_argument("--tokens", type=int, nargs="+", default=[96])
    parser.add_argument("--untrained", type=int, default=0, help="so many layers without training, for size and speed")
    options = parser.parse_args(arguments)
    files = find_model()
    if options.untrained:
        shape = Shape(options.untrained, total=max(options.tokens))
        save_judge(new_judge(files, shape), shape, options.run, {"options": {"leave_out": []}})
    judge = Scorer(files, options.run).judge
    export(judge, options.out)
    about = json.loads((options.run / SHAPE).read_text("utf-8"))
    shape = Shape(**about.pop("shape"))
    describe(options.out, files, shape, {name: value for name, value in about.items() if name != "sha256"})
    open_judge(options.out)
    session = open_session(str(options.out), options.out, JudgeUnusable, "export it again")
    correlation, difference = compare(judge, session)
    sys.stdout.write(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB\n")
    sys.stdout.write(f"equal: correlation {correlation:.4f}, largest difference {difference:.3f}\n")
    for n_tokens in options.tokens:
        median, slow = times_ms(session, options.passages, n_tokens)
        sys.stdout.write(f"{options.passages} passages of {n_tokens} tokens: p50 {median:.1f} ms, p95 {slow:.1f} ms\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
