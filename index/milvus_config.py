"""Which index Milvus makes over the passages' vectors, and how hard it looks. Values alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FLAT = "FLAT"
# FLAT scores every passage, exactly; the others propose, and what they propose is scored exactly.
INDEX_KINDS = (FLAT, "HNSW", "IVF_SQ8")
_MOST_LISTS = 65_536
# Links of a graph's node and its queue while it is built.
_LINKS, _BUILD_QUEUE = 32, 200
# What is tried in turn until enough is found: lengths of a graph's queue, which must hold what is fetched, and numbers
# of lists. Milvus refuses more than all lists, so the last number is theirs.
_QUEUES = (512, 1_024, 2_048, 4_096)
_LOOKED_AT = (32, 64, 128, 256, 512, 1_024)
# A tenth of the exact search's work would be nprobe = lists / 10; Milvus's own advice is 4 sqrt(n) lists.
_LISTS_PER_ROOT = 4


def parameters_for(kind: str, n: int) -> dict[str, Any]:
    """Return pymilvus's parameters of the index over n vectors."""
    if kind == "HNSW":
        return {"index_type": kind, "metric_type": "IP", "params": {"M": _LINKS, "efConstruction": _BUILD_QUEUE}}
    if kind == "IVF_SQ8":
        return {"index_type": kind, "metric_type": "IP", "params": {"nlist": _lists(n)}}
    return {"index_type": FLAT, "metric_type": "IP"}


def efforts_for(kind: str, n: int) -> tuple[int, ...]:
    """Return the efforts to try, ascending; none for FLAT."""
    if kind == "HNSW":
        return _QUEUES
    if kind == "IVF_SQ8":
        return (*(effort for effort in _LOOKED_AT if effort < _lists(n)), _lists(n))
    return ()


def search_parameters(kind: str, effort: int) -> Mapping[str, int]:
    """Return the parameters of a search."""
    return {"HNSW": {"ef": effort}, "IVF_SQ8": {"nprobe": effort}}.get(kind, {})


def _lists(n: int) -> int:
    return max(1, min(_MOST_LISTS, int(_LISTS_PER_ROOT * n**0.5), n))
