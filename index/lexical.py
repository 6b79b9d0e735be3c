"""The lexical index: BM25 over stemmed words. The only module that imports tantivy; knows no vectors."""

from __future__ import annotations

import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import tantivy

from index.errors import SnapshotCorrupt
from index.files import storage_errors, storage_failed
from index.model import Float32, Int64, Mask

# Weights 2, 3, 4 and 6 for title and headings were tried with every fusion in `tests/quality/tune_ranking.py`: hit@1 on
# the NIH questions .726, .750, .764 and .779, no change on the articles. 6 would lean on headings that name an aspect
# in one word, as these documents have them and most do not.
FIELD_WEIGHTS = {"title": 4.0, "headings": 4.0, "text": 1.0}
_ANY = "any"  # all three together, for document frequencies; never scored
_ORDINAL = "ordinal"
_TOKENIZER = "citewell_english"
_LONGEST_TERM_BYTES = 64
# Tantivy starts a new segment when this is full; it takes only what it needs, 1.2 kB per passage was measured.
# Just under 4 GiB, the most it accepts, holds more than three million passages in one segment.
_HEAP_BYTES = 4_000_000_000

# English function words, also what is left of them after the apostrophe is cut off. "no", "not" and "without" stay:
# they are rare enough in passages to tell something.
STOP_WORDS = frozenset(
    """
    a about am an and any are as at be because been being but by can could d did do does doing don for from had has
    have having he her here hers herself him himself his how i if in into is isn it its itself just ll m may me might
    must my myself of on or our ours ourselves re s shall she should so some such t than that the their theirs them
    themselves then there these they this those through to too ve very was wasn we were weren what when where which
    while who whom whose why will with won would wouldn you your yours yourself yourselves
    """.split()  # noqa: SIM905 - a hundred quoted words would fill the screen
)
# Characters that stand inside words without being part of them: soft hyphen, zero-width characters.
_INVISIBLE = dict.fromkeys((0x00AD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))


@dataclass(frozen=True, slots=True)
class LexicalRow:
    """One passage as it is indexed; `headings` is the heading path joined by spaces."""

    ordinal: int
    title: str
    headings: str
    text: str


def analyze(text: str) -> list[str]:
    """
    Return the index terms of a text, in order, with repeats.

    Words are split at everything that is no letter or digit, folded to lower-case ASCII where there is such a form,
    and stemmed (Snowball English); stop words and words over 64 bytes are dropped. Any string is accepted.
    """
    terms: list[str] = _analyzer().analyze(_clean(text))
    return terms


def write_lexical(folder: Path, rows: Iterable[LexicalRow], heap_bytes: int = _HEAP_BYTES) -> None:
    """
    Write the index into a folder, which is made when missing. One segment, unless `heap_bytes` does not suffice.

    Raises:
        StorageFailed: the disk is full or failing.
    """
    with storage_errors(folder):
        folder.mkdir(exist_ok=True)
    with _write_errors(folder):
        index = tantivy.Index(_schema(), path=str(folder), reuse=False)
        index.register_tokenizer(_TOKENIZER, _analyzer())
        # One thread keeps the documents in the order of their ordinals.
        writer = index.writer(heap_size=heap_bytes, num_threads=1)
    for row in rows:
        document = _document(row)
        with _write_errors(folder):
            writer.add_document(document)
    with _write_errors(folder):
        writer.commit()
        writer.wait_merging_threads()


