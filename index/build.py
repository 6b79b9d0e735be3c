"""
From a corpus folder to a published snapshot; readable from `build_index` down.

`reading.py` reads and splits, `reuse.py` says what may be taken over from the live snapshot, `build_report.py` holds
what is told afterwards.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from index.build_report import BuildPlan, BuildReport, SourceFailure, failure_of, peak_memory_bytes, sealed_report
from index.carry_forward import write_carried
from index.catalogue import write_catalogue
from index.catalogue_rows import DocumentRows
from index.changes import Changes, find_changes
from index.dense_choice import write_chosen_dense
from index.dense_config import DenseChoice, DenseConfig
from index.document_work import Embeddable, SplitSource
from index.embed_ahead import EmbedAhead
from index.embed_corpus import CorpusVectors, cache_key
from index.errors import BuildRefused, EngineFault, StorageFailed
from index.executor import BuildExecutor, LocalExecutor, working
from index.fuse import FusionConfig
from index.lexical import LexicalRow, write_lexical
from index.manifest import Counts, Manifest, MilvusCollections, ModelIdentity
from index.model import PassageEmbedder
from index.reading import read_sources, split_sources
from index.reuse import Previous, open_previous
from index.snapshot import CATALOGUE_FILE, LEXICAL_FOLDER, Snapshot, open_snapshot_folder
from index.store import IndexDir, Staging
from index.vector_cache import VectorCache, cached_keys
from index.verify import verify_snapshot
from ingest.errors import CorpusMissing
from ingest.library import Library, open_library
from ingest.limits import Limits
from ingest.model import Document
from ingest.split import SplitConfig

__all__ = ["BuildConfig", "BuildPlan", "BuildReport", "Gate", "Progress", "SourceFailure", "build_index", "plan_build"]

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


# Looks at a sealed and verified snapshot before it is published; raises an AppError to refuse it.
Gate = Callable[[Snapshot], None]


@dataclass(frozen=True, slots=True)
class BuildConfig:
    """Choices of one build."""

    split: SplitConfig = SplitConfig()
    fusion: FusionConfig = FusionConfig()
    limits: Limits = Limits()
    dense: DenseConfig = DenseConfig()
    keep_snapshots: int = 3
    gate: Gate | None = None
    make_executor: Callable[[], BuildExecutor] = LocalExecutor  # does the reading, splitting and embedding
    forgotten: frozenset[str] = frozenset()  # documents of which permalinks may keep nothing, see `index.forget`


# Hears of each phase of PHASES when it begins (done 0), while it goes on, and when it ends (done == total; total 0: not
# known). Whatever it raises stops the build: before "publish" is done nothing of it is live, afterwards all of it is.
Progress = Callable[[str, int, int], None]
PHASES = ("read", "split", "embed", "write", "link", "seal", "verify", "gate", "publish", "tidy")


def build_index(
    corpus: Path,
    index_dir: Path | IndexDir,
    embedder: PassageEmbedder,
    config: BuildConfig = BuildConfig(),
    on_progress: Progress | None = None,
) -> BuildReport:
    """
    Build and publish a snapshot of everything readable in a corpus folder.

    What did not change since the live snapshot is taken over from it. Files that can't be read are in
    `report.failures`; the rest is published.

    Args:
        index_dir: a folder, or the object through which the caller holds its lock.

    Raises:
        CorpusMissing, LibraryMalformed, WriterBusy, StorageFailed, BuildRefused, ModelUnusable, EngineUnreachable,
            EngineRefused: the live snapshot is untouched. So it is with whatever `config.gate` raises.
    """
    store = index_dir if isinstance(index_dir, IndexDir) else IndexDir(index_dir)
    build = _Build(corpus, store, embedder, config, on_progress or _no_progress)
    with ExitStack() as opened:
        staging = opened.enter_context(build.store.writing())
        previous = opened.enter_context(open_previous(build.store))
        executor = opened.enter_context(working(config.make_executor()))
        ahead = opened.enter_context(build.embedding(staging, executor))
        passages = build.write_documents(staging, build.read_and_split(previous, executor), ahead)
        build.embed(staging, passages, ahead)
        executor.close()
        build.write_lexical(staging, passages)
        build.carry_links(staging)
        build.seal(staging, passages)
        build.verify(staging)
        build.check(staging)
        return build.publish(staging, passages)


def plan_build(
    corpus: Path,
    index_dir: Path,
    embedder: PassageEmbedder,
    config: BuildConfig = BuildConfig(),
    on_progress: Progress | None = None,
) -> BuildPlan:
    """
    Return what `build_index` would do, without writing anything and without loading the model.

    Needs no lock: a build that goes on meanwhile is not disturbed, and its outcome not waited for.

    Raises:
        CorpusMissing, LibraryMalformed, ModelUnusable: the build would fail as well.
    """
    build = _Build(corpus, IndexDir(index_dir), embedder, config, on_progress or _no_progress)
    with open_previous(build.store) as previous, working(config.make_executor()) as executor:
        keys = [cache_key(p.input) for source in build.read_and_split(previous, executor) for p in source.passages]
    return build.plan(keys)


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
        self._n_read = 0
        self._corpus_digest = hashlib.sha256()
        self._previous_id = ""
        self._changes = Changes()
        self._failures: list[SourceFailure] = []
        self._warnings: list[tuple[str, str]] = []
        self._vectors: CorpusVectors | None = None
        self._dimension = 0
        self._dense = DenseChoice()
        self._milvus: MilvusCollections | None = None
        self._seconds: dict[str, float] = {}

    def read_and_split(self, previous: Previous, executor: BuildExecutor) -> Iterator[SplitSource]:
        """Yield every document with its passages, read anew or taken over from the live snapshot."""
        library = self._library = open_library(self.corpus, self._config.limits)
        self._previous_id = previous.snapshot_id
        if previous.problem:
            what = f"the live snapshot can't be reused, so everything is read anew: {previous.problem}"
            self._warnings.append((str(self.store.path), what))
        self._warnings += [(str(self.corpus), warning) for warning in library.warnings]
        with self._timed("read"):
            sources, failures = read_sources(library, previous, executor, self._report_on("read"))
        self._failures += [failure_of(error) for error in (*library.failures, *failures)]
        if not sources:
            raise CorpusMissing(
                f"no readable document in it ({len(self._failures)} files failed)",
                where=str(self.corpus),
                fix="; ".join(f"{f.path}: {f.reason}" for f in self._failures[:3])
                or "put documents there; to withdraw everything, delete the index folder and stop serving it",
            )
        self._n_documents = len(sources)
        self._n_read = sum(source.document is not None for source in sources)
        on_done = self._report_on("split")
        on_done(0, len(sources))
        found: list[tuple[str, str, Document | None]] = []
        split = split_sources(library, sources, previous, self._config.split, self._embedder, executor)
        with self._timed("split"):
            for n_done, source in enumerate(split, start=1):
                self._warnings += [(source.id, warning) for warning in source.warnings]
                self._corpus_digest.update(f"{source.id} {source.sha256}\n".encode())
                found.append((source.id, source.sha256, source.document))
                on_done(n_done, len(sources))
                yield source
        self._changes = find_changes(previous.documents, found, {failure.path for failure in self._failures})

    def embedding(self, staging: Staging, executor: BuildExecutor) -> EmbedAhead:
        """Return what embeds passages while others are still split, once its block is entered."""
        return EmbedAhead(self._embedder, executor, self.store, staging.path)

    def write_documents(self, staging: Staging, sources: Iterator[SplitSource], ahead: EmbedAhead) -> list[Embeddable]:
        """Write the catalogue, and begin to embed; return what the other parts of the index are made from."""
        passages: list[Embeddable] = []

        def rows() -> Iterator[DocumentRows]:
            for source in sources:
                passages.extend(source.passages)
                ahead.add([passage.input for passage in source.passages])
                yield source.rows

        write_catalogue(staging.path / CATALOGUE_FILE, rows())
        return passages

    def embed(self, staging: Staging, passages: Sequence[Embeddable], ahead: EmbedAhead) -> None:
        """Write the dense index and the evidence vectors; only texts without cached vectors meet the model."""
        on_done = self._report_on("embed")
        with self._timed("embed"):
            on_done(0, len(passages))
            rows = ahead.finish(lambda n_done: on_done(n_done, len(passages)))
            self._vectors = ahead.vectors
            self._warnings += [(self.store.vectors_path.name, warning) for warning in ahead.warnings]
            self._dimension = int(rows[0].shape[0])
        with self._timed("write"):
            self._dense = write_chosen_dense(staging.path, np.stack(rows), self._config.dense, self._embedder)
            self._warnings += [("dense_index", self._dense.note)] if self._dense.note else []

    def write_lexical(self, staging: Staging, passages: Sequence[Embeddable]) -> None:
        """Write the lexical index, and give the engine what it keeps elsewhere."""
        with self._timed("write"), self._announced("write"):
            rows = (LexicalRow(i, p.title, p.headings, p.input.text) for i, p in enumerate(passages))
            write_lexical(staging.path / LEXICAL_FOLDER, rows)
            self._milvus = self.store.engine.take_over(staging.path)
            self._warnings += [("milvus_index", self._milvus.note)] if self._milvus and self._milvus.note else []

    def carry_links(self, staging: Staging) -> None:
        """Write where the ids of earlier snapshots lead that are no passages of this one."""
        with self._timed("link"), self._announced("link"):
            carried = write_carried(self.store, staging.path, self._config.forgotten)
            self._warnings += [(self.store.snapshots_path.name, warning) for warning in carried]

    def seal(self, staging: Staging, passages: Sequence[Embeddable]) -> None:
        """Checksum every file and write the manifest."""
        vectors = self._vectors
        manifest = Manifest(
            title=self._library.title if self._library else "",
            counts=self._counts(passages),
            split=asdict(self._config.split),
            fusion=asdict(self._config.fusion),
            model=ModelIdentity(
                name=self._embedder.name, fingerprint=self._embedder.fingerprint, dimension=self._dimension
            ),
            dense=self._dense.sealed(),
            milvus=self._milvus,
            corpus_sha256=self._corpus_digest.hexdigest(),
            versions=_versions(),
            report=sealed_report(
                self._previous_id,
                self._changes,
                self._failures,
                n_warnings=len(self._warnings),
                n_embedded=vectors.n_embedded if vectors else 0,
                n_reused=vectors.n_reused if vectors else 0,
                seconds=self._seconds,
            ),
        )
        with self._timed("seal"), self._announced("seal"):
            self.store.seal(staging, manifest)

    def verify(self, staging: Staging) -> None:
        """Re-prove the staged snapshot; nothing that fails is ever published."""
        on_done = self._report_on("verify")
        with self._timed("verify"), open_snapshot_folder(staging.path, False, self.store.engine) as snapshot:
            on_done(0, self._n_documents)
            report = verify_snapshot(snapshot, on_done)
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
        unhashed = open_snapshot_folder(staging.path, False, self.store.engine)
        with self._timed("gate"), self._announced("gate"), unhashed as snapshot:
            self._config.gate(snapshot)

    def publish(self, staging: Staging, passages: Sequence[Embeddable]) -> BuildReport:
        """Make the snapshot the live one, drop old ones and vectors of texts that are gone."""
        with self._timed("publish"), self._announced("publish"):
            snapshot_id = self.store.publish(staging)
        with self._timed("tidy"), self._announced("tidy"):
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
            seconds=self._rounded_seconds(),
            embedding_passages_per_s=round(vectors.passages_per_s, 1) if vectors else 0.0,
            model_s=round(vectors.model_s, 3) if vectors else 0.0,
            peak_memory_bytes=peak_memory_bytes(),
            previous_id=self._previous_id,
            changes=self._changes,
            n_read=self._n_read,
            dense=self._dense,
        )

    def plan(self, keys: Sequence[str]) -> BuildPlan:
        """Return what was found, given the cache key of every passage."""
        cached = cached_keys(self.store.vectors_path, self._embedder.fingerprint)
        missing = set(keys) - cached
        return BuildPlan(
            previous_id=self._previous_id,
            changes=self._changes,
            failures=tuple(self._failures),
            warnings=tuple(self._warnings),
            ignored=self._library.ignored if self._library else (),
            n_documents=self._n_documents,
            n_passages=len(keys),
            n_to_embed=len(missing),
            n_reused=len(keys) - len(missing),
            n_read=self._n_read,
            seconds=self._rounded_seconds(),
        )

    def _tidy(self) -> None:
        """Drop old snapshots and the vectors of texts that are gone; the new snapshot is live whatever happens here."""
        try:
            self.store.collect(self._config.keep_snapshots)
        except (StorageFailed, EngineFault) as error:
            self._warnings.append((error.where, f"old snapshots could not be deleted: {error.what}"))
        if self._vectors is None:
            return
        with VectorCache.open(self.store.vectors_path) as cache:
            cache.keep_only(self._embedder.fingerprint, self._vectors.keys)
            self._warnings += [(self.store.vectors_path.name, warning) for warning in cache.warnings]

    def _counts(self, passages: Sequence[Embeddable]) -> Counts:
        return Counts(
            documents=self._n_documents,
            passages=len(passages),
            sentences=sum(len(p.input.sentences) for p in passages),
        )

    def _report_on(self, phase: str) -> Callable[[int, int], None]:
        return lambda done, total: self._progress(phase, done, total)

    @contextmanager
    def _announced(self, phase: str) -> Iterator[None]:
        """Tell the beginning and the end of a phase that is one step."""
        self._progress(phase, 0, 1)
        yield
        self._progress(phase, 1, 1)

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self._seconds[phase] = self._seconds.get(phase, 0.0) + time.monotonic() - start

    def _rounded_seconds(self) -> dict[str, float]:
        return {phase: round(seconds, 3) for phase, seconds in self._seconds.items()}


def _no_progress(_phase: str, _done: int, _total: int) -> None:
    return None


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in _VERSIONS_OF}
