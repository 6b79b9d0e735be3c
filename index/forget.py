"""
Removes one document from everything under the index folder, with a receipt; readable from `forget_document` down.

The order is what makes a run that was killed repeatable: the document leaves the live snapshot first, then the cache,
and the older snapshots, which are what tells the next run that something is left to do, go last.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from index.build import BuildConfig, BuildReport, Progress, SourceFailure, build_index
from index.carry_forward import Past, read_past
from index.catalogue import Catalogue
from index.embed_corpus import cache_key
from index.errors import DocumentStillThere, DocumentUnknown, IndexFault, SnapshotCorrupt
from index.files import list_files, sha256_file, storage_errors
from index.jobs import JobBook
from index.model import EmbeddingInput, PassageEmbedder
from index.permalinks import LinkState
from index.snapshot import CATALOGUE_FILE
from index.store import IndexDir, SnapshotInfo
from index.vector_cache import VectorCache
from ingest.model import Passage
from ingest.withdraw import delete_file, find_in_corpus

_N_PROBES = 3  # passages, the longest, that are looked for in every file afterwards
_BEYOND_REACH = (
    "backups and file system snapshots of the index or corpus folder, and a history that version control keeps",
    "blocks of the disk that the deleted files occupied, until they are written again",
    "copies that readers, other sites, caches or search engines made, and answers that were given already",
    "other index folders built from the same documents",
)


@dataclass(frozen=True, slots=True)
class RemovedSnapshot:
    """
    A snapshot that was deleted.

    `n_passages` of the document, None where its content could not be read, as `problem` says. `other_names` are
    documents in which it held the same words, such as the name that the document had before.
    """

    id: str
    n_passages: int | None
    problem: str = ""
    other_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForgetReceipt:
    """What was removed, where and when; what was checked afterwards, and what is out of reach."""

    document_id: str
    forgotten_at: str  # UTC, ISO 8601
    deleted_file: bool
    live_snapshot: str
    was_rebuilt: bool
    removed_snapshots: tuple[RemovedSnapshot, ...]
    n_passages: int  # different ones, over all snapshots
    n_links: int  # ids of which nothing is kept but that they were withdrawn
    n_vectors: int  # taken out of the cache
    n_job_records: int  # of builds over HTTP, all that had ended: their reports name documents
    checked: tuple[str, ...]
    residues: tuple[str, ...]  # what was found all the same: files and what they hold
    also_in: tuple[str, ...]  # documents of the library that hold some of the same passages
    notes: tuple[str, ...]
    failures: tuple[SourceFailure, ...]  # other documents that the rebuild could not read
    beyond_reach: tuple[str, ...] = _BEYOND_REACH

    @property
    def is_complete(self) -> bool:
        """Tell whether nothing of the document was found afterwards."""
        return not self.residues


def forget_document(
    document_id: str,
    corpus: Path,
    index_dir: Path | IndexDir,
    embedder: Callable[[], PassageEmbedder],
    *,
    with_file: bool = False,
    config: BuildConfig = BuildConfig(),
    on_progress: Progress | None = None,
) -> ForgetReceipt:
    """
    Remove a document from the live snapshot, older ones, the vector cache, the permalinks and the records of builds.

    Holds the writer's lock throughout; services go on serving, and follow to the new snapshot.

    Args:
        embedder: called when a rebuild is needed; it is, unless the live snapshot is free of the document already.
        with_file: delete the document's file from the corpus first.
        config: of the rebuild.

    Raises:
        DocumentStillThere: its file is in the corpus. DocumentUnknown: nothing holds it.
        WriterBusy, StorageFailed, CorpusMissing, BuildRefused, ...: as `build_index`; running it again goes on.
    """
    store = index_dir if isinstance(index_dir, IndexDir) else IndexDir(index_dir)
    jobs = JobBook(store.path)
    with store.lock():
        survey = _Survey.of(store, document_id)
        trace = find_in_corpus(corpus, document_id)
        if trace.file is None and not survey.is_known and not jobs.mentions(document_id):
            raise DocumentUnknown(
                "neither the corpus nor any snapshot has a document of that id",
                where=document_id,
                fix="name it as GET /v1/documents and the citations do: its path in the corpus folder",
            )
        if trace.file is not None:
            _delete_or_refuse(trace.file, document_id, with_file=with_file)
        cached = _read_cached(store, survey)  # a rebuild prunes the cache by itself
        report = _rebuild(survey, corpus, embedder, config, on_progress) if survey.needs_rebuild else None
        kept, cache_notes = _purge_cache(store)
        live = str(store.current_id())
        past = read_past(next(info for info in store.list_snapshots() if info.id == live))
        n_job_records = jobs.clear()
        removed = _drop(store, survey, live, past)
        notes = [*cache_notes, *(f"an interrupted run had left {name}" for name in survey.leftovers)]
        if trace.has_table:
            notes.append(f'library.toml still has a table documents."{document_id}": take it out')
        if report is not None and survey.was_rolled_back:
            notes.append("an older snapshot had been rolled back to; the rebuild took the corpus as it is now")
        residues, checked = _check(store, jobs, survey, past)
        return ForgetReceipt(
            document_id=document_id,
            forgotten_at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            deleted_file=trace.file is not None,
            live_snapshot=live,
            was_rebuilt=report is not None,
            removed_snapshots=removed,
            n_passages=len(survey.passages),
            n_links=sum(i in past.links for i in survey.passages),
            n_vectors=sum(n for key, n in cached.items() if key not in kept),
            n_job_records=n_job_records,
            checked=checked,
            residues=residues,
            also_in=_also_in(survey, past),
            notes=tuple(notes),
            failures=report.failures if report else (),
        )


@dataclass(frozen=True, slots=True)
class _Holder:
    """A snapshot that holds the document, or may: `past` is None where its content can't be read."""

    info: SnapshotInfo
    past: Past | None
    n_passages: int | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Survey:
    """What the index folder has of a document before anything is removed."""

    store: IndexDir
    document_id: str
    holders: tuple[_Holder, ...]
    passages: dict[str, Passage]  # of all snapshots that could be read
    keys: frozenset[str]  # of their vectors
    fingerprints: frozenset[str]
    digests: frozenset[bytes]  # of their words
    needs_rebuild: bool
    was_rolled_back: bool
    leftovers: tuple[str, ...]

    @property
    def is_known(self) -> bool:
        """Tell whether anything is there to be removed, be it the rest of an interrupted run."""
        return bool(self.leftovers) or any(holder.past is not None for holder in self.holders)

    @classmethod
    def of(cls, store: IndexDir, document_id: str) -> _Survey:
        """Look into every snapshot. Raises StorageFailed."""
        infos = store.list_snapshots()
        holders = tuple(holder for info in infos if (holder := _examine(info, document_id)))
        passages: dict[str, Passage] = {}
        for holder in holders:
            passages |= {p.id: p for p in _read_passages(holder, document_id)}
        live = next((info for info in infos if info.is_current), None)
        is_newest = live is not None and live.sequence == max(info.sequence for info in infos)
        return cls(
            store=store,
            document_id=document_id,
            holders=holders,
            passages=passages,
            keys=frozenset(_key(passage) for passage in passages.values()),
            digests=frozenset(d for holder in holders for d in _digests(holder, passages)),
            fingerprints=frozenset(h.info.manifest.model.fingerprint for h in holders if h.info.manifest),
            needs_rebuild=not (is_newest and live is not None and _is_clean(live, holders, passages)),
            was_rolled_back=live is not None and not is_newest,
            leftovers=tuple(path.name for path in store.leftovers()),
        )


