"""
The judge while it is trained and measured: a cross-encoder made of the embedding model's own layers. Runs torch.

What goes in is made by `index/judge.py`, as at answer time; out comes one number, a log-odds. The head sees the mean
of the question's outputs, the mean of the passage's, and their product.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from index.judge import EncodedPair, PairEncoder, PairShape, PairText
from index.model_files import ModelFiles
from index.model_loading import import_torch, load_tokenizer

WEIGHTS, SHAPE = "judge.pt", "judge.json"
_STOPS = (".", ":", "?", "!")
_BATCH = 32


@dataclass(frozen=True, slots=True)
class Shape:
    """What a judge is made of, and how much of a pair it reads."""

    n_layers: int = 3
    total: int = 96
    question: int = 40
    prefix: int = 20

    def pair(self) -> PairShape:
        """Return what is read of a pair."""
        return PairShape(self.total, self.question, self.prefix)


def pair_text(passage: dict[str, Any], prefix: str) -> PairText:
    """Return a passage of `judge_data.py` as it is judged: around its answer where that would not be read otherwise."""
    best = passage["best"]
    return PairText(prefix, tuple(passage["sentences"]), best if passage["answer"] is None else passage["answer"])


def prefix_of(title: str, headings: Sequence[str]) -> str:
    """Return title and headings as sentences, as `Passage.embedding_prefix` has them."""
    parts = (part.strip() for part in (title, *headings))
    return " ".join(part if part.endswith(_STOPS) else f"{part}." for part in parts if part)


def kept_layers(n_kept: int, n_layers: int) -> list[int]:
    """Return which layers a smaller judge keeps: the first, the last, the others evenly between."""
    if not 1 <= n_kept <= n_layers:
        raise ValueError(f"can't keep {n_kept} of {n_layers} layers")
    return sorted({round(i * (n_layers - 1) / max(n_kept - 1, 1)) for i in range(n_kept)})


def new_judge(files: ModelFiles, shape: Shape, *, frozen_embeddings: bool = True) -> Any:
    """Return an untrained judge, a torch module: the embedding model's layers and a new head."""
    torch = import_torch()
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from transformers import AutoModel
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # the library's own gap

    class Judge(torch.nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.body = AutoModel.from_pretrained(
                str(files.folder), local_files_only=True, add_pooling_layer=False, attn_implementation="sdpa"
            )
            layers = self.body.encoder.layer
            self.body.encoder.layer = torch.nn.ModuleList([layers[i] for i in kept_layers(shape.n_layers, len(layers))])
            width = self.body.config.hidden_size
            self.hidden = torch.nn.Linear(3 * width, 128)
            self.out = torch.nn.Linear(128, 1)
            if frozen_embeddings:
                self.body.embeddings.requires_grad_(False)

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
            output = self.body(
                input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
            ).last_hidden_state
            second = token_type_ids.unsqueeze(-1).to(output.dtype)
            first = attention_mask.unsqueeze(-1).to(output.dtype) - second
            question = (output * first).sum(1) / first.sum(1)
            passage = (output * second).sum(1) / second.sum(1)
            joined = torch.cat([question, passage, question * passage], dim=-1)
            return self.out(torch.nn.functional.gelu(self.hidden(joined))).squeeze(-1)

    return Judge()


def to_tensors(batch: Sequence[EncodedPair]) -> dict[str, Any]:
    """Return the padded inputs of a batch."""
    torch = import_torch()
    width = max(len(item.ids) for item in batch)
    arrays = {
        name: np.zeros((len(batch), width), np.int64) for name in ("input_ids", "attention_mask", "token_type_ids")
    }
    for row, item in enumerate(batch):
        n = len(item.ids)
        arrays["input_ids"][row, :n] = item.ids
        arrays["attention_mask"][row, :n] = 1
        arrays["token_type_ids"][row, item.n_question : n] = 1
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def bf16() -> Any:
    """Return a context that multiplies in bfloat16 where the processor does it in hardware."""
    torch = import_torch()
    has_it = bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
    return torch.autocast("cpu", dtype=torch.bfloat16) if has_it else nullcontext()


def save_judge(judge: Any, shape: Shape, folder: Path, about: dict[str, object]) -> None:
    """Write the weights and what they are, replacing what is there."""
    torch = import_torch()
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f"{WEIGHTS}.part"
    torch.save(judge.state_dict(), aside)
    aside.replace(folder / WEIGHTS)
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    described = {"shape": asdict(shape), "sha256": digest, **about}
    (folder / SHAPE).write_text(json.dumps(described, indent=2) + "\n", "utf-8")


class Scorer:
    """Scores pairs with a trained judge: larger is likelier to answer."""

    def __init__(self, files: ModelFiles, folder: Path) -> None:
        torch = import_torch()
        self._shape = Shape(**json.loads((folder / SHAPE).read_text("utf-8"))["shape"])
        self.judge = new_judge(files, self._shape)
        self.judge.load_state_dict(torch.load(folder / WEIGHTS, weights_only=True))
        self.judge.eval()
        self._encoder = PairEncoder(load_tokenizer(files), self._shape.pair())

    def scores(self, pairs: Sequence[tuple[str, PairText]]) -> list[float]:
        """Return the log-odds of each question and passage, in their order."""
        torch = import_torch()
        encoded = [self._encoder.encode(*pair) for pair in pairs]
        order = sorted(range(len(encoded)), key=lambda i: len(encoded[i].ids))
        found = [0.0] * len(encoded)
        with torch.inference_mode(), bf16():
            for first in range(0, len(order), _BATCH):
                batch = order[first : first + _BATCH]
                values = self.judge(**to_tensors([encoded[i] for i in batch])).float().tolist()
                for i, value in zip(batch, values, strict=True):
                    found[i] = float(value)
        return found
