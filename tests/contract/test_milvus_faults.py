"""What becomes of questions, builds and snapshots when Milvus is lost, damaged or not what it should be."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from milvus_support import Milvus, free_port, running_milvus, wait_for

from index.build import build_index
from index.errors import (
    EngineRefused,
    EngineUnreachable,
    ModelMismatch,
    SnapshotCorrupt,
    SnapshotUnsupported,
    StorageFailed,
)
from index.milvus_client import Column, Connection, MilvusServer
from index.milvus_engine import OWNER_FILE, MilvusEngine
from index.search import retrieve
from index.snapshot import open_snapshot
from index.store import IndexDir
from index.testing import HashingEmbedder, tiny_documents, write_tiny_snapshot
from index.verify import verify_snapshot

EMBEDDER = HashingEmbedder()
TEXTS = ("Methadone is taken once a day.", "Naloxone reverses an overdose.", "A clinic opened on Monday.")


@pytest.fixture
def index_dir(milvus: Milvus, tmp_path: Path) -> Iterator[IndexDir]:
    """Return an index folder with one published snapshot in Milvus."""
    opened = milvus.index_dir(tmp_path / "index")
    write_tiny_snapshot(opened)
    yield opened
    opened.engine.close()


@pytest.fixture(scope="module")
def shared_dir(milvus: Milvus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexDir]:
    """Return an index folder with a snapshot in Milvus that tests leave as they found it."""
    opened = milvus.index_dir(tmp_path_factory.mktemp("shared") / "index")
    write_tiny_snapshot(opened)
    yield opened
    opened.engine.close()


@pytest.fixture
def server(milvus: Milvus) -> Iterator[MilvusServer]:
    """Return a connection of somebody else's, to damage collections with."""
    connection = MilvusServer(Connection(milvus.uri, timeout_s=20.0))
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Milvus]:
    """Run a server that tests may kill."""
    with running_milvus(tmp_path_factory.mktemp("mortal")) as milvus:
        yield milvus


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for n, text in enumerate(TEXTS):
        (folder / f"{n}.txt").write_text(f"{text}\n")
    return folder


def name_of(index_dir: IndexDir) -> str:
    """Return what the collections of the live snapshot are called."""
    with open_snapshot(index_dir) as snapshot:
        assert snapshot.manifest.milvus is not None
        return f"{snapshot.manifest.milvus.base}_{snapshot.id.replace('-', '_')}"


def test_a_snapshot_without_its_seal_is_never_opened(index_dir: IndexDir, server: MilvusServer) -> None:
    """This ensures that half-written collections are not served, and that the next build cleans up after them."""
    name = name_of(index_dir)
    server.drop(f"{name}_seal")

    with pytest.raises(SnapshotCorrupt, match="gone or half-written"):
        open_snapshot(index_dir)
    again = write_tiny_snapshot(index_dir)
    with open_snapshot(index_dir) as snapshot:
        assert snapshot.id == again


def test_missing_rows_are_seen_when_a_snapshot_is_opened(
    index_dir: IndexDir, server: MilvusServer, milvus: Milvus
) -> None:
    """This ensures that a collection that lost rows is not served."""
    from pymilvus import MilvusClient

    name = name_of(index_dir)
    client = MilvusClient(uri=milvus.uri, timeout=20, dedicated=True)
    client.delete(f"{name}_passages", filter="ordinal in [2]")
    client.close()

    with pytest.raises(SnapshotCorrupt, match=r"manifest says 7 passages .* Milvus has 6"):
        open_snapshot(index_dir)


