"""What the admin routes do: documents stored, refused, listed, deleted; builds; going back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from admin_support import ADMIN, ZEBRA, admin_client, bearer, code_of, waiting_process
from starlette.testclient import TestClient

from index.manifest import FORMAT_VERSION
from index.store import IndexDir
from index.testing import tiny_documents, write_tiny_snapshot
from service import builds


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Serve to a test that changes things; builds wait and do nothing."""
    monkeypatch.setattr(builds, "_spawn", waiting_process)
    with admin_client(tmp_path) as client:
        client.headers.update(bearer(ADMIN.token))
        yield client


def test_upload_list_and_delete(own: TestClient, tmp_path: Path) -> None:
    """This ensures that a document is stored as sent, listed with what the reader makes of it, and deleted."""
    stored = own.put("/v1/admin/documents/guides/new/zebra.md", content=ZEBRA)
    etag = stored.headers["etag"]
    listed = own.get("/v1/admin/documents", params={"q": "ZEBRA"}).json()
    again = own.put("/v1/admin/documents/guides/new/zebra.md", content=ZEBRA + b"\nMore.\n", headers={"if-match": etag})
    late = own.put("/v1/admin/documents/guides/new/zebra.md", content=b"# Late\n", headers={"if-match": etag})
    new_only = own.put("/v1/admin/documents/guides/new/zebra.md", content=ZEBRA, headers={"if-none-match": "*"})
    kept = (tmp_path / "corpus/guides/new/zebra.md").read_bytes()
    stale = own.delete("/v1/admin/documents/guides/new/zebra.md", headers={"if-match": etag})
    deleted = own.delete("/v1/admin/documents/guides/new/zebra.md", headers={"if-match": again.headers["etag"]})
    gone = own.delete("/v1/admin/documents/guides/new/zebra.md")

    assert (stored.status_code, stored.headers["location"]) == (201, "/v1/admin/documents/guides/new/zebra.md")
    read = stored.json()["read"]
    assert (read["readable"], read["n_passages"], read["metadata"]["title"]) == (True, 1, "Zebra clinic")
    assert {finding["field"] for finding in read["findings"]} >= {"publisher", "published"}
    assert [(d["id"], d["state"], f'"{d["sha256"]}"') for d in listed["documents"]] == [
        ("guides/new/zebra.md", "new", etag)
    ]
    assert listed["documents"][0]["read"] == read
    assert (again.status_code, again.json()["created"]) == (200, False)
    assert [(r.status_code, code_of(r)) for r in (late, new_only, stale)] == [(412, "precondition_failed")] * 3
    assert kept == ZEBRA + b"\nMore.\n"
    assert deleted.status_code == 204
    assert (gone.status_code, code_of(gone)) == (404, "not_found")
    assert not (tmp_path / "corpus/guides/new").exists()


def test_list_compares_folder_and_index(own: TestClient, tmp_path: Path) -> None:
    """This ensures that an editor sees what the next build adds, changes and withdraws, and what can't be opened."""
    (tmp_path / "corpus" / "loop.md").symlink_to("loop.md")
    (tmp_path / "corpus" / "notes.xlsx").write_text("x")

    page = own.get("/v1/admin/documents", params={"limit": 500}).json()

    states = {document["id"]: document["state"] for document in page["documents"]}
    assert states["methadone.md"] == "new"
    assert states["guides/naloxone.md"] == "changed"
    assert states["papers/withdrawal.pdf"] == "removed"
    assert states["loop.md"] == "failed"
    assert page["ignored"] == ["notes.xlsx"]
    assert sum(page["changes"].values()) == page["total"] == len(states)
    assert own.get("/v1/admin/documents", params={"state": "failed"}).json()["total"] == 1