class LexicalIndex:
    """BM25 search over what `write_lexical` wrote. Safe to use from many threads."""

    def __init__(self, searcher: Any, schema: Any) -> None:
        self._searcher = searcher
        self._schema = schema
        self.n = int(searcher.num_docs)
        self._is_one_segment = searcher.num_segments <= 1

    @classmethod
    def open(cls, folder: Path) -> LexicalIndex:
        """
        Open for reading; the folder may lie on a read-only file system.

        Raises:
            SnapshotCorrupt: there is no such index, or it is damaged.
        """
        try:
            try:
                return cls(*_open_searcher(folder))
            except ValueError as error:
                if "Lockfile" not in str(error):
                    raise
                # Tantivy locks even for reading. Links in a temporary folder give it a place for the lock; the
                # index files are mapped by the time the folder goes.
                with tempfile.TemporaryDirectory(prefix="citewell-") as links:
                    for file in folder.iterdir():
                        if file.suffix != ".lock":
                            (Path(links) / file.name).symlink_to(file.resolve())
                    return cls(*_open_searcher(Path(links)))
        except (ValueError, OSError) as error:
            raise SnapshotCorrupt(
                f"the lexical index can't be opened: {error}",
                where=str(folder),
                fix="roll back to an older snapshot or build again",
            ) from error

    def analyze(self, text: str) -> list[str]:
        """Return the index terms of a text: `analyze` of this module."""
        return analyze(text)

    def search(self, text: str, depth: int, allowed: Mask | None = None) -> tuple[Int64, Float32]:
        """
        Return the passages that hold any term of the text, BM25 score descending, ties by ordinal ascending.

        Args:
            text: any string; nothing in it is syntax. A term that occurs twice counts twice.
            depth: most hits to return.
            allowed: `bool[n]`; rows that are False are not found. The best `depth` of the others are, exactly.

        Returns:
            `(int64[k], float32[k])`, scores > 0, the weighted sum over the fields.

        Source: Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009; tantivy's k1 = 1.2, b = 0.75.
        """
        return self.search_terms(Counter(analyze(text)), depth, allowed)

    def search_terms(
        self, weights: Mapping[str, float], depth: int, allowed: Mask | None = None
    ) -> tuple[Int64, Float32]:
        """Return what `search` does, for terms as `analyze` gives them, each with the weight (> 0) of its score."""
        query = self._query(weights)
        depth = min(depth, self.n)
        if query is None or depth < 1:
            return _no_hits()
        fetch = depth
        if allowed is not None:
            if allowed.shape != (self.n,) or allowed.dtype != np.bool_:
                raise ValueError(f"allowed must be bool[{self.n}], got {allowed.dtype}{list(allowed.shape)}")
            n_allowed = int(np.count_nonzero(allowed))
            if not n_allowed:
                return _no_hits()
            # Either tantivy checks each hit against the allowed ones, or enough hits are fetched to drop the others;
            # a fetched hit and an allowed row cost about the same, 0.4 us.
            fetch = min(int(depth * self.n / n_allowed * 1.5) + 1, self.n)
            if n_allowed <= fetch:
                query = self._restrict(query, np.flatnonzero(allowed).tolist())
                allowed, fetch = None, depth
        while True:
            ordinals, scores, is_all = self._fetch(query, fetch)
            if allowed is not None:
                kept = allowed[ordinals]
                ordinals, scores = ordinals[kept], scores[kept]
            if len(ordinals) >= depth or is_all:
                return ordinals[:depth], scores[:depth]
            fetch = min(fetch * 4, self.n)

    def document_frequency(self, terms: Sequence[str]) -> list[int]:
        """Return for each term, as `analyze` gives them, how many passages hold it in text, title or headings."""
        return [int(self._searcher.doc_freq(_ANY, _encodable(term))) for term in terms]

    @cached_property
    def vocabulary(self) -> Mapping[str, int]:
        """Return every term of the index with the number of passages that hold it; 10 ms for 20,000 terms, once."""
        return MappingProxyType(dict(self._searcher.terms_with_prefix(_ANY, "")))

    def ordinals(self) -> Int64:
        """Return the ordinals of all passages, ascending: `arange(n)` in a sound index."""
        return np.sort(self._fetch(tantivy.Query.all_query(), max(self.n, 1))[0])

    def close(self) -> None:
        """Let go of the files; nothing may be asked afterwards."""
        self._searcher = None

    def _query(self, weights: Mapping[str, float]) -> Any | None:
        clauses = []
        for term, times in weights.items():
            for field, weight in FIELD_WEIGHTS.items():
                clause = tantivy.Query.term_query(self._schema, field, term, index_option="freq")
                boosted = tantivy.Query.boost_query(clause, weight * times)
                clauses.append((tantivy.Occur.Should, boosted))
        return tantivy.Query.boolean_query(clauses) if clauses else None

    def _restrict(self, query: Any, ordinals: list[int]) -> Any:
        members = tantivy.Query.term_set_query(self._schema, _ORDINAL, ordinals)
        # The filter adds exactly nothing to a score.
        filter_query = tantivy.Query.const_score_query(members, 0.0)
        return tantivy.Query.boolean_query([(tantivy.Occur.Must, query), (tantivy.Occur.Must, filter_query)])

    def _fetch(self, query: Any, limit: int) -> tuple[Int64, Float32, bool]:
        """Return ordinals and scores in order, and whether these are all hits there are."""
        hits = self._searcher.search(query, limit, count=False).hits
        addresses = [address for _, address in hits]
        values = self._searcher.fast_field_values(_ORDINAL, addresses)
        ordinals = np.asarray(values, dtype=np.int64)
        scores = np.asarray([score for score, _ in hits], dtype=np.float32)
        is_all = len(hits) < limit or limit >= self.n
        if not self._is_one_segment:
            # Within a segment ties come in the order of ordinals, across segments they do not: a group of ties that
            # may be cut off is left out, and comes whole with the next, larger fetch.
            if not is_all:
                whole = scores > scores[-1]
                ordinals, scores = ordinals[whole], scores[whole]
            order = np.lexsort((ordinals, -scores))
            ordinals, scores = ordinals[order], scores[order]
        return ordinals, scores, is_all


