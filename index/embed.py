"""
Passage vectors at build time, by sentence-transformers. The only module that runs torch on text.

One pass of the model over `prefix + text` gives everything that is kept of a passage: the passage vector (the model's
own pooling over all tokens) and, by averaging the same token outputs over each stretch ("late" pooling), the vector
of the text alone and of each sentence.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from index.cores import n_cores
from index.errors import ModelUnusable
from index.export import ensure_encoder
from index.model import EmbeddingInput, Float32, PassageVectors
from index.model_files import ModelFiles
from index.model_loading import import_torch, load_model, load_tokenizer

# Texts of similar length in small batches: 8 took 0.67 of the time of the library's default of 32 on two cores.
BATCH_SIZE = 8
# Inputs are padded to the next multiple; see `embed`. 8 tokens are 4 % of padding, 16 are 7.
WIDTH_STEP = 8
# A title, two headings and a lead-in fit; more would drown the text that is quoted.
MAX_PREFIX_TOKENS = 64
# Batches at the same time. With more cores than this each batch gets several: Python itself runs on one at a time.
_MOST_THREADS = 8
# How long a thread may keep the interpreter while another waits for it, in seconds; Python's own is 0.005.
_SWITCH_S = 0.0005


@dataclass(frozen=True, slots=True)
class _Encoded:
    """One input as token ids, and the token spans of its text and of each sentence."""

    ids: list[int]
    spans: list[tuple[int, int]]


class SentenceTransformerEmbedder:
    """
    A PassageEmbedder. Loading the model takes seconds, so it happens at the first `embed`.

    What is sent to another process (`pickle`) is where the model lies; it is loaded there again.

    Args:
        allow_bf16: False computes in float32 everywhere.
        threads: batches at the same time; None is one for each core.
    """

    def __init__(self, files: ModelFiles, *, allow_bf16: bool = True, threads: int | None = None) -> None:
        self._files = files
        self._allow_bf16 = allow_bf16
        self._threads = threads

    def __eq__(self, other: object) -> bool:
        """Tell whether both give the same vectors, at the same speed."""
        return isinstance(other, SentenceTransformerEmbedder) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[object, ...]:
        return self._files, self._allow_bf16, self._threads

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how another process makes the same embedder: nothing that was loaded goes with it."""
        return partial(type(self), allow_bf16=self._allow_bf16, threads=self._threads), (self._files,)

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

        An input's vectors depend on nothing but itself: every batch of one width has the same shape, so that the same
        arithmetic is done on a row whatever stands beside it.

        Args:
            on_done: hears how many more inputs are finished, after every batch, in the thread that called.
        """
        if not inputs:
            return []
        results: list[PassageVectors | None] = [None] * len(inputs)
        encoded = self._encode_all(inputs)
        waiting = self._batches(encoded)
        running: deque[tuple[list[int], Future[list[PassageVectors]]]] = deque()
        _ = self._model  # loaded once, before threads share it
        with self._workers() as (pool, n_workers):
            try:
                while waiting or running:
                    # A few more than run, so that no thread waits; all of them would be held at once.
                    while waiting and len(running) < 2 * n_workers:
                        width, batch = waiting.popleft()
                        running.append((batch, pool.submit(self._forward, width, [encoded[i] for i in batch])))
                    batch, future = running.popleft()
                    for i, vectors in zip(batch, future.result(), strict=True):
                        results[i] = vectors
                    if on_done is not None:
                        on_done(len(batch))
            finally:
                for _, future in running:
                    future.cancel()
        return [r for r in results if r is not None]

    def _batches(self, encoded: Sequence[_Encoded]) -> deque[tuple[int, list[int]]]:
        """
        Return (width, indices) of each batch, the widest first.

        No batch is without padding: attention then takes another path in the library, whose last digits differ.
        """
        most = self._files.max_tokens
        by_width: dict[int, list[int]] = {}
        for i, item in enumerate(encoded):
            by_width.setdefault(min((len(item.ids) // WIDTH_STEP + 1) * WIDTH_STEP, most), []).append(i)
        batches: deque[tuple[int, list[int]]] = deque()
        for width, rows in sorted(by_width.items(), reverse=True):
            # At the limit a row may be full, so one of the batch is left empty.
            used = BATCH_SIZE - (width == most)
            batches.extend((width, rows[at : at + used]) for at in range(0, len(rows), used))
        return batches

    def _encode_all(self, inputs: Sequence[EmbeddingInput]) -> list[_Encoded]:
        """
        Return token ids with special tokens, and the token span of each text and of each of its sentences.

        The prefix is cut so that the text fits and leads; a text that alone passes the limit loses its end.
        """
        tokenizer = self._tokenizer
        prefixes = tokenizer.encode_batch_fast([item.prefix for item in inputs], add_special_tokens=False)
        texts = tokenizer.encode_batch([item.text for item in inputs], add_special_tokens=False)
        return [self._encode(*found) for found in zip(inputs, prefixes, texts, strict=True)]

    def _encode(self, item: EmbeddingInput, prefix: Any, text: Any) -> _Encoded:
        limit = self._files.max_tokens - 2
        ids = text.ids[:limit]
        before = prefix.ids[: min(MAX_PREFIX_TOKENS, limit - len(ids))]
        first, last = self._special_ids
        begin = 1 + len(before)
        starts = [offset[0] for offset in text.offsets[: len(ids)]]
        spans = [(begin, begin + len(ids))]
        for start, end in item.sentences:
            low = bisect_left(starts, start)
            high = bisect_left(starts, end)
            # A sentence cut off by the limit has no tokens of its own: the last token stands for it.
            low = min(low, max(len(ids) - 1, 0))
            spans.append((begin + low, begin + max(high, low + 1)))
        return _Encoded([first, *before, *ids, last], spans)

    def _forward(self, width: int, batch: Sequence[_Encoded]) -> list[PassageVectors]:
        """Return the vectors of at most BATCH_SIZE inputs."""
        passages, outputs = (found[: len(batch)] for found in self._run(self._tensors(width, batch)))
        # Sums up to each token: the sum over any stretch is one subtraction.
        sums = np.zeros((len(batch), width + 1, outputs.shape[2]), np.float32)
        np.cumsum(outputs, axis=1, out=sums[:, 1:])
        counts = [len(item.spans) for item in batch]
        rows = np.repeat(np.arange(len(batch)), counts)
        spans = np.array([span for item in batch for span in item.spans])
        evidence = np.split(rounded_unit(sums[rows, spans[:, 1]] - sums[rows, spans[:, 0]]), np.cumsum(counts)[:-1])
        return [
            PassageVectors(p, np.ascontiguousarray(e)) for p, e in zip(rounded_unit(passages), evidence, strict=True)
        ]

    def _tensors(self, width: int, batch: Sequence[_Encoded]) -> dict[str, Any]:
        """Return what the model takes; the shape is `[BATCH_SIZE, width]` however short the batch is."""
        torch = import_torch()
        tokens = np.full((BATCH_SIZE, width), self._pad_id, np.int64)
        mask = np.zeros((BATCH_SIZE, width), np.int64)
        # A row without any token would be divided by zero somewhere in the model.
        mask[:, 0] = 1
        for row, item in enumerate(batch):
            tokens[row, : len(item.ids)] = item.ids
            mask[row, : len(item.ids)] = 1
        return {"input_ids": torch.from_numpy(tokens), "attention_mask": torch.from_numpy(mask)}

    def _run(self, tensors: dict[str, Any]) -> tuple[Float32, Float32]:
        """Return the model's vector of each row and the outputs of its tokens, `[n, d]` and `[n, width, d]`."""
        with import_torch().inference_mode(), self._precision():
            output = self._model(dict(tensors))
            return output["sentence_embedding"].float().numpy(), output["token_embeddings"].float().numpy()

    @contextmanager
    def _workers(self) -> Iterator[tuple[ThreadPoolExecutor, int]]:
        """
        Give threads that embed a batch each.

        One batch on each core instead of each batch on all of them: threads that share a batch wait for each other
        hundreds of times in it, and whenever another program takes one of the cores.
        """
        torch = import_torch()
        # Not torch's number: once a worker has set its own, every thread begun later is told that one.
        n_threads = self._threads or n_cores()
        n_workers = min(n_threads, _MOST_THREADS)
        before = sys.getswitchinterval()
        # A batch is some hundred short calls; after each one its thread wants the interpreter back at once.
        sys.setswitchinterval(_SWITCH_S)
        try:
            # The setting holds for the thread that makes it.
            with ThreadPoolExecutor(
                n_workers, "embed", initializer=torch.set_num_threads, initargs=(n_threads // n_workers,)
            ) as pool:
                yield pool, n_workers
        finally:
            sys.setswitchinterval(before)

    @cached_property
    def _uses_bf16(self) -> bool:
        """Tell whether to compute in bfloat16: where the processor multiplies it in hardware, at cosine 0.99997."""
        cpu = import_torch().cpu
        return self._allow_bf16 and bool(cpu._is_amx_tile_supported() or cpu._is_avx512_bf16_supported())

    def _precision(self) -> Any:
        torch = import_torch()
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._uses_bf16, cache_enabled=False)

    @cached_property
    def _model(self) -> Any:
        model = load_model(self._files)
        if self._uses_bf16:
            torch = import_torch()
            # Once, instead of for every batch. Layer norms and the sums between layers stay in float32.
            for module in model.modules():
                if isinstance(module, torch.nn.Linear):
                    module.to(torch.bfloat16)
        return model

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
