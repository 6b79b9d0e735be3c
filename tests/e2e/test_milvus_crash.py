"""Builders that are killed while their collections in Milvus are staged, sealed, published or collected."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from milvus_support import Milvus, running_milvus
from serving import CITEWELL, build_index, environment, serving

from index.errors import SnapshotCorrupt
from index.milvus_client import Connection, MilvusServer
from index.milvus_engine import OWNER_FILE
from index.model import Hit
from index.search import retrieve
from index.snapshot import Snapshot, open_snapshot
from index.store import IndexDir
from index.testing import HashingEmbedder
from index.verify import verify_snapshot

SCRIPT = Path(__file__).with_name("milvus_builder.py")
KILLED = -9


@pytest.fixture(scope="module")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Milvus]:
    """Run a Milvus server on loopback."""
    with running_milvus(tmp_path_factory.mktemp("milvus")) as server:
        yield server


class Builder:
    """A process that forks one builder after another, each for the same library and index."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.corpus, self.index_path = folder / "corpus", folder / "index"
        self._process = process

    def build(self, fatal: int = 0, moment: str = "end") -> tuple[int, list[str]]:
        """Build once, to the end or to a call; return the exit code and the calls that changed something."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{fatal} {moment}\n")
        self._process.stdin.flush()
        exit_code, calls = json.loads(self._process.stdout.readline())
        return exit_code, calls

    def change(self, word: str) -> None:
        """Change one document, so that no two snapshots say the same."""
        (self.corpus / "changes.md").write_text(f"# Change\n\nIn {word} naloxone reverses an overdose.\n")


@contextmanager
def builder(folder: Path, milvus: Milvus) -> Iterator[Builder]:
    """Run the program that forks builders."""
    (folder / "corpus").mkdir(parents=True)
    for number in range(9):
        (folder / "corpus" / f"{number}.md").write_text(f"# Day {number}\n\nWithdrawal begins within {number} days.\n")
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder / "corpus"), str(folder / "index"), milvus.uri],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # One thread, so that forking is safe.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    ) as process:
        yield Builder(folder, process)
        assert process.stdin is not None
        process.stdin.close()


def answers(snapshot: Snapshot) -> list[tuple[Hit, str]]:
    """Return what a snapshot answers: every measure and the words."""
    hits = retrieve(snapshot, HashingEmbedder(), "what reverses an overdose").hits
    stored = snapshot.catalogue.passages([hit.ordinal for hit in hits])
    return [(hit, one.passage.text) for hit, one in zip(hits, stored, strict=True)]


def collections_of(index_dir: IndexDir, milvus: Milvus) -> set[str]:
    """Return what this index has on the server."""
    owner = (index_dir.path / OWNER_FILE).read_text().strip()
    return {name for name in milvus.names() if name.startswith(f"citewell_{owner}_")}


def left(index_dir: IndexDir) -> list[str]:
    """Return what is on the server of this index and belongs to no snapshot."""
    return index_dir.engine_leftovers()


def sealed(index_dir: IndexDir) -> set[str]:
    """Return the collections of passages that the alias may name: those of snapshots that open."""
    found = set()
    for info in index_dir.list_snapshots():
        with suppress(SnapshotCorrupt), open_snapshot(index_dir, info.id) as snapshot:
            assert snapshot.manifest.milvus is not None
            found.add(f"{snapshot.manifest.milvus.base}_{info.id.replace('-', '_')}_passages")
    return found


def moments_of(calls: list[str]) -> Iterator[tuple[int, str, str]]:
    """
    Yield the number, the place and the name of each call that is fatal.

    They are spread over everything that a build changes, from the first collection to the last one of an old snapshot.
    """
    numbers = {
        method: [number for number, name in enumerate(calls, start=1) if name == method] for method in set(calls)
    }
    created, inserted, renamed = numbers["create_collection"], numbers["insert"], numbers["rename_collection"]
    assert (len(created), len(renamed), len(numbers["drop_collection"])) == (3, 2, 3)
    assert len(inserted) > 4, "the library is inserted at once: the test proves nothing"
    yield created[0], "end", "a collection without rows"
    yield inserted[1], "amid", "some passages"
    yield inserted[-2], "begin", "all but the last vectors"
    yield numbers["flush"][0], "amid", "passages not forced to the disk"
    yield numbers["create_index"][-2], "amid", "vectors not indexed"
    yield renamed[0], "begin", "all inserted, none renamed"
    yield renamed[0], "end", "renamed by half"
    yield created[2], "end", "a seal without its row"
    yield inserted[-1], "amid", "a seal in the writing"
    yield numbers["flush"][-1], "begin", "a seal not forced to the disk"
    yield numbers["alter_alias"][0], "begin", "sealed, not published"
    yield numbers["alter_alias"][0], "end", "alias moved, CURRENT not"
    yield numbers["drop_collection"][0], "end", "an old snapshot without its seal"
    yield numbers["drop_collection"][2], "begin", "an old snapshot with its passages alone"


def test_a_builder_killed_at_any_call_to_milvus_harms_nothing(milvus: Milvus, tmp_path: Path) -> None:
    """This ensures that kill -9 leaves what is served whole, and that the next build removes what was half-written."""
    n_left = 0
    with builder(tmp_path, milvus) as builders, closing(MilvusServer(Connection(milvus.uri, timeout_s=20.0))) as server:
        builders.build()
        builders.change("first")
        _, calls = builders.build()
        index_dir = milvus.index_dir(builders.index_path)
        alias = f"citewell_{(index_dir.path / OWNER_FILE).read_text().strip()}"
        for number, (fatal, place, what) in enumerate(moments_of(calls)):
            with open_snapshot(index_dir) as held:
                before, old, own = answers(held), held.id, collections_of(index_dir, milvus)
                builders.change(f"killed{number}")

                exit_code, begun = builders.build(fatal, place)

                is_live = "drop_collection" in begun
                assert (exit_code, len(begun), begun) == (KILLED, fatal, calls[:fatal]), what
                assert (index_dir.current_id() == old) == (not is_live), what
                assert is_live or answers(held) == before, what
                assert is_live or own <= collections_of(index_dir, milvus), what
            with open_snapshot(index_dir) as snapshot:
                assert verify_snapshot(snapshot).is_sound, what
                assert is_live or (snapshot.id, answers(snapshot)) == (old, before), what
                assert any(f"killed{number} " in text for _, text in answers(snapshot)) == is_live, what
            assert server.alias_target(alias) in sealed(index_dir), what
            if is_live:
                with pytest.raises(SnapshotCorrupt, match="gone or half-written"):
                    index_dir.rollback(old)
            n_left += bool(index_dir.engine_leftovers())

            builders.change(f"mended{number}")
            exit_code, _ = builders.build()

            with open_snapshot(index_dir) as snapshot:
                assert (exit_code, verify_snapshot(snapshot).is_sound) == (0, True), what
                assert any(f"mended{number} " in text for _, text in answers(snapshot)), what
                name = f"{alias}_{snapshot.id.replace('-', '_')}"
            expected = {f"{name}_{part}" for part in ("passages", "evidence", "seal")}
            assert collections_of(index_dir, milvus) == expected, what
            assert server.alias_target(alias) == f"{name}_passages", what
        index_dir.engine.close()

    assert n_left >= 9, "the kills fell outside of staging: the test proves nothing"


def test_a_killed_command_is_made_good_by_the_next_while_a_service_answers(milvus: Milvus, tmp_path: Path) -> None:
    """This ensures that `citewell serve` answers on through a kill -9 of `citewell build` that has rows in Milvus."""
    variables = {"CITEWELL_ENGINE": "milvus", "CITEWELL_MILVUS_URI": milvus.uri, "CITEWELL_MILVUS_TIMEOUT_S": "19"}
    path, more = build_index(tmp_path, **variables), "# More\n\nBuprenorphine is dissolved under the tongue.\n"
    index_dir = milvus.index_dir(path)
    live, own = index_dir.current_id(), collections_of(index_dir, milvus)

    def command(*arguments: str) -> subprocess.Popen[bytes]:
        at = ["--index-dir", str(path)]
        return subprocess.Popen([*CITEWELL, *arguments, *at], env=environment(**variables), cwd=tmp_path)

    with serving(path, tmp_path / "served", CITEWELL_REFRESH_S="0.1", **variables) as server:
        question = "how is methadone taken"
        before = server.ask(question).json()
        (tmp_path / "corpus" / "more.md").write_text(more)
        doomed = command("build", "corpus")
        server.wait_until(lambda: any("_staging_" in name and name.endswith("_evidence") for name in left(index_dir)))
        # Both collections are there; rows follow at once, and indexing them takes a second.
        time.sleep(0.05)
        doomed.kill()
        exit_code, staged = doomed.wait(60), left(index_dir)
        after = server.ask(question).json()
        codes = [command("verify").wait(120), command("build", "corpus").wait(120)]
        server.wait_until(lambda: server.send("/v1/health").json()["snapshot"]["id"] != live)
        found = server.ask("how is buprenorphine taken").json()

    assert (exit_code, codes) == (KILLED, [0, 0])
    assert {name.rpartition("_")[2] for name in staged} >= {"evidence", "passages"}
    assert before["passages"]
    assert (before["snapshot"], before["passages"]) == (after["snapshot"], after["passages"])
    assert "dissolved under the tongue" in found["passages"][0]["text"]
    assert left(index_dir) == []
    assert len(collections_of(index_dir, milvus) - own) == 3
    index_dir.engine.close()