BAD = {
    "program": ("x.pdf", b"MZ\x90\x00 program", 422, "source_malformed"),
    "no reader": ("x.exe", b"MZ", 415, "source_unsupported"),
    "broken": ("x.pdf", b"%PDF-1.7 and no more", 422, "source_malformed"),
    "other zip": ("x.docx", b"PK\x03\x04 and no more", 422, "source_malformed"),
    "nothing to quote": ("x.md", b"# Only a heading\n", 422, "source_without_text"),
    "empty": ("x.md", b"", 422, "source_malformed"),
    "too large": ("x.md", b"x" * 2_000_000, 413, "body_too_large"),
    "twin": ("Methadone.md", ZEBRA, 409, "name_taken"),
    "in a file": ("methadone.md/x.md", ZEBRA, 409, "name_taken"),
    "out": ("..%2F..%2Fx.md", ZEBRA, 422, "name_refused"),
    "nul": ("x%00.md", ZEBRA, 422, "name_refused"),
    "no utf-8": ("x%ff.md", ZEBRA, 422, "name_refused"),
    "long": ("x" * 400 + ".md", ZEBRA, 422, "name_refused"),
    "look-alike": ("n%D0%B0loxone.md", ZEBRA, 422, "name_refused"),
    "reserved": ("con.md", ZEBRA, 422, "name_refused"),
    "no name": ("", ZEBRA, 422, "name_refused"),
}


@pytest.mark.parametrize(("name", "content", "status", "code"), BAD.values(), ids=BAD.keys())
def test_bad_uploads_leave_nothing(tmp_path: Path, name: str, content: bytes, status: int, code: str) -> None:
    """This ensures that what is refused is refused with its reason, and the folder is as it was."""
    with admin_client(tmp_path, max_upload_bytes=1_000_000) as client:
        before = {p: p.read_bytes() for p in (tmp_path / "corpus").rglob("*") if p.is_file()}
        reply = client.put(f"/v1/admin/documents/{name}", content=content, headers=bearer(ADMIN.token))

    assert (reply.status_code, code_of(reply)) == (status, code)
    assert {p: p.read_bytes() for p in (tmp_path / "corpus").rglob("*") if p.is_file()} == before
    assert str(tmp_path) not in reply.text


def test_body_without_a_length_is_cut_off(own: TestClient, tmp_path: Path) -> None:
    """This ensures that the cap holds for what arrives, not for what is declared."""
    with admin_client(tmp_path / "small", max_upload_bytes=1_024) as client:
        reply = client.put("/v1/admin/documents/x.md", content=iter([b"x" * 600] * 3), headers=bearer(ADMIN.token))

    assert (reply.status_code, code_of(reply)) == (413, "body_too_large")


def test_compressed_bodies_are_refused(own: TestClient) -> None:
    """This ensures that a document is stored as the bytes that were sent, never as a compressed form of them."""
    reply = own.put("/v1/admin/documents/x.md", content=ZEBRA, headers={"content-encoding": "gzip"})

    assert (reply.status_code, code_of(reply)) == (415, "media_type_unsupported")


def test_malformed_library_file_is_named(own: TestClient, tmp_path: Path) -> None:
    """This ensures that a broken library.toml is said with its line, and nothing is stored."""
    (tmp_path / "corpus" / "library.toml").write_text("x = [")

    for reply in (own.put("/v1/admin/documents/x.md", content=ZEBRA), own.get("/v1/admin/documents")):
        assert (reply.status_code, code_of(reply)) == (422, "library_malformed")
    assert not (tmp_path / "corpus" / "x.md").exists()


def test_first_document_of_an_empty_library(tmp_path: Path) -> None:
    """This ensures that a library can be begun from a browser: no document, no index."""
    (tmp_path / "empty").mkdir()
    with admin_client(tmp_path, is_built=False, corpus=tmp_path / "empty") as client:
        client.headers.update(bearer(ADMIN.token))
        listed = client.get("/v1/admin/documents")
        stored = client.put("/v1/admin/documents/x.md", content=ZEBRA)
        snapshots = client.get("/v1/admin/snapshots").json()["snapshots"]

    assert (listed.status_code, listed.json()["total"]) == (200, 0)
    assert stored.status_code == 201
    assert snapshots == []


def test_build_is_accepted_followed_and_cancelled(own: TestClient) -> None:
    """This ensures that a build has an address at once, that a second one is told of it, and that it can be stopped."""
    started = own.post("/v1/admin/builds", json={"refuse_failures": True})
    second = own.post("/v1/admin/builds")
    address = started.headers["location"]
    found = own.get(address).json()
    cancelled = own.delete(address)
    listed = own.get("/v1/admin/builds").json()["builds"]

    assert started.status_code == 202
    assert (found["state"], found["options"]) == ("queued", {"refuse_failures": True})
    assert (second.status_code, code_of(second)) == (409, "writer_busy")
    assert found["id"] in second.json()["detail"]
    assert cancelled.status_code == 202
    assert [build["id"] for build in listed] == [found["id"]]


