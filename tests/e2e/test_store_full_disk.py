"""A disk that fills up at any byte of any file."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from index.snapshot import open_snapshot
from index.store import IndexDir
from index.testing import write_tiny_snapshot


def write(folder: Path, part: str, limit: int) -> Any:
    """Write one part in a process whose files may not pass `limit` bytes; returns what it said."""
    script = Path(__file__).with_name("limited_writer.py")
    command = [sys.executable, str(script), str(folder), part, str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("part", "limit"),
    [
        ("dense", 0),
        ("dense", 45),
        ("dense", 500_000),
        ("dense", 640_000),
        ("evidence", 0),
        ("evidence", 100_000),
        ("evidence", 640_100),
        ("lexical", 0),
        ("lexical", 100),
        ("lexical", 20_000),
        ("lexical", 200_000),
        ("catalogue", 0),
        ("catalogue", 5_000),
        ("catalogue", 28_000),
    ],
)
def test_every_part_notices_that_it_was_not_written(tmp_path: Path, part: str, limit: int) -> None:
    """This ensures that each library's failure becomes one storage error that names the place and says what to do."""
    code, where, what, fix = write(tmp_path, part, limit)

    assert code == "storage_failed"
    assert where.startswith(str(tmp_path))
    assert "could not write" in what
    assert "live snapshot is untouched" in fix


@pytest.mark.parametrize("limit", [0, 100, 1_000, 2_000, 2_600, 4_096, 20_000, 32_767])
def test_a_build_on_a_full_disk_leaves_the_old_snapshot(tmp_path: Path, limit: int) -> None:
    """This ensures that readers go on with the old snapshot, nothing half-built stays, and the next build works."""
    index_dir = IndexDir(tmp_path)
    old = write_tiny_snapshot(index_dir)

    code, *_ = write(tmp_path, "snapshot", limit)

    assert code == "storage_failed"
    with open_snapshot(index_dir) as snapshot:
        assert snapshot.id == old
    assert [p.name for p in index_dir.snapshots_path.iterdir()] == [old]
    assert write_tiny_snapshot(index_dir) == index_dir.current_id()


def test_a_limit_that_suffices_is_no_failure(tmp_path: Path) -> None:
    """This ensures that the failures above come from the limit."""
    assert write(tmp_path, "snapshot", 32_768) == "ok"


@pytest.mark.parametrize("limit", [0, 2_000, 20_000, 300_000])
def test_a_cache_on_a_full_disk_is_a_warning(tmp_path: Path, limit: int) -> None:
    """This ensures that the embedding cache never fails a build."""
    assert "the embedding cache" in write(tmp_path, "cache", limit)