def test_another_model_under_the_snapshots_name(index_dir: IndexDir, server: MilvusServer) -> None:
    """This ensures that collections that another model filled are refused, with both fingerprints."""
    name = name_of(index_dir)
    rows = server.query(f"{name}_seal", "ordinal in [0]", ["content"])
    content = str(rows[0]["content"]).replace(EMBEDDER.fingerprint, "0" * 64)
    server.drop(f"{name}_seal")
    server.create(f"{name}_seal", (Column("ordinal", "int64"), Column("content", "text"), Column("v", "vector", 2)))
    server.insert(f"{name}_seal", [{"ordinal": 0, "content": content, "v": [1.0, 0.0]}])
    server.finish(f"{name}_seal", {"v": {"index_type": "FLAT", "metric_type": "IP"}})

    with pytest.raises(ModelMismatch, match="000000000000"):
        open_snapshot(index_dir)


def test_another_model_under_the_alias(
    index_dir: IndexDir, milvus: Milvus, server: MilvusServer, tmp_path: Path
) -> None:
    """This ensures that an alias that was led astray is an error that names the way back, and that the way works."""
    base = name_of(index_dir).rsplit("_", 2)[0]
    foreign = milvus.index_dir(tmp_path / "foreign")
    write_tiny_snapshot(foreign, embedder=HashingEmbedder(name="another"))
    server.set_alias(base, f"{name_of(foreign)}_passages")

    with pytest.raises(ModelMismatch, match=f"alias {base}") as error:
        open_snapshot(index_dir)
    assert f"citewell rollback {index_dir.current_id()}" in error.value.fix
    index_dir.rollback(index_dir.current_id())
    with open_snapshot(index_dir) as snapshot:
        assert retrieve(snapshot, EMBEDDER, "naloxone").hits
    foreign.engine.close()


def test_the_alias_follows_what_is_live(index_dir: IndexDir, server: MilvusServer) -> None:
    """This ensures that whoever asks Milvus by the alias gets the live snapshot after builds and rollbacks."""
    base = name_of(index_dir).rsplit("_", 2)[0]
    targets = [(name_of(index_dir), server.alias_target(base))]
    write_tiny_snapshot(index_dir, tiny_documents()[:2])
    targets.append((name_of(index_dir), server.alias_target(base)))
    index_dir.rollback()
    targets.append((name_of(index_dir), server.alias_target(base)))

    assert [target for _, target in targets] == [f"{name}_passages" for name, _ in targets]
    assert targets[0] == targets[2] != targets[1]


def test_withdrawn_words_are_in_no_collection(index_dir: IndexDir, milvus: Milvus, server: MilvusServer) -> None:
    """This ensures that after publishing and collecting no collection holds a withdrawn document's passages."""
    write_tiny_snapshot(index_dir, tiny_documents()[:1])
    index_dir.collect(keep=1)

    base = name_of(index_dir).rsplit("_", 2)[0]
    names = [name for name in milvus.names() if name.startswith(base)]
    assert sorted(name.rsplit("_", 1)[1] for name in names) == ["evidence", "passages", "seal"]
    rows = server.query(next(n for n in names if n.endswith("passages")), "ordinal >= 0", ["document"])
    assert {row["document"] for row in rows} == {"guides/methadone.md"}


def test_another_index_is_left_alone(index_dir: IndexDir, milvus: Milvus, tmp_path: Path) -> None:
    """This ensures that two index folders on one server never sweep each other's collections."""
    other = milvus.index_dir(tmp_path / "other")
    write_tiny_snapshot(other)
    write_tiny_snapshot(index_dir)

    with open_snapshot(other) as snapshot:
        assert verify_snapshot(snapshot).is_sound
    other.engine.close()