def test_build_waits_for_the_command_line(own: TestClient, tmp_path: Path) -> None:
    """This ensures that a build on the command line is named, and rolling back meanwhile is refused as well."""
    (snapshot,) = own.get("/v1/admin/snapshots").json()["snapshots"]
    with IndexDir(tmp_path / "index").lock():
        replies = [
            own.post("/v1/admin/builds"),
            own.post("/v1/admin/rollback", json={"snapshot": snapshot["id"]}),
        ]

    for reply in replies:
        assert (reply.status_code, code_of(reply)) == (409, "writer_busy")
        assert "process" in reply.json()["detail"]


def test_events_resume_and_end(own: TestClient, tmp_path: Path) -> None:
    """This ensures that events have ids, that a follower resumes after the last one, and hears the end."""
    record, lock = builds.JobBook(tmp_path / "index").begin({})
    book = builds.JobBook(tmp_path / "index")
    book.change(book.change(record, state="running", phase="read"), state="succeeded", report={"n_documents": 1})
    builds.os.close(lock)

    replies = [own.get(f"/v1/admin/builds/{record.id}/events", headers={"last-event-id": i}) for i in ("", "2", "99")]

    for reply in replies:
        lines = reply.text.splitlines()
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert lines[:2] == ["id: 3", "event: end"]
        assert json.loads(lines[2].removeprefix("data: "))["report"] == {"n_documents": 1}
    wrong = own.get(f"/v1/admin/builds/{record.id}/events", headers={"last-event-id": "x"})
    assert (wrong.status_code, code_of(wrong)) == (422, "request_invalid")


def test_going_back_and_what_can_not_be_gone_back_to(own: TestClient, tmp_path: Path) -> None:
    """This ensures that going back proves the snapshot first: gone is 404, other format or damage 409, live stays."""
    index_dir = IndexDir(tmp_path / "index")
    old = index_dir.current_id()
    foreign = write_tiny_snapshot(index_dir, tiny_documents()[:1])
    damaged = write_tiny_snapshot(index_dir, tiny_documents()[:2])
    manifest = index_dir.snapshot_path(foreign) / "manifest.json"
    manifest.write_text(manifest.read_text().replace(f'"format_version": {FORMAT_VERSION}', '"format_version": 999'))
    assert "999" in manifest.read_text()
    with (index_dir.snapshot_path(damaged) / "dense.faiss").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff" if file.read(1) != b"\xff" else b"\x00")

    def go(snapshot: object) -> object:
        return own.post("/v1/admin/rollback", json={"snapshot": snapshot})

    refused = {"20200101T000000Z-00000000": (404, "snapshot_gone"), "x": (404, "snapshot_gone")}
    refused |= {foreign: (409, "snapshot_unusable")}
    for snapshot, expected in refused.items():
        reply = go(snapshot)
        assert (reply.status_code, code_of(reply)) == expected
        assert str(tmp_path) not in reply.text
    assert index_dir.current_id() == damaged
    done = go(old)

    assert (done.status_code, done.json()) == (200, {"current": old, "previous": damaged})
    assert index_dir.current_id() == old
    assert code_of(go(damaged)) == "snapshot_unusable"
    assert index_dir.current_id() == old
    assert {s["id"]: s["problem"] != "" for s in own.get("/v1/admin/snapshots").json()["snapshots"]}[foreign]


@pytest.mark.parametrize("body", ["", "{", "[]", '{"snapshot": 1}', '{"snapshot": "x", "other": 1}', "{}"])
def test_malformed_bodies_are_refused(own: TestClient, body: str) -> None:
    """This ensures that a body that does not fit is refused with the field, and changes nothing."""
    headers = {**bearer(ADMIN.token), "content-type": "application/json"}

    reply = own.post("/v1/admin/rollback", content=body, headers=headers)

    assert (reply.status_code, code_of(reply)) == (422, "request_invalid")
