"""
What may be wished for the dense index, and what came of it. Values alone; knows neither FAISS nor vectors.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field

from index.manifest import DenseSearch

DENSE_FILE = "dense.faiss"
CANDIDATES_FILE = "candidates.faiss"
AUTO, EXACT = "auto", "exact"
# Up to so many rows exact search is fast enough: see ARCHITECTURE, "Vectors".
EXACT_ROWS = 30_000
# Up to so many rows "auto" scans the codes of every one. Beyond, the codes leave the processor's caches, and each
# process holds its own.
SCANNED_ROWS = 400_000

_FACTORY = re.compile(
    r"(?:IVF(?P<lists>[1-9][0-9]{0,5})|HNSW(?P<links>[1-9][0-9]{0,2})),(?:Flat|SQ[468]|SQ(?:fp|bf)16)"
    r"|PQ(?P<parts>[1-9][0-9]{0,3})x4fs"
)
_MOST_LISTS, _LEAST_LINKS, _MOST_LINKS = 65_536, 4, 128
EXAMPLES = '"auto", "exact", or what FAISS calls a factory string, such as "PQ192x4fs", "IVF256,SQ8" or "HNSW32,SQ8"'


@dataclass(frozen=True, slots=True)
class DenseConfig:
    """
    How to choose.

    Args:
        index: "auto", "exact", or the factory string of the quantised index.
        exact_up_to: passages up to which "auto" takes no quantised index.
        recall_floor: the least recall at 10 and at 200 that a quantised index must reach on the measured searches. At
            .98 measured on passages, the 987 questions of the medquad set have .96 and .98, and the same hit@1.
        questions: real ones to measure with; without them passages' own vectors are moved by noise. Kept nowhere.
    """

    index: str = AUTO
    exact_up_to: int = EXACT_ROWS
    recall_floor: float = 0.98
    questions: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        """Raise ValueError: an index that there is not, or a floor that is no share."""
        parse_dense_index(self.index)
        if not 0.0 < self.recall_floor <= 1.0:
            raise ValueError(f"recall_floor must lie in (0, 1], got {self.recall_floor}")


@dataclass(frozen=True, slots=True)
class DenseChoice:
    """
    How the nearest passages are found.

    `index` is "exact" or a factory string, `effort` how many rows are proposed, nprobe or efSearch. The recalls,
    against exact search, were measured on `n_measured` "questions" or "passages". `note` says why a wish was not
    followed.
    """

    index: str = EXACT
    effort: int = 0
    recall_at_10: float = 1.0
    recall_at_200: float = 1.0
    n_measured: int = 0
    measured_on: str = ""
    note: str = ""

    def sealed(self) -> DenseSearch:
        """Return what the manifest keeps of it."""
        return DenseSearch(**{name: value for name, value in asdict(self).items() if name != "note"}, vectors="float16")


def describe_dense(search: DenseSearch) -> str:
    """Return in a few words how the nearest passages are found: "IVF256,SQ8 at 96, recall@10 .991, @200 .985"."""
    if search.is_exact:
        return EXACT
    return (
        f"{search.index} at {search.effort}, recall@10 {search.recall_at_10:.3f}, @200 {search.recall_at_200:.3f} "
        f"on {search.n_measured} {search.measured_on}"
    )


def parse_dense_index(text: str) -> str:
    """
    Return the name of an index as it was given.

    Every name that passes is known to FAISS, finds inner products and can be tuned: nothing fails half-way through a
    build.

    Raises:
        ValueError: there is no such index; says which there are.
    """
    if text in (AUTO, EXACT):
        return text
    found = _FACTORY.fullmatch(text)
    lists, links, parts = (int(found[name] or 0) for name in ("lists", "links", "parts")) if found else (0, 0, 0)
    if 0 < lists <= _MOST_LISTS or _LEAST_LINKS <= links <= _MOST_LINKS or parts:
        return text
    graphs = f"HNSW{_LEAST_LINKS} to HNSW{_MOST_LINKS}"
    codes = "Flat, SQ4, SQ6, SQ8, SQfp16 or SQbf16"
    raise ValueError(f"{EXAMPLES} (IVF1 to IVF{_MOST_LISTS} or {graphs}, then {codes}; or PQ and x4fs)")


def n_lists_of(factory: str) -> int:
    """Return how many lists a factory string asks for, 0 for a graph."""
    found = _FACTORY.fullmatch(factory)
    return int(found["lists"] or 0) if found else 0


def n_parts_of(factory: str) -> int:
    """Return into how many parts a factory string cuts vectors, 0 where it cuts none."""
    found = _FACTORY.fullmatch(factory)
    return int(found["parts"] or 0) if found else 0
