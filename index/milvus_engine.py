"""
The engine of several machines: a snapshot's passages and vectors in collections of a Milvus server.

A build fills collections under a name of its own; sealing renames them after the snapshot and writes, last, a row that
says what they hold. What has no such row is never opened and is swept by the next build. CURRENT decides which snapshot
is live, whatever the engine; the alias `<base>` follows it for everybody who asks Milvus by itself, and a service holds
collections by their names: an alias that moves between two calls of one question would mix two snapshots.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Collection, Iterator
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np

from index.bm25 import CorpusTerms, lexical_row, read_vocabulary, write_vocabulary
from index.catalogue import Catalogue
from index.catalogue_rows import StoredPassage
from index.dense import DenseIndex
from index.dense_config import CANDIDATES_FILE, DENSE_FILE
from index.engine import MILVUS, Parts
from index.engine_local import LEXICAL_FOLDER, LocalEngine
from index.errors import BuildRefused, CollectionMissing, EngineFault, ModelMismatch, SnapshotCorrupt
from index.evidence_vectors import STARTS_FILE, VECTORS_FILE, EvidenceVectors
from index.files import remove, storage_errors, write_atomically
from index.manifest import Manifest, MilvusCollections
from index.milvus_choice import choose
from index.milvus_client import Column, Connection, MilvusServer
from index.milvus_config import FLAT, parameters_for, search_parameters
from index.milvus_parts import (
    PLACES,
    MilvusDense,
    MilvusEvidence,
    MilvusFinder,
    MilvusWords,
    Place,
    evidence_columns,
    passage_columns,
)
from index.milvus_proof import VectorDigests, prove
from index.milvus_rows import evidence_rows, passage_row

CATALOGUE_FILE = "catalogue.sqlite"
VOCABULARY_FILE = "vocabulary.tsv"
OWNER_FILE = "MILVUS"

_OWNER = re.compile(r"[0-9a-f]{12}")
_PARTS = ("passages", "evidence", "seal")
_SEAL_COLUMNS = (Column("ordinal", "int64"), Column("content", "text"), Column("vector", "vector", 2))
_FLAT = {"index_type": "FLAT", "metric_type": "IP"}
_SPARSE = {"index_type": "SPARSE_INVERTED_INDEX", "metric_type": "IP"}
_SCALAR = {"index_type": "INVERTED"}
_PASSAGES_AT_ONCE = 500
# A call of several megabytes; Milvus takes 64.
_BYTES_AT_ONCE = 6_000_000
_FIX = "build again (citewell build), or go back to an older snapshot (citewell rollback)"


class MilvusEngine:
    """
    An `Engine` over one Milvus server. Snapshots that are in their folder still open from there.

    Args:
        index_dir: holds the name by which this index is known there, in the file MILVUS.
        index: kind of Milvus's index that is wished for over the passages' vectors, one of `INDEX_KINDS`.
    """

    name = MILVUS

    def __init__(self, index_dir: Path, connection: Connection, index: str = FLAT) -> None:
        self._index_dir = index_dir
        self._server = MilvusServer(connection)
        self._index = index
        self._local = LocalEngine()

    @property
    def is_reachable(self) -> bool:
        """Tell whether the server answered when it was last asked."""
        return self._server.is_reachable

    def ping(self) -> None:
        """Ask the server for a sign of life."""
        with suppress(EngineFault):
            self._server.ping()

    def take_over(self, folder: Path) -> MilvusCollections | None:
        """
        Insert everything and delete the local indexes.

        Raises:
            BuildRefused: a passage has more sentences than fit. EngineUnreachable, EngineRefused, EngineMissing.
        """
        base, token = self._base(), secrets.token_hex(4)
        with (
            closing(Catalogue.open(folder / CATALOGUE_FILE, text_cache_bytes=0)) as catalogue,
            closing(DenseIndex.open(folder / DENSE_FILE)) as dense,
            closing(EvidenceVectors.open(folder)) as evidence,
        ):
            terms = CorpusTerms(lexical_row(stored) for stored in iter_passages(catalogue))
            n_rows = evidence.n_rows + dense.n
            place = Place(self._server, f"{base}_staging_{token}", dense.n, n_rows, dense.dimension)
            self._server.create(place.passages, passage_columns(place.dimension))
            self._server.create(place.evidence, evidence_columns(place.dimension))
            digests = self._insert(place, catalogue, dense, evidence, terms)
            choice = choose(self._server, place.passages, dense, self._index)
        write_atomically(folder / VOCABULARY_FILE, write_vocabulary(terms.vocabulary))
        for name in (DENSE_FILE, CANDIDATES_FILE, VECTORS_FILE, STARTS_FILE, LEXICAL_FOLDER):
            with storage_errors(folder / name):
                remove(folder / name)
        return MilvusCollections(
            base=base,
            token=token,
            **asdict(choice),
            rows=n_rows,
            passages_sha256=digests.passages,
            evidence_sha256=digests.evidence,
        )

    def seal(self, manifest: Manifest) -> None:
        """Name the collections after the snapshot, then write down what they hold."""
        part = manifest.milvus
        if part is None:
            return
        name = _name(part.base, manifest.snapshot_id)
        for kind in ("passages", "evidence"):
            self._server.give_name(f"{part.base}_staging_{part.token}_{kind}", f"{name}_{kind}")
            self._server.load(f"{name}_{kind}")
        self._server.create(f"{name}_seal", _SEAL_COLUMNS)
        self._server.insert(f"{name}_seal", [{"ordinal": 0, "content": _content(manifest), "vector": [1.0, 0.0]}])
        self._server.finish(f"{name}_seal", {"vector": _FLAT}, is_waited_for=False)

    def check(self, manifest: Manifest) -> None:
        """Hold the sealing row and the numbers of rows against the manifest."""
        part = manifest.milvus
        if part is None:
            return
        name = _name(part.base, manifest.snapshot_id)
        found, expected = self._read_seal(name), json.loads(_content(manifest))
        if found is None:
            raise SnapshotCorrupt("its collections in Milvus are gone or half-written", where=name, fix=_FIX)
        if found.get("model") != expected["model"]:
            raise ModelMismatch(
                f"the snapshot was built with model {manifest.model.name} ({manifest.model.fingerprint[:12]}), its "
                f"collections in Milvus with {str(found.get('model'))[:12]}",
                where=name,
                fix=_FIX,
            )
        place = self._place(manifest, part)
        try:
            counts = (self._server.count(place.passages), self._server.count(place.evidence))
        except CollectionMissing as error:
            raise place.gone() from error
        if found != expected or counts != (place.n, place.n_rows):
            what = f"its collections in Milvus hold {counts[0]} passages and {counts[1]} vectors of another snapshot"
            if counts != (place.n, place.n_rows):
                what = (
                    f"the manifest says {place.n} passages and {place.n_rows} vectors, Milvus has {counts[0]} and "
                    f"{counts[1]}"
                )
            raise SnapshotCorrupt(what, where=name, fix=_FIX)

    def check_current(self, manifest: Manifest) -> None:
        """Make sure that the alias names no other model's collection; an alias that lags behind is no error."""
        if (part := manifest.milvus) is None:
            return
        target = self._server.alias_target(part.base)
        name = _name(part.base, manifest.snapshot_id)
        if target is None or target == f"{name}_passages":
            return
        seal = self._read_seal(target.removesuffix("_passages"))
        model = "" if seal is None else str(seal.get("model"))
        if model != manifest.model.fingerprint:
            raise ModelMismatch(
                f"the alias {part.base} in Milvus names {target}, of another model ({model[:12] or 'not known'}) than "
                f"the live snapshot's ({manifest.model.fingerprint[:12]})",
                where=manifest.snapshot_id,
                fix=f"lead the alias back: citewell rollback {manifest.snapshot_id}",
            )

    def open_parts(self, folder: Path, manifest: Manifest, catalogue: Catalogue) -> Parts:
        """Open the vocabulary and say where the rest is."""
        part = manifest.milvus
        if part is None:
            return self._local.open_parts(folder, manifest, catalogue)
        self.check(manifest)
        path = folder / VOCABULARY_FILE
        try:
            vocabulary = read_vocabulary(path.read_bytes())
        except (OSError, ValueError) as error:
            raise SnapshotCorrupt("the vocabulary can't be read", where=str(path), fix=_FIX) from error
        place = self._place(manifest, part)
        words = MilvusWords(place, vocabulary)
        finder = MilvusFinder(place, words, search_parameters(part.index, part.effort))
        return Parts(MilvusDense(place), MilvusEvidence(place), words, finder)

    def publish(self, manifest: Manifest) -> None:
        """Let the alias name this snapshot's passages; without the alias where they are not in Milvus."""
        if (part := manifest.milvus) is not None:
            self._server.set_alias(part.base, f"{_name(part.base, manifest.snapshot_id)}_passages")
        elif (base := self._known_base()) and self._server.alias_target(base) is not None:
            self._server.drop_alias(base)

    def drop(self, snapshot_id: str, manifest: Manifest | None) -> None:
        """Delete a snapshot's collections, the sealing row first: what is left of a killed run is half-written."""
        if manifest is not None and manifest.milvus is None:
            return
        base = self._known_base() if manifest is None or manifest.milvus is None else manifest.milvus.base
        if base:
            names = [f"{_name(base, snapshot_id)}_{part}" for part in reversed(_PARTS)]
            self._drop(base, names)

    def sweep(self, snapshot_ids: Collection[str]) -> None:
        """Delete every collection of this index that belongs to no snapshot."""
        if base := self._known_base():
            self._drop(base, self.leftovers(snapshot_ids))

    def leftovers(self, snapshot_ids: Collection[str]) -> list[str]:
        """Return the names of the collections of this index that belong to no snapshot."""
        if not (base := self._known_base()):
            return []
        kept = {f"{_name(base, snapshot_id)}_{part}" for snapshot_id in snapshot_ids for part in _PARTS}
        return [name for name in self._server.names() if name.startswith(f"{base}_") and name not in kept]

    def proof(self, folder: Path, manifest: Manifest, catalogue: Catalogue) -> Iterator[tuple[str, str, str]]:
        """Yield where the collections are not what the catalogue says."""
        if (part := manifest.milvus) is not None:
            yield from prove(self._place(manifest, part), catalogue, part, folder / VOCABULARY_FILE)

    def close(self) -> None:
        """Let go of the connection."""
        self._server.close()

    def _insert(
        self, place: Place, catalogue: Catalogue, dense: DenseIndex, evidence: EvidenceVectors, terms: CorpusTerms
    ) -> VectorDigests:
        digests = VectorDigests()
        at_once = max(1, _BYTES_AT_ONCE // (4 * place.dimension + 200))
        pending: list[dict[str, object]] = []
        for first in range(0, place.n, _PASSAGES_AT_ONCE):
            ordinals = np.arange(first, min(first + _PASSAGES_AT_ONCE, place.n))
            vectors, matrices = dense.vectors(ordinals), evidence.vectors(ordinals)
            rows = []
            for stored, vector, matrix in zip(catalogue.passages(ordinals), vectors, matrices, strict=True):
                if len(matrix) + 1 > PLACES:
                    raise BuildRefused(
                        f"a passage has {len(matrix) - 1} sentences, Milvus is given at most {PLACES - 2}",
                        where=stored.document.id,
                        fix="use the local engine, or take the document out",
                    )
                rows.append(passage_row(stored, vector, terms.weigh(lexical_row(stored))))
                pending += evidence_rows(stored.ordinal, vector, matrix)
                digests.add(stored.passage.text, vector, matrix)
            self._server.insert(place.passages, rows)
            while len(pending) >= at_once:
                self._server.insert(place.evidence, pending[:at_once])
                pending = pending[at_once:]
        if pending:
            self._server.insert(place.evidence, pending)
        self._server.finish(
            place.passages,
            {"vector": parameters_for(self._index, place.n), "terms": _SPARSE},
            welcome={"facets": _SCALAR},
        )
        self._server.finish(place.evidence, {"vector": _FLAT, "ordinal": _SCALAR})
        return digests

    def _read_seal(self, name: str) -> dict[str, object] | None:
        try:
            rows = self._server.query(f"{name}_seal", "ordinal in [0]", ["ordinal", "content"])
            content = json.loads(str(rows[0]["content"])) if rows else None
        except (CollectionMissing, ValueError):
            return None
        return content if isinstance(content, dict) else None

    def _drop(self, base: str, names: Collection[str]) -> None:
        if not names:
            return
        # Milvus deletes nothing that an alias names.
        if self._server.alias_target(base) in names:
            self._server.drop_alias(base)
        for name in names:
            self._server.drop(name)

    def _place(self, manifest: Manifest, part: MilvusCollections) -> Place:
        name = _name(part.base, manifest.snapshot_id)
        return Place(self._server, name, manifest.counts.passages, part.rows, manifest.model.dimension)

    def _known_base(self) -> str:
        """Return the name by which Milvus knows this index, "" when nothing of it was ever there."""
        try:
            owner = (self._index_dir / OWNER_FILE).read_text("ascii").strip()
        except FileNotFoundError:
            return ""
        except (OSError, ValueError) as error:
            raise self._bad_owner() from error
        if not _OWNER.fullmatch(owner):
            raise self._bad_owner()
        return f"citewell_{owner}"

    def _base(self) -> str:
        """Return the name by which Milvus knows this index, made up when there is none: two indexes never share one."""
        if base := self._known_base():
            return base
        path = self._index_dir / OWNER_FILE
        with storage_errors(path):
            write_atomically(path, f"{secrets.token_hex(6)}\n".encode())
        return self._known_base()

    def _bad_owner(self) -> SnapshotCorrupt:
        path = self._index_dir / OWNER_FILE
        what = "it does not hold the name by which Milvus knows this index"
        return SnapshotCorrupt(
            what, where=str(path), fix="take it from a backup, or delete it and drop its collections"
        )


def iter_passages(catalogue: Catalogue) -> Iterator[StoredPassage]:
    """Yield every passage in the order of ordinals."""
    for first in range(0, catalogue.n_passages, _PASSAGES_AT_ONCE):
        yield from catalogue.passages(range(first, min(first + _PASSAGES_AT_ONCE, catalogue.n_passages)))


def _name(base: str, snapshot_id: str) -> str:
    # Milvus takes letters, digits and underscores.
    return f"{base}_{snapshot_id.replace('-', '_')}"


def _content(manifest: Manifest) -> str:
    part = manifest.milvus
    content = {
        "snapshot": manifest.snapshot_id,
        "model": manifest.model.fingerprint,
        "passages": manifest.counts.passages,
        "rows": part.rows if part else 0,
        "passages_sha256": part.passages_sha256 if part else "",
        "evidence_sha256": part.evidence_sha256 if part else "",
    }
    return json.dumps(content, sort_keys=True)