@pytest.mark.parametrize(
    ("collection", "column", "value"),
    [
        ("passages", "words", "Other words."),
        ("passages", "document", "else.md"),
        ("passages", "start", 7),
        ("passages", "facets", [1, 2]),
        ("passages", "published", 1),
        ("passages", "terms", {1: 9.0}),
        ("passages", "vector", [1.0, *[0.0] * 63]),
        ("evidence", "vector", [1.0, *[0.0] * 63]),
    ],
)
def test_verify_finds_what_was_changed(
    shared_dir: IndexDir, milvus: Milvus, collection: str, column: str, value: object
) -> None:
    """This ensures that no word, place, facet, weight or vector can change in Milvus without being found."""
    from pymilvus import MilvusClient

    name, key = f"{name_of(shared_dir)}_{collection}", "ordinal" if collection == "passages" else "row"
    client = MilvusClient(uri=milvus.uri, timeout=20, dedicated=True)
    row = dict(client.query(name, filter=f"{key} in [1]", output_fields=["*"])[0])
    reports = []
    for content in ({**row, column: value}, row):
        client.upsert(name, [content])
        with open_snapshot(shared_dir) as snapshot:
            reports.append(verify_snapshot(snapshot))
    client.close()

    assert [report.is_sound for report in reports] == [False, True]


def test_the_local_engine_does_not_lose_sight_of_collections(index_dir: IndexDir) -> None:
    """This ensures that an index in Milvus is refused, and never deleted by half, while the setting is local."""
    local = IndexDir(index_dir.path)
    with pytest.raises(SnapshotUnsupported, match="in Milvus, and the setting engine is local"):
        open_snapshot(local)
    before = index_dir.current_id()
    write_tiny_snapshot(local)

    with pytest.raises(StorageFailed, match="can't be deleted while the setting engine is local"):
        local.collect(keep=1)
    assert (local.snapshots_path / str(before)).is_dir()
    assert index_dir.collect(keep=1) == [before]


def test_a_local_snapshot_opens_beside_milvus(milvus: Milvus, tmp_path: Path) -> None:
    """This ensures that choosing milvus keeps serving what there is, until the next build."""
    write_tiny_snapshot(IndexDir(tmp_path))
    index_dir = milvus.index_dir(tmp_path)

    with open_snapshot(index_dir) as snapshot:
        assert retrieve(snapshot, EMBEDDER, "naloxone").hits
        assert verify_snapshot(snapshot).is_sound
    index_dir.engine.close()


@pytest.mark.parametrize("phase", ["write", "seal", "publish"])
def test_lost_during_a_build(mortal: Milvus, corpus: Path, tmp_path: Path, phase: str) -> None:
    """This ensures that the old snapshot stays live, that the error says why, and that the next build cleans up."""
    index_dir = mortal.index_dir(tmp_path / "index", timeout_s=5.0)
    first = build_index(corpus, index_dir, EMBEDDER).snapshot_id
    (corpus / "new.txt").write_text("Buprenorphine is dissolved under the tongue.\n")

    def kill(at: str, done: int, total: int) -> None:
        if at == phase and done == 0:
            mortal.kill()

    with pytest.raises(EngineUnreachable, match="can't be reached"):
        build_index(corpus, index_dir, EMBEDDER, on_progress=kill)
    mortal.start()
    wait_for(index_dir.engine)

    assert index_dir.current_id() == first
    with open_snapshot(index_dir) as snapshot:
        assert snapshot.id == first
        assert verify_snapshot(snapshot).is_sound
    second = build_index(corpus, index_dir, EMBEDDER).snapshot_id
    assert index_dir.engine_leftovers() == []
    assert [info.id for info in index_dir.list_snapshots()] == [second, first]
    index_dir.engine.close()


def test_lost_while_collecting(mortal: Milvus, tmp_path: Path) -> None:
    """This ensures that a snapshot whose collections could not be deleted is still known, and deleted later."""
    index_dir = mortal.index_dir(tmp_path / "index", timeout_s=2.0)
    first = write_tiny_snapshot(index_dir)
    write_tiny_snapshot(index_dir)
    mortal.kill()

    with pytest.raises(EngineUnreachable):
        index_dir.collect(keep=1)
    mortal.start()
    wait_for(index_dir.engine)

    assert index_dir.collect(keep=1) == [first]
    assert index_dir.engine_leftovers() == []
    index_dir.engine.close()


