"""
The material of one size on the disk, and who is measured on it. Measures nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from compare_material import (
    Plan,
    iter_vectors,
    read_rows,
    read_texts,
    write_documents,
    write_texts,
    write_vectors,
)
from compare_process import Limits, folder_bytes, working
from compare_quality import Place
from compare_side import Job

from index.snapshot import Snapshot

# Passages that peers are judged with besides: title and headings before the text; the text alone, where the sides did
# not embed it themselves; and Haystack's own splitting, likewise. The quickest to make comes first.
VARIANTS = ("headings", "alone", "own-split")


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents and labelled questions about them; `index` is a finished index, None to build one."""

    name: str
    corpus: Path
    questions: Path
    index: Path | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A side with what it is given: `label` names it in the table."""

    label: str
    side: str
    job: Path
    folder: Path
    texts: Path

    def disk_bytes(self) -> int:
        """Return what answering needs on the disk; of Citewell without the cache of vectors for the next build."""
        names = ("snapshots/**/*", "encoders/**/*") if self.side == "citewell" else ("**/*",)
        return folder_bytes(self.folder, names)


class SizeRun:
    """The material of one size, and the entries that are measured on it."""

    def __init__(
        self, sides: Sequence[str], limits: Limits, corpus: Path, index: Path, folder: Path, size: int, plan: Plan
    ) -> None:
        self._sides, self._limits, self._corpus, self._index = sides, limits, corpus, index
        self._folder, self._size, self._plan = folder, size, plan
        self._texts = folder / "texts"

    def prepare(self, base: Snapshot, *, embeds: bool) -> None:
        """Write what the sides are given."""
        write_texts(self._texts, base, self._plan)
        if self._plan.kind != "perturbed":
            write_documents(self._folder / "documents.jsonl", base, self._plan)
        if embeds:
            self._copy_files()
        if not (embeds and self._plan.kind == "whole"):
            write_vectors(self._texts, self._plan.n_passages, iter_vectors(base, self._plan))

    def entries(self, *, embeds: bool, name: str = "") -> list[Entry]:
        """Return one entry for each side."""
        return [self._entry(side, side, self._texts, embeds=embeds, name=name) for side in self._sides]

    def variants(self, base: Snapshot, wanted: Sequence[str]) -> Iterator[list[Entry]]:
        """Yield the peers with other passages, each group made when it is asked for; VARIANTS says which there are."""
        peers = [side for side in self._sides if side != "citewell"]
        for name in wanted:
            folder = self._folder / name
            if name == "own-split":
                if "haystack" not in peers:
                    continue
                entry = self._entry(f"haystack+{name}", "haystack", folder, embeds=False, name=name)
                with working("haystack", "split", entry.job, self._limits) as worker:
                    worker.read()
                self._embed(folder)
                yield [entry]
                continue
            write_texts(folder, base, self._plan, headed=name == "headings")
            if name == "headings":
                # The same input as Citewell's, so its vectors are the ones that the model makes of it.
                write_vectors(folder, self._plan.n_passages, iter_vectors(base, self._plan))
                yield [self._entry(f"{side}+{name}", side, folder, embeds=False, name=name) for side in peers]
            else:
                self._embed(folder)
                yield [self._entry(side, side, folder, embeds=False, name=name) for side in peers]

    def _entry(self, label: str, side: str, texts: Path, *, embeds: bool, name: str = "") -> Entry:
        folder = self._folder / f"{side}{name}"
        job = Job(
            folder=folder,
            embed=embeds,
            size=self._size,
            texts=texts,
            documents=self._folder / "documents.jsonl",
            corpus=self._folder / "files",
            base=self._index,
        )
        path = self._folder / f"{side}{name}.json"
        job.write(path)
        return Entry(label, side, path, folder, texts)

    def _copy_files(self) -> None:
        """Put the source files of the documents where Citewell builds from."""
        files = self._folder / "files"
        library = self._corpus / "library.toml"
        for name in [document.id for document, _ in self._plan.documents]:
            if not (self._corpus / name).is_file():
                raise SystemExit(f"the index holds {name}, {self._corpus} does not: name an index of these documents")
            (files / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self._corpus / name, files / name)
        if library.exists():
            shutil.copy2(library, files)

    def _embed(self, texts: Path) -> None:
        """Make the vectors of texts once for all peers: the same model, in bfloat16 where the processor has it."""
        from index.embed import SentenceTransformerEmbedder
        from index.embed_corpus import CorpusVectors
        from index.model import EmbeddingInput
        from index.model_files import find_model
        from index.vector_cache import VectorCache

        rows = read_texts(texts)
        with VectorCache.open(self._folder.parent / "peer-vectors.sqlite") as cache:
            vectors = CorpusVectors(SentenceTransformerEmbedder(find_model()), cache)
            inputs = (EmbeddingInput("", text, ()) for text in rows)
            found = (v.passage[None, :] for v in vectors.iter_vectors(inputs))
            write_vectors(texts, len(rows), found)


class Places:
    """Where the passages of a side stand: it names them by row, or by document and offsets."""

    def __init__(self, texts: Path) -> None:
        self._rows = [(row["document"], row["start"], row["end"]) for row in read_rows(texts)]

    def of(self, found: list[list[object]]) -> list[Place]:
        """Return document, start and end of each."""
        return [
            self._rows[int(str(f[0]))] if len(f) == 1 else (str(f[0]), int(str(f[1])), int(str(f[2]))) for f in found
        ]
