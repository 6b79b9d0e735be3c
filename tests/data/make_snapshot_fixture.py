"""
Write the committed snapshot of the present format: `python tests/data/make_snapshot_fixture.py`.

Run it when FORMAT_VERSION rises, and commit the folder beside the older ones; it refuses to replace one. Later
versions must open every fixture, or refuse it with the documented error (tests/unit/test_index_compat.py).
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from index.manifest import FORMAT_VERSION
from index.store import IndexDir
from index.testing import tiny_document, tiny_documents, tiny_passages, write_tiny_snapshot


def main() -> None:
    """Write tests/data/snapshots/v<FORMAT_VERSION>."""
    target = Path(__file__).parent / "snapshots" / f"v{FORMAT_VERSION}"
    if target.exists():
        sys.exit(f"{target} exists: a format that was committed never changes; raise FORMAT_VERSION")
    with tempfile.TemporaryDirectory() as folder:
        index_dir = IndexDir(Path(folder))
        # Built before, so that there are ids of every state to carry forward.
        earlier = (
            tiny_document(
                "guides/old-name.md", "Clinic", {"Report": ["A clinic opened on Monday. It offers methadone."]}
            ),
            tiny_document("guides/naloxone.md", "Naloxone", {"Use": ["Naloxone reverses an overdose."]}),
            tiny_document("guides/withdrawn.md", "Withdrawn", {"Advice": ["This was wrong and is gone."]}),
        )
        write_tiny_snapshot(index_dir, tuple((document, tiny_passages(document)) for document in earlier))
        shutil.copytree(index_dir.snapshot_path(write_tiny_snapshot(index_dir, tiny_documents())), target)


if __name__ == "__main__":
    main()
