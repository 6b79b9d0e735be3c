"""
From a corpus folder to a published snapshot; readable from `build_index` down.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from index.carry_forward import write_carried
from index.catalogue import write_catalogue
from index.dense import write_dense
from index.embed_corpus import CorpusVectors
from index.errors import BuildRefused, StorageFailed
from index.evidence_vectors import write_evidence
from index.fuse import FusionConfig
from index.lexical import LexicalRow, write_lexical
from index.manifest import Counts, Manifest, ModelIdentity
from index.model import EmbeddingInput, Float32, PassageEmbedder
from index.snapshot import CATALOGUE_FILE, DENSE_FILE, LEXICAL_FOLDER, Snapshot, open_snapshot_folder
from index.store import IndexDir, Staging
from index.vector_cache import VectorCache
from index.verify import verify_snapshot
from ingest.errors import CorpusMissing, SourceError
from ingest.library import Library, open_library
from ingest.limits import Limits
from ingest.model import Document, Passage
from ingest.read import read_document
from ingest.repeated import edge_lines, mark_repeated, repeated_lines
from ingest.split import SplitConfig, split_document

_VERSIONS_OF = (
    "citewell",
    "faiss-cpu",
    "tantivy",
    "numpy",
    "sentence-transformers",
    "torch",
    "pypdf",
    "lxml",
    "nupunkt",
)


@dataclass(frozen=True, slots=True)
class SourceFailure:
    """One file that is not in the index, and why."""

    path: str
    code: str
    reason: str
    fix: str


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did."""

    snapshot_id: str
    n_documents: int
    n_passages: int
    n_sentences: int
    n_embedded: int  # passages that the model ran on
    n_reused: int  # passages whose vectors came from the cache, or from an equal passage of this build
    failures: tuple[SourceFailure, ...]
    warnings: tuple[tuple[str, str], ...]  # (path, sentence)
    ignored: tuple[str, ...]  # files that have no reader and are no documents
    seconds: dict[str, float] = field(default_factory=dict)  # by phase
    embedding_passages_per_s: float = 0.0  # of those that the model ran on
    peak_memory_bytes: int = 0


# Looks at a sealed and verified snapshot before it is published; raises an AppError to refuse it.
Gate = Callable[[Snapshot], None]


@dataclass(frozen=True, slots=True)
class BuildConfig:
    """Choices of one build."""

    split: SplitConfig = SplitConfig()
    fusion: FusionConfig = FusionConfig()
    limits: Limits = Limits()
    keep_snapshots: int = 3
    gate: Gate | None = None
    forgotten: frozenset[str] = frozenset()  # documents of which permalinks may keep nothing, see `index.forget`


# phase ("read", "split", "embed", "verify"), done, total (0: not known)
Progress = Callable[[str, int, int], None]


def build_index(
    corpus: Path,
    index_dir: Path | IndexDir,
    embedder: PassageEmbedder,
    config: BuildConfig = BuildConfig(),
    on_progress: Progress | None = None,
) -> BuildReport:
    """
    Build and publish a snapshot of everything readable in a corpus folder.

    Files that can't be read are in `report.failures`; the rest is published.

    Args:
        index_dir: a folder, or the object through which the caller holds its lock.

    Raises:
        CorpusMissing, LibraryMalformed, WriterBusy, StorageFailed, BuildRefused, ModelUnusable: nothing was published
            and the live snapshot is untouched. So it is with whatever `config.gate` raises.
    """
    store = index_dir if isinstance(index_dir, IndexDir) else IndexDir(index_dir)
    build = _Build(corpus, store, embedder, config, on_progress or _no_progress)
    with build.store.writing() as staging:
        passages = build.read_and_split(staging)
        build.embed(staging, passages)
        build.write_lexical(staging, passages)
        build.carry_links(staging)
        build.seal(staging, passages)
        build.verify(staging)
        build.check(staging)
        return build.publish(staging, passages)


@dataclass(frozen=True, slots=True)
class _Embeddable:
    """What later phases need of a passage; the rest is in the catalogue already."""

    prefix: str
    title: str
    headings: str
    text: str
    sentences: tuple[tuple[int, int], ...]  # relative to the text


