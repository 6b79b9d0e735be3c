"""
Memory of a serving process: steady over questions of mixed length, and back to its level after switches.

Short, so that it runs with every test; `tests/bench/bench_serving_memory.py` does the same over 10,000 questions.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Server, build_index, serving

from index.store import IndexDir

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from bench_serving_memory import ask_all, copy_with_two_snapshots, megabytes, mixed_questions, switch

# The first questions fill caches and the allocator's pools; from then on this is how much may be added.
MOST_GROWTH = 0.05


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, IndexDir, list[str]]]:
    """Serve a copy of a small index that has two snapshots."""
    folder = tmp_path_factory.mktemp("memory")
    index_dir, names = copy_with_two_snapshots(build_index(folder), folder / "copy")
    variables = {"CITEWELL_RATE_LIMIT": "off", "CITEWELL_REFRESH_S": "0.05"}
    with serving(index_dir.path, folder / "served", **variables) as server:
        yield server, index_dir, names


def test_questions_leave_memory_as_it_was(
    served: tuple[Server, IndexDir, list[str]], record_property: pytest.RecordProperty
) -> None:
    """This ensures that after 1,000 mixed questions a process needs no more than 5 % more than after 300."""
    server, _, _ = served
    n_failed = ask_all(server, mixed_questions(300))
    before = megabytes(server)
    n_failed += ask_all(server, mixed_questions(700, seed=8))
    after = megabytes(server)

    record_property("megabytes", [round(before), round(after)])
    sys.stdout.write(f"{before:.0f} MB after 300 questions, {after:.0f} MB after 1,000\n")
    assert n_failed == 0
    assert after <= before * (1 + MOST_GROWTH)


def test_switches_leave_memory_as_it_was(
    served: tuple[Server, IndexDir, list[str]], record_property: pytest.RecordProperty
) -> None:
    """This ensures that a snapshot that is no longer used is let go: ten switches add no more than 5 %."""
    server, index_dir, names = served
    sizes = list(switch(server, index_dir, names, 12))
    n_descriptors = len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))

    record_property("megabytes", [round(sizes[2]), round(sizes[-1])])
    sys.stdout.write(f"{sizes[2]:.0f} MB after 3 switches, {sizes[-1]:.0f} MB after {len(sizes)}\n")
    opened = sum(event["event"] == "snapshot_opened" for event in server.events())
    maps = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert opened == 1 + len(sizes)
    assert sizes[-1] <= sizes[2] * (1 + MOST_GROWTH)
    # What is closed is closed: no file of the snapshot before, and no more descriptors than one snapshot needs.
    assert names[0] not in maps or names[1] not in maps
    assert n_descriptors < 60
