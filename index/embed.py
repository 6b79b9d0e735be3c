"""
Passage vectors at build time, by sentence-transformers. The only module that runs torch on text.

One pass of the model over `prefix + text` gives everything that is kept of a passage: the passage vector (the model's
own pooling over all tokens) and, by averaging the same token outputs over each stretch ("late" pooling), the vector
of the text alone and of each sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from index.errors import ModelUnusable
from index.export import ensure_encoder
from index.model import EmbeddingInput, Float32, PassageVectors
from index.model_files import ModelFiles
from index.model_loading import import_torch, load_model, load_tokenizer

# Texts of similar length in small batches: 8 took 0.67 of the time of the library's default of 32 on two cores.
BATCH_SIZE = 8
# A title, two headings and a lead-in fit; more would drown the text that is quoted.
MAX_PREFIX_TOKENS = 64


class SentenceTransformerEmbedder:
    """A PassageEmbedder. Loading the model takes seconds, so it happens at the first `embed`."""

    def __init__(self, files: ModelFiles, *, allow_bf16: bool = True) -> None:
        self._files = files
        self._allow_bf16 = allow_bf16

    @property
    def fingerprint(self) -> str:
        """Return the model's fingerprint."""
        return self._files.fingerprint

    @property
    def name(self) -> str:
        """Return the model's name."""
        return self._files.name

    def export_query_encoder(self, index_dir: Path) -> None:
        """Export the question encoder unless it is there already."""
        ensure_encoder(index_dir, self._files)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of word pieces of each text, without special tokens."""
        if not texts:
            return []
        return [len(e.ids) for e in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def embed(
        self, inputs: Sequence[EmbeddingInput], on_done: Callable[[int], None] | None = None
    ) -> list[PassageVectors]:
        """
        Return the vectors of each input, in its order.

        Args:
            on_done: hears how many more inputs are finished, after every batch.
        """
        torch = import_torch()
        results: list[PassageVectors | None] = [None] * len(inputs)
        encoded = [self._encode(item) for item in inputs]
        order = sorted(range(len(inputs)), key=lambda i: (-len(encoded[i][0]), i))
        with torch.inference_mode(), self._precision():
            for first in range(0, len(order), BATCH_SIZE):
                batch = order[first : first + BATCH_SIZE]
                for i, vectors in zip(batch, self._forward([encoded[i] for i in batch]), strict=True):
                    results[i] = vectors
                if on_done is not None:
                    on_done(len(batch))
        return [r for r in results if r is not None]

    def _encode(self, item: EmbeddingInput) -> tuple[list[int], list[tuple[int, int]]]:
        """
        Return token ids with special tokens, and the token span of the text and of each of its sentences.

        The prefix is cut so that the text fits and leads; a text that alone passes the limit loses its end.
        """
        limit = self._files.max_tokens - 2
        prefix = self._tokenizer.encode(item.prefix, add_special_tokens=False).ids if item.prefix else []
        text = self._tokenizer.encode(item.text, add_special_tokens=False)
        ids = text.ids[:limit]
        prefix = prefix[: min(MAX_PREFIX_TOKENS, limit - len(ids))]
        first, last = self._special_ids
        begin = 1 + len(prefix)
        starts = [offset[0] for offset in text.offsets[: len(ids)]]
        spans = [(begin, begin + len(ids))]
        for start, end in item.sentences:
            low = int(np.searchsorted(starts, start))
            high = int(np.searchsorted(starts, end))
            # A sentence cut off by the limit has no tokens of its own: the last token stands for it.
            low = min(low, max(len(ids) - 1, 0))
            spans.append((begin + low, begin + max(high, low + 1)))
        return [first, *prefix, *ids, last], spans

    def _forward(self, batch: Sequence[tuple[list[int], list[tuple[int, int]]]]) -> Iterator[PassageVectors]:
        torch = import_torch()
        width = max(len(ids) for ids, _ in batch)
        tokens = torch.full((len(batch), width), self._pad_id, dtype=torch.long)
        mask = torch.zeros((len(batch), width), dtype=torch.long)
        for row, (ids, _) in enumerate(batch):
            tokens[row, : len(ids)] = torch.tensor(ids)
            mask[row, : len(ids)] = 1
        output = self._model({"input_ids": tokens, "attention_mask": mask})
        passages = output["sentence_embedding"].float().numpy()
        outputs = output["token_embeddings"].float().numpy()
        for row, (_, spans) in enumerate(batch):
            sums = np.concatenate([np.zeros((1, outputs.shape[2]), np.float32), outputs[row].cumsum(0)])
            evidence = np.stack([sums[end] - sums[start] for start, end in spans])
            yield PassageVectors(rounded_unit(passages[row]), rounded_unit(evidence))

    @contextmanager
    def _precision(self) -> Iterator[None]:
        """Run in bfloat16 where the processor multiplies it in hardware: twice as fast, cosine 0.99997 to float32."""
        torch = import_torch()
        supported = self._allow_bf16 and bool(
            torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
        )
        with torch.autocast("cpu", dtype=torch.bfloat16) if supported else nullcontext():
            yield

    @cached_property
    def _model(self) -> Any:
        return load_model(self._files)

    @cached_property
    def _tokenizer(self) -> Any:
        return load_tokenizer(self._files)

    @cached_property
    def _special_ids(self) -> tuple[int, int]:
        """Return the ids that open and close every input, as the model's own template has them."""
        ids = self._tokenizer.encode("", add_special_tokens=True).ids
        if len(ids) != 2:
            raise ModelUnusable(
                f"its tokenizer wraps a text in {len(ids)} special tokens, expected 2",
                where=str(self._files.folder),
                fix="use a model of the BERT family",
            )
        return ids[0], ids[1]

    @cached_property
    def _pad_id(self) -> int:
        return int(self._model.tokenizer.pad_token_id or 0)


def rounded_unit(rows: Float32) -> Float32:
    """
    Return rows `[..., d]` at unit length, rounded to float16 precision.

    The rounding makes a vector from the cache and a fresh one equal; a row of zeros stays zero.
    """
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    unit = rows / np.maximum(norms, 1e-12)
    return np.ascontiguousarray(unit.astype(np.float16).astype(np.float32))