def _no_hits() -> tuple[Int64, Float32]:
    return np.empty(0, np.int64), np.empty(0, np.float32)


def _encodable(text: str) -> str:
    # A question may hold lone surrogates (JSON can spell them); tantivy takes UTF-8 alone.
    return text.encode("utf-8", "ignore").decode("utf-8")


def _clean(text: str) -> str:
    if text.isascii():
        return text  # nothing below changes it, and most text is
    # Decomposed accents would cut words in two, as a combining mark is no letter to the tokenizer.
    return unicodedata.normalize("NFKC", _encodable(text).translate(_INVISIBLE))


@cache
def _analyzer() -> Any:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for step in (
        tantivy.Filter.remove_long(_LONGEST_TERM_BYTES),
        tantivy.Filter.lowercase(),
        tantivy.Filter.ascii_fold(),
        tantivy.Filter.custom_stopword(sorted(STOP_WORDS)),
        tantivy.Filter.stemmer("english"),
    ):
        builder = builder.filter(step)
    return builder.build()


@cache
def _schema() -> Any:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field(_ORDINAL, fast=True, indexed=True)
    for field in FIELD_WEIGHTS:
        builder.add_text_field(field, tokenizer_name=_TOKENIZER, index_option="freq")
    builder.add_text_field(_ANY, tokenizer_name=_TOKENIZER, index_option="basic")
    return builder.build()


def _document(row: LexicalRow) -> Any:
    document = tantivy.Document()
    # Document(ordinal=0) would store a signed value and kill the writer's thread.
    document.add_unsigned(_ORDINAL, row.ordinal)
    parts = {"title": _clean(row.title), "headings": _clean(row.headings), "text": _clean(row.text)}
    for field, text in parts.items():
        document.add_text(field, text)
    document.add_text(_ANY, "\n".join(parts.values()))
    return document


def _open_searcher(folder: Path) -> tuple[Any, Any]:
    index = tantivy.Index.open(str(folder))
    # Tokenizers are not part of the files. Without "manual" tantivy would watch the folder from a thread.
    index.register_tokenizer(_TOKENIZER, _analyzer())
    index.config_reader(reload_policy="manual")
    return index.searcher(), index.schema


@contextmanager
def _write_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, RuntimeError, OSError) as error:
        raise storage_failed(folder, f"the lexical index: {error}", getattr(error, "errno", None)) from error
