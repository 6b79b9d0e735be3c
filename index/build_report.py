"""
What a build did, or would do. Values alone, and the part of them that is sealed into the snapshot.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from index.changes import Changes
from index.dense_config import DenseChoice
from ingest.errors import SourceError

# A first build adds thousands; the manifest is read often and stays small.
_MOST_PATHS = 200


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
    model_s: float = 0.0  # in which the model ran; reading and splitting go on meanwhile
    peak_memory_bytes: int = 0
    previous_id: str = ""  # the snapshot that was live before, "" for the first one
    changes: Changes = Changes()  # against it
    n_read: int = 0  # documents whose file was read; the others were taken over as they were
    dense: DenseChoice = DenseChoice()  # how the nearest passages are found

    @property
    def model_share(self) -> float:
        """Return the share of the build's time in which the model ran, 0 to 1."""
        return min(1.0, self.model_s / total) if (total := sum(self.seconds.values())) else 0.0


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What a build would do now. Nothing was written."""

    previous_id: str
    changes: Changes
    failures: tuple[SourceFailure, ...]
    warnings: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...]
    n_documents: int
    n_passages: int
    n_to_embed: int  # passages without cached vectors; equal ones count once
    n_reused: int
    n_read: int
    seconds: dict[str, float] = field(default_factory=dict)


def failure_of(error: SourceError) -> SourceFailure:
    """Return an error about one file as it stands in a report."""
    return SourceFailure(error.where, error.code, error.what, error.fix)


def sealed_report(
    previous_id: str,
    changes: Changes,
    failures: Sequence[SourceFailure],
    *,
    n_warnings: int,
    n_embedded: int,
    n_reused: int,
    seconds: dict[str, float],
) -> dict[str, Any]:
    """
    Return what the snapshot itself keeps of its making.

    Names of documents that are not in it any more are left out: a withdrawn document leaves no trace. Of the others
    the first 200 of each kind are named. `seconds` end with the phase before sealing.
    """
    return {
        "previous_id": previous_id,
        "n_added": len(changes.added),
        "n_changed": len(changes.changed),
        "n_moved": len(changes.moved),
        "n_removed": len(changes.removed),
        "n_unchanged": changes.n_unchanged,
        "n_embedded": n_embedded,
        "n_reused": n_reused,
        "added": list(changes.added[:_MOST_PATHS]),
        "changed": list(changes.changed[:_MOST_PATHS]),
        "moved": [new for _, new in changes.moved[:_MOST_PATHS]],
        "failures": [asdict(failure) for failure in failures],
        "n_warnings": n_warnings,
        "seconds": {phase: round(value, 3) for phase, value in seconds.items()},
    }


def peak_memory_bytes() -> int:
    """Return the most memory that this process has held so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
