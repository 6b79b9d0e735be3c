"""
What a snapshot is called and known by: its id, its place in the order of publishing. Values alone; changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from index.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Staging:
    """A snapshot being built; write its files into `path`."""

    path: Path


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """One published snapshot. `manifest` is None when it can't be read, `problem` then says why."""

    id: str
    path: Path
    is_current: bool
    manifest: Manifest | None
    problem: str
    size_bytes: int
    is_foreign: bool = False  # of a format that this version can't read

    @property
    def sequence(self) -> int:
        """Return the place in the order of publishing, -1 when unknown."""
        return self.manifest.sequence if self.manifest else -1


def identified(manifest: Manifest, snapshots_path: Path, moment: datetime, last_sequence: int) -> Manifest:
    """Return the manifest with an id that no snapshot of the folder has, and the next sequence number."""
    content = manifest.content_sha256[:8]
    # Two builds of equal content in one second: the later one gets the next second.
    while (snapshots_path / f"{moment:%Y%m%dT%H%M%SZ}-{content}").exists():
        moment += timedelta(seconds=1)
    return manifest.model_copy(
        update={
            "snapshot_id": f"{moment:%Y%m%dT%H%M%SZ}-{content}",
            # The clock may run backwards; the sequence does not.
            "sequence": max(last_sequence + 1, 1),
            "created_at": iso(moment),
        }
    )


def iso(moment: datetime) -> str:
    """Return a moment as ISO 8601, UTC."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