def test_a_frozen_server_costs_no_more_than_the_time_limit(mortal: Milvus, tmp_path: Path) -> None:
    """This ensures that a server that accepts calls and never answers is given up, and found again when it goes on."""
    index_dir = mortal.index_dir(tmp_path / "index", timeout_s=20.0)
    write_tiny_snapshot(index_dir)
    hasty = mortal.index_dir(tmp_path / "index", timeout_s=1.0)
    with open_snapshot(hasty) as snapshot:
        with mortal.frozen():
            started = time.monotonic()
            with pytest.raises(EngineUnreachable, match="does not answer search within 1 s") as late:
                retrieve(snapshot, EMBEDDER, "naloxone")
            took_s = time.monotonic() - started
            started = time.monotonic()
            with pytest.raises(EngineUnreachable):
                retrieve(snapshot, EMBEDDER, "naloxone")
            at_once_s = time.monotonic() - started
        assert not hasty.engine.is_reachable
        wait_for(hasty.engine)

        assert retrieve(snapshot, EMBEDDER, "naloxone").hits
    assert "milvus_timeout_s" in late.value.fix
    assert 0.9 <= took_s < 4.0
    assert at_once_s < 0.5
    for opened in (index_dir, hasty):
        opened.engine.close()


def test_a_database_that_does_not_exist(milvus: Milvus) -> None:
    """This ensures that a mistake in the address is said with the call that was refused and where to look."""
    server = MilvusServer(Connection(f"{milvus.uri}/elsewhere", timeout_s=5.0))

    with pytest.raises(EngineRefused, match=r"refused list_collections \(code \d+\)") as error:
        server.names()

    server.close()
    assert (error.value.where, "database" in error.value.fix) == ("milvus_uri", True)


def test_https_to_a_server_without_it_is_one_error_and_no_output(milvus: Milvus) -> None:
    """This ensures that the wrong scheme is named, and that gRPC writes no lines of its own between the log's."""
    # In a process of its own, as gRPC decides when it is loaded what it writes.
    program = (
        "import sys\n"
        "from index.errors import EngineUnreachable\n"
        "from index.milvus_client import Connection, MilvusServer\n"
        "try:\n"
        "    MilvusServer(Connection(sys.argv[1], timeout_s=2.0)).names()\n"
        "except EngineUnreachable as error:\n"
        "    print(error.fix)\n"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program, milvus.uri.replace("http:", "https:")],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={name: value for name, value in os.environ.items() if not name.startswith("GRPC_")},
    )

    assert "http:// or https://" in ran.stdout
    assert ran.stderr == ""


@pytest.fixture
def gatekeeper() -> Iterator[str]:
    """
    Run a server that refuses every caller, as Milvus refuses wrong credentials: with gRPC's UNAUTHENTICATED.

    milvus-lite knows no users, so that this much is a stand-in: the client, the wire and the status are real.
    """

    class Refusing(grpc.GenericRpcHandler):
        def service(self, _call: object) -> object:
            def refuse(_request: bytes, context: grpc.ServicerContext) -> bytes:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "auth check failure, please check api key is correct")
                return b""

            return grpc.unary_unary_rpc_method_handler(refuse)

    port = free_port()
    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=(Refusing(),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop(None).wait()


def test_wrong_credentials_are_said_and_not_shown(
    gatekeeper: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """This ensures that a refused token names the setting and appears in no error and no output."""
    (tmp_path / OWNER_FILE).write_text("0123456789ab\n")
    engine = MilvusEngine(tmp_path, Connection(gatekeeper, "canary-token", 3.0))

    with pytest.raises(EngineRefused, match="does not accept the credentials") as error:
        engine.leftovers([])

    shown = f"{error.value} {error.value.where} {error.value.fix}"
    captured = capfd.readouterr()
    assert "milvus_token" in shown
    assert "canary-token" not in shown + captured.out + captured.err
