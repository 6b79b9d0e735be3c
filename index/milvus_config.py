"""Which index Milvus makes over the passages' vectors, and how hard it looks. Values alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# FLAT scores every passage, exactly; the others propose, and the proposed are scored exactly.
INDEX_KINDS = ("FLAT", "HNSW", "IVF_SQ8")
_MOST_LISTS = 65_536
# Links of a graph's node and its queue while it is built; the queue of a search must be as long as what is fetched.
_LINKS, _BUILD_QUEUE, _QUEUE = 32, 200, 1_024
# A quarter of the lists: on 46,000 passages the least that reaches a recall of .98 at 200 locally (ARCHITECTURE).
_LOOKED_AT = 64


def parameters_for(kind: str, n: int) -> dict[str, Any]:
    """Return pymilvus's parameters of the index over n vectors."""
    if kind == "HNSW":
        return {"index_type": kind, "metric_type": "IP", "params": {"M": _LINKS, "efConstruction": _BUILD_QUEUE}}
    if kind == "IVF_SQ8":
        lists = max(1, min(_MOST_LISTS, int(4 * n**0.5), n))
        return {"index_type": kind, "metric_type": "IP", "params": {"nlist": lists}}
    return {"index_type": "FLAT", "metric_type": "IP"}


def effort_for(kind: str) -> Mapping[str, int]:
    """Return the parameters of a search."""
    return {"HNSW": {"ef": _QUEUE}, "IVF_SQ8": {"nprobe": _LOOKED_AT}}.get(kind, {})
