"""
Turn a trained judge into one int8 ONNX file, and say how large, how equal and how fast it is.

    python tests/quality/export_judge.py RUN_DIR OUT.onnx [--passages 3] [--tokens 160]

Weights of matrix products are int8 per channel, and so are the word embeddings, which are most of the file otherwise.
`equal` is the correlation and the largest difference of log-odds to the judge in float32 on random pairs; times are of
one batch of so many passages of so many tokens, one thread, as at answer time. `--untrained 3` exports a new judge of
three layers: size and speed do not depend on the training.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from judge_model import Encoded, Scorer, Shape, new_judge, save_judge, to_tensors

from index.model_files import find_model
from index.model_loading import import_torch

_OPSET = 17
_NAMES = ("input_ids", "attention_mask", "token_type_ids")
_WORDS = (2000, 20000)  # ids of ordinary words of the vocabulary
_N_QUESTION = 18


def random_pairs(n: int, n_tokens: int, seed: int) -> list[Encoded]:
    """Return pairs of random words, the first of exactly so many tokens, the others a little shorter."""
    generator = np.random.default_rng(seed)
    lengths = [n_tokens, *generator.integers(n_tokens * 3 // 4, n_tokens, n - 1)]
    return [Encoded((101, *map(int, generator.integers(*_WORDS, k - 2)), 102), _N_QUESTION) for k in lengths]


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
            tuple(example[name] for name in _NAMES),
            str(whole),
            input_names=list(_NAMES),
            output_names=["log_odds"],
            dynamic_axes={**dict.fromkeys(_NAMES, axes), "log_odds": {0: "batch"}},
            opset_version=_OPSET,
            dynamo=False,
        )
        quantize_dynamic(
            whole, out, per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul", "Gather"]
        )


def open_session(path: Path) -> Any:
    """Return a session of one thread."""
    os.putenv("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_session(session: Any, pairs: Sequence[Encoded]) -> list[float]:
    """Return the log-odds of a batch."""
    inputs = {name: tensor.numpy() for name, tensor in to_tensors(pairs).items()}
    return [float(value) for value in session.run(None, inputs)[0]]


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
    parser.add_argument("--tokens", type=int, nargs="+", default=[160])
    parser.add_argument("--untrained", type=int, default=0, help="so many layers without training, for size and speed")
    options = parser.parse_args(arguments)
    files = find_model()
    if options.untrained:
        shape = Shape(options.untrained, max(options.tokens))
        save_judge(new_judge(files, shape), shape, options.run, {"options": {"leave_out": []}})
    judge = Scorer(files, options.run).judge
    export(judge, options.out)
    session = open_session(options.out)
    correlation, difference = compare(judge, session)
    sys.stdout.write(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB\n")
    sys.stdout.write(f"equal: correlation {correlation:.4f}, largest difference {difference:.3f}\n")
    for n_tokens in options.tokens:
        median, slow = times_ms(session, options.passages, n_tokens)
        sys.stdout.write(f"{options.passages} passages of {n_tokens} tokens: p50 {median:.1f} ms, p95 {slow:.1f} ms\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
