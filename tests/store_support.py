"""An index folder under a clock that stands still, and small snapshots to publish in it."""

from datetime import UTC, datetime

from index.manifest import Counts, Manifest, ModelIdentity
from index.store import IndexDir, Staging

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


class Clock:
    """A clock that stands still until told."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now


def manifest(corpus: str = "0") -> Manifest:
    """Return a manifest of an empty snapshot."""
    return Manifest(
        counts=Counts(documents=0, passages=0, sentences=0),
        split={},
        fusion={},
        model=ModelIdentity(name="m", fingerprint="f", dimension=8),
        corpus_sha256=corpus * 64,
    )


def fill(staging: Staging, content: str = "x") -> None:
    """Write some files."""
    (staging.path / "lexical").mkdir()
    (staging.path / "lexical" / "meta.json").write_text(content)
    (staging.path / "dense.faiss").write_text(content)


def publish(index_dir: IndexDir, content: str = "x") -> str:
    """Publish a small snapshot and return its id."""
    with index_dir.writing() as staging:
        fill(staging, content)
        index_dir.seal(staging, manifest())
        return index_dir.publish(staging)


def hidden(index_dir: IndexDir) -> list[str]:
    """Return what a writer left behind."""
    return [p.name for p in index_dir.path.rglob(".*") if not p.name.startswith(".tantivy")]
