"""Administering a real server: upload to answer and back, crashes, two at once, files that change under a build."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from admin_process import CITEWELL, AdminServer, environment, serve_admin
from admin_support import ADMIN, READ, ZEBRA, bearer, pages, write_corpus

QUESTION = "When does the zebra clinic hand out naloxone?"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a small corpus."""
    write_corpus(tmp_path / "corpus")
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[AdminServer]:
    """Serve it; nothing is built yet."""
    with serve_admin(folder) as server:
        yield server


def verify(folder: Path) -> None:
    """Hold every quote and file of the live index against each other, by the command for it."""
    done = subprocess.run(
        [*CITEWELL, "verify", "--index-dir", str(folder / "index"), "--json"],
        check=False,
        capture_output=True,
        text=True,
        env=environment(),
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["is_sound"]


def test_upload_is_answered_and_a_deleted_document_is_not(server: AdminServer, folder: Path) -> None:
    """This ensures that an editor's whole way works over HTTP: upload, build, ask; delete, build, ask."""
    stored = server.call("PUT", "/v1/admin/documents/guides/zebra.md", ZEBRA)
    first = server.build()
    server.wait_for_snapshot(first["report"]["snapshot_id"])
    found = server.ask(QUESTION)
    deleted = server.call("DELETE", "/v1/admin/documents/guides/zebra.md", if_match=stored.headers["etag"])
    still_found = server.ask(QUESTION)
    second = server.build()
    server.wait_for_snapshot(second["report"]["snapshot_id"])
    lost = server.ask(QUESTION)

    assert (stored.status, deleted.status) == (201, 204)
    assert (first["state"], first["report"]["n_documents"]) == ("succeeded", 3)
    assert found[0] == still_found[0] == "guides/zebra.md"
    assert (second["report"]["n_documents"], second["report"]["n_embedded"]) == (2, 0)
    assert "guides/zebra.md" not in lost
    live = folder / "index" / "snapshots" / second["report"]["snapshot_id"]
    assert not [path for path in live.rglob("*") if path.is_file() and b"zebra" in path.read_bytes().lower()]
    verify(folder)
    log = server.log_path.read_text()
    assert ADMIN.token not in log
    assert "zebra" not in log
    assert all(json.loads(line) for line in log.splitlines())


def test_killed_server_leaves_an_interrupted_build_and_a_whole_index(folder: Path) -> None:
    """This ensures that kill -9 of the server ends its build, that the job says so later, and nothing broke."""
    with serve_admin(folder) as server:
        first = server.build()
        pages(folder, 20)
        job = server.call("POST", "/v1/admin/builds").json["id"]
        server.wait_for_state(job, ("running",), phase="embed")
        server.kill()

    with serve_admin(folder) as server:
        ended = server.wait_for_state(job, ("interrupted",))
        listed = {build["id"]: build["state"] for build in server.call("GET", "/v1/admin/builds").json["builds"]}
        server.wait_for_snapshot(first["report"]["snapshot_id"])
        verify(folder)
        again = server.build()

    assert ended["error"]["code"] == "build_interrupted"
    assert listed == {job: "interrupted", first["id"]: "succeeded"}
    assert (again["state"], again["report"]["n_documents"]) == ("succeeded", 22)
    assert [p.name for p in (folder / "index" / "snapshots").iterdir() if p.name.startswith(".")] == []


def test_killed_builder_is_seen_at_once(server: AdminServer, folder: Path) -> None:
    """This ensures that a building process that is killed, by the system for its memory say, is not waited for."""
    pages(folder, 20)
    job = server.call("POST", "/v1/admin/builds").json["id"]
    events: list[bytes] = []
    follower = threading.Thread(target=lambda: events.append(server.call("GET", f"/v1/admin/builds/{job}/events").body))
    follower.start()
    server.wait_for_state(job, ("running",), phase="embed")
    holder = json.loads((folder / "index" / "LOCK").read_bytes())["pid"]

    subprocess.run(["kill", "-9", str(holder)], check=True)
    follower.join(60)

    last = events[0].decode().rstrip().rpartition("\n")[2]
    assert json.loads(last.removeprefix("data: "))["state"] == "interrupted"
    assert server.call("POST", "/v1/admin/builds").status == 202


def test_two_builds_at_once_are_one(server: AdminServer) -> None:
    """This ensures that of requests at the same moment one starts a build and the others are told which."""
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda _: server.call("POST", "/v1/admin/builds"), range(6)))

    accepted = [reply for reply in replies if reply.status == 202]
    refused = [reply for reply in replies if reply.status == 409]
    assert (len(accepted), len(refused)) == (1, 5)
    assert all(reply.json["code"] == "writer_busy" for reply in refused)
    assert all(accepted[0].json["id"] in reply.json["detail"] for reply in refused)


def test_cancelled_build_publishes_nothing(server: AdminServer, folder: Path) -> None:
    """This ensures that a build can be stopped on its way, and the index stays as it was."""
    first = server.build()
    pages(folder, 20)
    job = server.call("POST", "/v1/admin/builds").json["id"]
    server.wait_for_state(job, ("running",), phase="embed")

    cancelled = server.call("DELETE", f"/v1/admin/builds/{job}")
    ended = server.wait_for_state(job, ("cancelled", "succeeded"))

    assert (cancelled.status, ended["state"]) == (202, "cancelled")
    snapshots = server.call("GET", "/v1/admin/snapshots").json["snapshots"]
    assert [s["id"] for s in snapshots if s["is_current"]] == [first["report"]["snapshot_id"]]
    verify(folder)