def _examine(info: SnapshotInfo, document_id: str) -> _Holder | None:
    """Return a snapshot that holds anything of the document, or can't be read; None for the others."""
    if info.manifest is None:
        return _Holder(info, None, None, info.problem)
    try:
        _, found = sha256_file(info.path / CATALOGUE_FILE)
        if found != info.manifest.files[CATALOGUE_FILE].sha256:
            return _Holder(info, None, None, "its catalogue is not as it was sealed")
        past = read_past(info)
    except (OSError, KeyError, IndexFault) as error:
        return _Holder(info, None, None, f"it can't be read: {error}")
    number = past.words.numbers.get(document_id)
    n_passages = 0 if number is None else len(past.words.ids_by_document.get(number, []))
    is_named = any(failure.get("path") == document_id for failure in info.manifest.report.get("failures", []))
    return _Holder(info, past, n_passages) if number is not None or is_named else None


def _read_passages(holder: _Holder, document_id: str) -> list[Passage]:
    if holder.past is None or not holder.n_passages:
        return []
    with closing(Catalogue.open(holder.info.path / CATALOGUE_FILE, text_cache_bytes=0)) as catalogue:
        return [stored.passage for stored in catalogue.passages_of(document_id)]


def _digests(holder: _Holder, passages: Iterable[str]) -> set[bytes]:
    known = {} if holder.past is None else holder.past.words.passages
    return {known[passage_id].digest for passage_id in passages if passage_id in known}


def _is_clean(live: SnapshotInfo, holders: Sequence[_Holder], passages: dict[str, Passage]) -> bool:
    """Tell whether the live snapshot knows of the document's passages that they were withdrawn, and no more."""
    if any(holder.info.is_current for holder in holders):
        return False
    links = read_past(live).links
    return all(
        (link := links.get(passage_id)) is not None and link.state is LinkState.WITHDRAWN and link.same_words_as is None
        for passage_id in passages
    )


def _key(passage: Passage) -> str:
    sentences = tuple((start - passage.start, end - passage.start) for start, end in passage.sentences)
    return cache_key(EmbeddingInput(passage.embedding_prefix, passage.text, sentences))


def _delete_or_refuse(location: Path, document_id: str, *, with_file: bool) -> None:
    if not with_file:
        raise DocumentStillThere(
            "its file is still in the corpus folder, and the next build would bring it back",
            where=str(location),
            fix="delete the file and run this again, or say --delete-file",
        )
    delete_file(location, document_id)