class _Build:
    """The state of one build; its methods are the phases, in order."""

    def __init__(
        self, corpus: Path, store: IndexDir, embedder: PassageEmbedder, config: BuildConfig, on_progress: Progress
    ) -> None:
        self.corpus = corpus
        self.store = store
        self._embedder = embedder
        self._config = config
        self._progress = on_progress
        self._library: Library | None = None
        self._n_documents = 0
        self._corpus_digest = hashlib.sha256()
        self._failures: list[SourceFailure] = []
        self._warnings: list[tuple[str, str]] = []
        self._vectors: CorpusVectors | None = None
        self._dimension = 0
        self._seconds: dict[str, float] = {}

    def read_and_split(self, staging: Staging) -> list[_Embeddable]:
        """Read every file, cut the documents into passages and write the catalogue."""
        library = self._library = open_library(self.corpus, self._config.limits)
        self._warnings += [(str(self.corpus), warning) for warning in library.warnings]
        self._failures += [_failure(error) for error in library.failures]
        with self._timed("read"):
            documents = self._read(library)
        if not documents:
            raise CorpusMissing(
                f"no readable document in it ({len(self._failures)} files failed)",
                where=str(self.corpus),
                fix="; ".join(f"{f.path}: {f.reason}" for f in self._failures[:3])
                or "put documents there; to withdraw everything, delete the index folder and stop serving it",
            )
        self._n_documents = len(documents)
        passages: list[_Embeddable] = []
        with self._timed("split"):
            write_catalogue(staging.path / CATALOGUE_FILE, self._iter_split(documents, passages))
        return passages

    def _read(self, library: Library) -> list[Document]:
        documents: list[Document] = []
        files = library.files()
        for n_done, file in enumerate(files, start=1):
            try:
                documents.append(read_document(library, file))
            except SourceError as error:
                self._failures.append(_failure(error))
            self._progress("read", n_done, len(files))
        repeated = repeated_lines(edge_lines(document) for document in documents)
        return [mark_repeated(document, repeated) for document in documents]

    def _iter_split(
        self, documents: Sequence[Document], passages: list[_Embeddable]
    ) -> Iterator[tuple[Document, Sequence[Passage]]]:
        for n_done, document in enumerate(documents, start=1):
            split = split_document(document, self._config.split, self._embedder.count_tokens)
            self._warnings += [(document.id, warning) for warning in document.warnings]
            self._corpus_digest.update(f"{document.id} {document.source.sha256}\n".encode())
            passages += [_embeddable(document.metadata.title, passage) for passage in split]
            self._progress("split", n_done, len(documents))
            yield document, split

    def embed(self, staging: Staging, passages: Sequence[_Embeddable]) -> None:
        """Write the dense index and the evidence vectors; only texts without cached vectors meet the model."""
        with self._timed("embed"):
            self._embedder.export_query_encoder(self.store.path)
            n_done = 0

            def on_done(n_more: int) -> None:
                nonlocal n_done
                n_done += n_more
                self._progress("embed", n_done, len(passages))

            rows: list[Float32] = []
            with VectorCache.open(self.store.vectors_path) as cache:
                vectors = self._vectors = CorpusVectors(self._embedder, cache, on_done)
                inputs = (EmbeddingInput(p.prefix, p.text, p.sentences) for p in passages)
                # The evidence vectors, four times as many, go to the disk as they come.
                write_evidence(
                    staging.path, (_keep(rows, item.passage, item.evidence) for item in vectors.iter_vectors(inputs))
                )
                self._warnings += [(self.store.vectors_path.name, warning) for warning in cache.warnings]
            self._dimension = int(rows[0].shape[0])
            write_dense(staging.path / DENSE_FILE, np.stack(rows))

    def write_lexical(self, staging: Staging, passages: Sequence[_Embeddable]) -> None:
        """Write the lexical index."""
        with self._timed("write"):
            rows = (LexicalRow(i, p.title, p.headings, p.text) for i, p in enumerate(passages))
            write_lexical(staging.path / LEXICAL_FOLDER, rows)

    def carry_links(self, staging: Staging) -> None:
        """Write where the ids of earlier snapshots lead that are no passages of this one."""
        with self._timed("write"):
            carried = write_carried(self.store, staging.path, self._config.forgotten)
            self._warnings += [(self.store.snapshots_path.name, warning) for warning in carried]

    def seal(self, staging: Staging, passages: Sequence[_Embeddable]) -> None:
        """Checksum every file and write the manifest."""
        with self._timed("write"):
            self.store.seal(
                staging,
                Manifest(
                    title=self._library.title if self._library else "",
                    counts=self._counts(passages),
                    split=asdict(self._config.split),
                    fusion=asdict(self._config.fusion),
                    model=ModelIdentity(
                        name=self._embedder.name, fingerprint=self._embedder.fingerprint, dimension=self._dimension
                    ),
                    corpus_sha256=self._corpus_digest.hexdigest(),
                    versions=_versions(),
                    report={
                        "failures": [asdict(failure) for failure in self._failures],
                        "n_warnings": len(self._warnings),
                    },
                ),
            )

    def verify(self, staging: Staging) -> None:
        """Re-prove the staged snapshot; nothing that fails is ever published."""
        with self._timed("verify"), open_snapshot_folder(staging.path) as snapshot:
            report = verify_snapshot(snapshot, lambda done, total: self._progress("verify", done, total))
        if not report.is_sound:
            first = report.problems[0]
            raise BuildRefused(
                f"{report.n_problems} things in the new snapshot do not hold, first: {first.rule}: {first.what}",
                where=first.where,
                fix="this is a fault of Citewell or of the disk: build again, and report it if it stays",
            )

    def check(self, staging: Staging) -> None:
        """Let the gate look at the staged snapshot; what it raises keeps the old one live."""
        if self._config.gate is None:
            return
        with self._timed("gate"), open_snapshot_folder(staging.path, check_sha256=False) as snapshot:
            self._config.gate(snapshot)

    def publish(self, staging: Staging, passages: Sequence[_Embeddable]) -> BuildReport:
        """Make the snapshot the live one, drop old ones and vectors of texts that are gone."""
        with self._timed("publish"):
            snapshot_id = self.store.publish(staging)
            self._tidy()
        vectors = self._vectors
        counts = self._counts(passages)
        return BuildReport(
            snapshot_id=snapshot_id,
            n_documents=counts.documents,
            n_passages=counts.passages,
            n_sentences=counts.sentences,
            n_embedded=vectors.n_embedded if vectors else 0,
            n_reused=vectors.n_reused if vectors else 0,
            failures=tuple(self._failures),
            warnings=tuple(self._warnings),
            ignored=self._library.ignored if self._library else (),
            seconds={phase: round(seconds, 3) for phase, seconds in self._seconds.items()},
            embedding_passages_per_s=round(vectors.passages_per_s, 1) if vectors else 0.0,
            peak_memory_bytes=_peak_memory_bytes(),
        )

    def _tidy(self) -> None:
        """Drop old snapshots and the vectors of texts that are gone; the new snapshot is live whatever happens here."""
        try:
            self.store.collect(self._config.keep_snapshots)
        except StorageFailed as error:
            self._warnings.append((error.where, f"old snapshots could not be deleted: {error.what}"))
        if self._vectors is None:
            return
        with VectorCache.open(self.store.vectors_path) as cache:
            cache.keep_only(self._embedder.fingerprint, self._vectors.keys)
            self._warnings += [(self.store.vectors_path.name, warning) for warning in cache.warnings]

    def _counts(self, passages: Sequence[_Embeddable]) -> Counts:
        return Counts(
            documents=self._n_documents,
            passages=len(passages),
            sentences=sum(len(p.sentences) for p in passages),
        )

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self._seconds[phase] = self._seconds.get(phase, 0.0) + time.monotonic() - start


def _failure(error: SourceError) -> SourceFailure:
    return SourceFailure(error.where, error.code, error.what, error.fix)


def _embeddable(title: str, passage: Passage) -> _Embeddable:
    return _Embeddable(
        prefix=passage.embedding_prefix,
        title=title,
        headings=" ".join(heading for heading in passage.heading_path if heading != title),
        text=passage.text,
        sentences=tuple((start - passage.start, end - passage.start) for start, end in passage.sentences),
    )


def _keep(rows: list[Float32], passage: Float32, evidence: Float32) -> Float32:
    rows.append(passage)
    return evidence


def _no_progress(_phase: str, _done: int, _total: int) -> None:
    return None


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in _VERSIONS_OF}


def _peak_memory_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