def test_uploads_while_a_build_reads(server: AdminServer, folder: Path) -> None:
    """This ensures that files replaced under a build are read whole, old or new, and none is lost or mixed."""
    pages(folder, 15)
    job = server.call("POST", "/v1/admin/builds").json["id"]
    stored = []
    while server.call("GET", f"/v1/admin/builds/{job}").json["state"] in ("queued", "running"):
        text = f"# Page 0\n\n## New\n\nVersion {len(stored)} of this page speaks of naloxone kits.\n"
        stored.append(server.call("PUT", "/v1/admin/documents/page-000.md", text.encode()).status)

    ended = server.call("GET", f"/v1/admin/builds/{job}").json

    assert ended["state"] == "succeeded"
    assert ended["report"]["failures"] == []
    assert ended["report"]["n_documents"] == 17
    assert set(stored) == {200}
    verify(folder)


def test_upload_that_breaks_off_leaves_nothing(server: AdminServer, folder: Path) -> None:
    """This ensures that a client that leaves in the middle of an upload leaves no file behind, whole or half."""
    head = (
        "PUT /v1/admin/documents/half.md HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {ADMIN.token}\r\nContent-Length: 1000\r\n\r\n# Half"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head.encode())
        deadline = time.monotonic() + 60
        while not list((folder / "corpus").glob(".citewell-upload-*")):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    while list((folder / "corpus").glob(".citewell-upload-*")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not (folder / "corpus" / "half.md").exists()
    assert server.call("GET", "/v1/admin/documents").json["total"] == 2


def test_tokens_on_an_open_address_are_warned_of(folder: Path) -> None:
    """This ensures that an operator who serves beyond this machine is told that tokens need TLS."""
    with serve_admin(folder, "--host", "0.0.0.0") as server:
        assert server.call("GET", "/v1/health/live").status == 200

    warned = [json.loads(line) for line in server.log_path.read_text().splitlines() if "tokens_need_tls" in line]
    assert len(warned) == 1
    assert "TLS" in warned[0]["fix"]


def test_any_worker_knows_any_build(folder: Path) -> None:
    """This ensures that each of several processes tells of a build, whichever started it."""
    with serve_admin(folder, "--workers", "2", CITEWELL_READ_TOKENS=READ.setting) as server:
        job = server.call("POST", "/v1/admin/builds").json["id"]
        states = {server.call("GET", f"/v1/admin/builds/{job}").status for _ in range(12)}
        events = server.call("GET", f"/v1/admin/builds/{job}/events").body.decode()
        closed = server.call("POST", "/v1/ask", b"{}", authorization="Bearer wrong").status
        opened = server.call("GET", "/v1/documents", **bearer(READ.token)).status

    kinds = [line.removeprefix("event: ") for line in events.splitlines() if line.startswith("event: ")]
    numbers = [int(line.removeprefix("id: ")) for line in events.splitlines() if line.startswith("id: ")]
    assert states == {200}
    assert set(kinds[:-1]) == {"progress"}
    assert kinds[-1] == "end"
    assert numbers == sorted(set(numbers))
    assert closed == 401
    assert opened in (200, 503)


def test_serving_never_imports_torch(folder: Path) -> None:
    """This ensures that uploading, listing, building and rolling back leave torch and the readers out of the server."""
    code = f"""
import json, sys, time
from starlette.testclient import TestClient
from service.commands.serving import make_app
from service.environment import load_settings

with TestClient(make_app(load_settings({{"index_dir": "index", "corpus": "corpus"}}))) as client:
    client.headers["authorization"] = "Bearer {ADMIN.token}"
    assert client.put("/v1/admin/documents/zebra.md", content={ZEBRA!r}).status_code == 201
    assert client.get("/v1/admin/documents").json()["total"] == 3
    address = client.post("/v1/admin/builds").headers["location"]
    while client.get(address).json()["state"] in ("queued", "running"):
        time.sleep(0.1)
    assert client.get(address).json()["state"] == "succeeded"
    current = client.get("/v1/admin/snapshots").json()["snapshots"][0]["id"]
    assert client.post("/v1/admin/rollback", json={{"snapshot": current}}).status_code == 200
loaded = {{name.split(".")[0] for name in sys.modules}}
print(json.dumps(sorted(loaded & {{"torch", "sentence_transformers", "transformers", "onnx", "pypdf", "lxml"}})))
"""

    done = subprocess.run(
        [*CITEWELL[:2], code],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        env=environment(CITEWELL_ADMIN_TOKENS=ADMIN.setting),
        cwd=folder,
    )

    assert done.returncode == 0, done.stderr[-3_000:]
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_expired_token_stops_the_start(folder: Path) -> None:
    """This ensures that a service does not start with a token that opens nothing; it says which setting, exit 2."""
    done = subprocess.run(
        [*CITEWELL, "serve", "--port", "0"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(CITEWELL_ADMIN_TOKENS=f"{ADMIN.setting}@2020-01-01"),
        cwd=folder,
    )

    assert done.returncode == 2
    assert "admin_tokens" in done.stderr
    assert ADMIN.setting[:12] not in done.stderr


def test_token_command_makes_what_the_settings_take(folder: Path) -> None:
    """This ensures that what `citewell token` prints works as printed, and is printed once."""
    done = subprocess.run(
        [*CITEWELL, "token", "--days", "30", "--json"],
        check=True,
        capture_output=True,
        text=True,
        env=environment(),
        cwd=folder,
    )
    made = json.loads(done.stdout)

    with serve_admin(folder, CITEWELL_ADMIN_TOKENS=made["setting"]) as server:
        opened = server.call("GET", "/v1/admin/builds", authorization=f"Bearer {made['token']}").status
        closed = server.call("GET", "/v1/admin/builds", authorization=f"Bearer {made['setting']}").status

    assert (opened, closed) == (200, 401)
    assert made["token"] not in server.log_path.read_text()