def _rebuild(
    survey: _Survey,
    corpus: Path,
    embedder: Callable[[], PassageEmbedder],
    config: BuildConfig,
    on_progress: Progress | None,
) -> BuildReport:
    # All that is there stays until `_drop`: it may be what the next run of a killed one goes by.
    keeping = replace(config, forgotten=frozenset({survey.document_id}), keep_snapshots=1_000_000)
    return build_index(corpus, survey.store, embedder(), keeping, on_progress)


def _read_cached(store: IndexDir, survey: _Survey) -> dict[str, int]:
    """Return how many vectors the cache has of each of the document's passages, by key."""
    if not store.vectors_path.exists():
        return {}
    with VectorCache.open(store.vectors_path) as cache:
        found = [cache.get_many(fingerprint, sorted(survey.keys)) for fingerprint in survey.fingerprints]
    return {key: 1 + len(vectors.evidence) for vectors_by_key in found for key, vectors in vectors_by_key.items()}


def _purge_cache(store: IndexDir) -> tuple[frozenset[str], tuple[str, ...]]:
    """Take every vector out of the cache that is not of the live snapshot; returns the keys kept, and warnings."""
    if not store.vectors_path.exists():
        return frozenset(), ()
    live = next(info for info in store.list_snapshots() if info.is_current)
    if live.manifest is None:
        raise SnapshotCorrupt(live.problem, where=str(live.path), fix="build again: citewell build")
    with closing(Catalogue.open(live.path / CATALOGUE_FILE, text_cache_bytes=0)) as catalogue:
        kept = frozenset(
            _key(stored.passage)
            for document in catalogue.iter_documents()
            for stored in catalogue.passages_of(document.id)
        )
    with VectorCache.open(store.vectors_path) as cache:
        cache.keep_only(live.manifest.model.fingerprint, kept)
        cache.vacuum()
        return kept, tuple(cache.warnings)


def _drop(store: IndexDir, survey: _Survey, live: str, past: Past) -> tuple[RemovedSnapshot, ...]:
    by_name = {h.info.id: RemovedSnapshot(h.info.id, h.n_passages, h.problem) for h in survey.holders}
    by_name.pop(live, None)
    gone = survey.digests - past.words.ids_by_digest.keys()
    by_words = [
        found
        for info in store.list_snapshots()
        if info.id != live and info.id not in by_name and (found := _examine_words(info, gone))
    ]
    # Those that hold it by name go last: a run after a crash finds the others through them.
    removed = (*by_words, *by_name.values())
    store.drop(snapshot.id for snapshot in removed)
    return removed


def _examine_words(info: SnapshotInfo, digests: Set[bytes]) -> RemovedSnapshot | None:
    """Return a snapshot that holds words of the document under another name, be it from before a rename."""
    words = read_past(info).words
    found = [place for place in words.passages.values() if place.digest in digests]
    names = sorted({words.documents[place.document] for place in found})
    return RemovedSnapshot(info.id, len(found), other_names=tuple(names)) if found else None


def _also_in(survey: _Survey, past: Past) -> tuple[str, ...]:
    numbers = {place.document for place in past.words.passages.values() if place.digest in survey.digests}
    return tuple(past.words.documents[number] for number in sorted(numbers))


def _check(store: IndexDir, jobs: JobBook, survey: _Survey, live: Past) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Look again at everything that is left; returns what was found, and what was checked."""
    again = _Survey.of(store, survey.document_id)
    residues = [f"snapshot {holder.info.id} holds it or can't be read" for holder in again.holders]
    residues += [f"{name} was not deleted" for name in (*again.leftovers, *store.engine_leftovers())]
    residues += ["the record of a build names it"] if jobs.mentions(survey.document_id) else []
    with storage_errors(store.path):
        residues += list(_find_words(store.path, list(_probes(survey, live))))
    checked = (
        f"{len(store.list_snapshots())} snapshots are left: none has the document, its passages or its path",
        "its ids lead to “withdrawn” and to nothing else",
        "the vector cache holds the vectors of the live snapshot and no others; its file was rewritten",
        "no file of the index folder holds one of its longest passages, byte for byte (UTF-8, UTF-16)",
        "no record of a build names it",
        "nothing is left of interrupted builds, in the folder or in the engine",
    )
    return tuple(residues), checked


def _probes(survey: _Survey, live: Past) -> Iterator[str]:
    """Yield passages, the longest, that no other document of the library holds."""
    texts = [live.words.text_of(number) for number in range(len(live.words.documents))]
    n_found = 0
    for passage in sorted(survey.passages.values(), key=lambda p: (-len(p.text), p.id)):
        if n_found == _N_PROBES:
            return
        if not any(passage.text in text for text in texts):
            n_found += 1
            yield passage.text


def _find_words(folder: Path, probes: Sequence[str]) -> Iterator[str]:
    needles = [probe.encode(encoding) for probe in probes for encoding in ("utf-8", "utf-16-le", "utf-16-be")]
    for name in list_files(folder):
        path = folder / name
        if not path.stat().st_size:
            continue
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if any(content.find(needle) >= 0 for needle in needles):
                yield f"{name} holds words of it"
