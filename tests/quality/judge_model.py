"""
The judge while it is trained and measured: a cross-encoder made of the embedding model's own layers. Runs torch.

In goes `[CLS] question [SEP] title. headings. text [SEP]`, and out comes one number, a log-odds. The head sees
the mean of the question's outputs, the mean of the passage's, and their product.
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

from index.model_files import ModelFiles
from index.model_loading import import_torch, load_tokenizer

# A chatty message keeps its beginning and its end; a passage has 128 pieces and its prefix up to 48.
MAX_QUESTION, MAX_PREFIX = 96, 48
WEIGHTS, SHAPE = "judge.pt", "judge.json"
_STOPS = (".", ":", "?", "!")
_BATCH = 32


@dataclass(frozen=True, slots=True)
class Shape:
    """What a judge is made of; `max_tokens` counts special tokens."""

    n_layers: int = 6
    max_tokens: int = 192


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of one pair, and how many of them are the question's, special tokens around it included."""

    ids: tuple[int, ...]
    n_question: int


class PairEncoder:
    """Turns question and passage into token ids."""

    def __init__(self, files: ModelFiles, max_tokens: int) -> None:
        self._tokenizer = load_tokenizer(files)
        self._first, self._last = self._tokenizer.encode("").ids
        self._max = max_tokens

    def encode(self, question: str, prefix: str, text: str) -> Encoded:
        """Return the ids; the passage's end is cut where the limit is passed."""
        asked, context, said = (self._ids(part) for part in (question, prefix, text))
        if len(asked) > MAX_QUESTION:
            asked = asked[: MAX_QUESTION // 2] + asked[-MAX_QUESTION // 2 :]
        room = self._max - len(asked) - 3
        context = context[: min(MAX_PREFIX, max(0, room - 32))]
        said = said[: room - len(context)]
        ids = (self._first, *asked, self._last, *context, *said, self._last)
        return Encoded(ids, len(asked) + 2)

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)


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


def to_tensors(batch: Sequence[Encoded]) -> dict[str, Any]:
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
        self._encoder = PairEncoder(files, self._shape.max_tokens)

    def scores(self, pairs: Sequence[tuple[str, str, str]]) -> list[float]:
        """Return the log-odds of each (question, prefix, text), in their order."""
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
