"""
Citewell: `build_index` on source files, or its own writers on ready vectors; questions through `answer_question`.

With ready vectors everything of a build happens but reading, splitting and the model: catalogue, evidence vectors,
dense index with its choice, lexical index, checksums, the check of every promise, publishing. The time for making the
documents of a perturbed library is not counted.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from compare_material import iter_documents, iter_evidence, iter_vectors, make_plan
from compare_side import TOP_K, Job, Reply

from index.model import Float32

ROOT = Path(__file__).parents[2]
_Item = TypeVar("_Item")


class CitewellSide:
    """The whole of it, as `citewell ask` and `serve` have it: spelling, names, notices, abstaining, citing."""

    def prepare(self, job: Job) -> None:
        """Load the model where it is used."""
        if not job.embed:
            return
        from index.embed import SentenceTransformerEmbedder
        from index.model import EmbeddingInput
        from index.model_files import find_model

        self._embedder = SentenceTransformerEmbedder(find_model())
        self._embedder.embed([EmbeddingInput("", "warm up", ())])

    def build(self, job: Job) -> dict[str, Any]:
        """Build and publish."""
        if not job.embed:
            return _write_snapshot(job)
        from index.build import build_index

        report = build_index(job.corpus, job.folder, self._embedder)
        if report.failures:
            raise RuntimeError(f"{len(report.failures)} files could not be read")
        return {"n": report.n_passages, "phases": dict(report.seconds), "index": report.dense.index}

    def open(self, job: Job) -> None:
        """Open the live snapshot with all checks, and the encoder."""
        from index.encoder import open_encoder
        from index.snapshot import open_snapshot
        from index.store import IndexDir
        from service.runtime import board_for, policy_for
        from service.settings import Settings

        settings = Settings(lexicon=ROOT / "corpus" / "lexicon.toml", notices=ROOT / "corpus" / "notices.toml")
        self._snapshot = open_snapshot(IndexDir(job.folder))
        self._encoder = open_encoder(job.folder, self._snapshot.manifest.model.fingerprint)
        policy = policy_for(settings, self._snapshot)
        self._threshold = policy.threshold
        # Always a ranking, so that it can be judged; whether it would be shown is read from the confidence.
        self._policy = replace(policy, min_confidence=0.0)
        self._notices = board_for(settings)

    def ask(self, text: str) -> Reply:
        """Answer."""
        from service.answering import answer_question, parse_question

        question = parse_question(text, top_k=TOP_K)
        answer = answer_question(question, self._snapshot, self._encoder, self._policy, notices=self._notices)
        found = [[p.document.id, p.start, p.end] for p in answer.passages]
        return Reply(found, bool(found) and answer.confidence >= self._threshold, {})


class _Phases:
    """Seconds by phase, and what the making of documents took meanwhile."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.making_s = 0.0
        self._since, self._made_before = time.perf_counter(), 0.0

    def done(self, phase: str) -> None:
        """End a phase; another one begins."""
        now = time.perf_counter()
        self.seconds[phase] = round(now - self._since - (self.making_s - self._made_before), 3)
        self._since, self._made_before = now, self.making_s

    def apart(self, items: Iterator[_Item]) -> Iterator[_Item]:
        """Yield items and keep the time of making them apart."""
        while True:
            start = time.perf_counter()
            item = next(items, None)
            self.making_s += time.perf_counter() - start
            if item is None:
                return
            yield item


def _write_snapshot(job: Job) -> dict[str, Any]:
    from index.carry_forward import write_carried
    from index.catalogue import write_catalogue
    from index.dense_choice import write_chosen_dense
    from index.dense_config import DenseConfig
    from index.evidence_vectors import write_evidence
    from index.lexical import LexicalRow, write_lexical
    from index.manifest import Counts, Manifest
    from index.snapshot import CATALOGUE_FILE, LEXICAL_FOLDER, open_snapshot, open_snapshot_folder
    from index.store import IndexDir
    from index.verify import verify_snapshot

    store, phases, texts = IndexDir(job.folder), _Phases(), list[LexicalRow]()
    with open_snapshot(IndexDir(job.base), check_sha256=False) as base:
        plan = make_plan(list(base.catalogue.iter_documents()), job.size)
        shutil.copytree(job.base / "encoders", job.folder / "encoders")

        def documents() -> Iterator[Any]:
            for document, passages in phases.apart(iter_documents(base, plan)):
                yield document, passages
                title = document.metadata.title
                for p in passages:
                    headings = " ".join(heading for heading in p.heading_path if heading != title)
                    texts.append(LexicalRow(len(texts), title, headings, p.text))

        def vectors() -> Float32:
            return np.concatenate(list(phases.apart(iter_vectors(base, plan))))

        with store.writing() as staging:
            counts = write_catalogue(staging.path / CATALOGUE_FILE, documents())
            phases.done("catalogue")
            write_evidence(staging.path, phases.apart(iter_evidence(base, plan)))
            phases.done("evidence")
            choice = write_chosen_dense(staging.path, vectors(), DenseConfig())
            phases.done("dense")
            write_lexical(staging.path / LEXICAL_FOLDER, texts)
            phases.done("lexical")
            write_carried(store, staging.path)
            source = base.manifest
            manifest = Manifest(
                title="perturbed",
                counts=Counts(**asdict(counts)),
                split=source.split,
                fusion=source.fusion,
                model=source.model,
                dense=choice.sealed(),
                corpus_sha256=source.corpus_sha256,
            )
            store.seal(staging, manifest)
            phases.done("seal")
            with open_snapshot_folder(staging.path, check_sha256=False) as staged:
                verified = verify_snapshot(staged)
            if not verified.is_sound:
                raise RuntimeError(f"the snapshot does not hold: {verified.problems[0]}")
            phases.done("verify")
            store.publish(staging)
    told = f"{choice.index} at {choice.effort}, recall {choice.recall_at_10:.3f} / {choice.recall_at_200:.3f}"
    n = counts.passages
    return {"n": n, "phases": phases.seconds, "index": told, "not_counted_s": phases.making_s}


def make() -> CitewellSide:
    """Return the side."""
    return CitewellSide()
