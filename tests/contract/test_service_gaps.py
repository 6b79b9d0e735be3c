"""The gap report as an operator meets it: off, on, after many abstentions, and with a canary in the questions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from admin_support import ADMIN, bearer
from service_support import PROBLEM_MEMBERS, tiny_client
from starlette.testclient import TestClient

from index.store import IndexDir
from index.testing import write_tiny_snapshot
from service.settings import Settings

CANARY = "canary7f3a"
QUESTION = f"how is methadone taken {CANARY}"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """Serve a library that abstains always."""
    with tiny_client(
        tmp_path, min_confidence=1.0, gap_report=True, admin_tokens=(ADMIN.setting,), refresh_s=0.05
    ) as client:
        yield client


def ask(client: TestClient, n: int, question: str = QUESTION) -> set[str]:
    return {client.post("/v1/ask", json={"question": question}).json()["reason"] for _ in range(n)}


def test_report_is_not_there_unless_wanted(tmp_path: Path) -> None:
    """This ensures that without the setting nothing is counted, served or documented."""
    with tiny_client(tmp_path) as client:
        response = client.get("/v1/admin/gaps", headers=bearer(ADMIN.token))
        document = client.get("/openapi.json").json()

    assert response.status_code == 404
    assert set(response.json()) == PROBLEM_MEMBERS
    assert "/v1/admin/gaps" not in document["paths"]


def test_report_needs_an_admin_token(client: TestClient) -> None:
    """This ensures that nobody but an editor can hold the counts against what they send themselves."""
    response = client.get("/v1/admin/gaps")

    assert response.status_code == 401
    assert set(response.json()) == PROBLEM_MEMBERS


def test_report_without_readers_is_refused() -> None:
    """This ensures that the report is not switched on where nobody could read it, with both settings named."""
    with pytest.raises(ValueError, match="gap_report is on and admin_tokens is empty"):
        Settings(gap_report=True)


def test_ten_abstentions_are_told_and_nine_are_not(client: TestClient) -> None:
    """This ensures that a gap shows from the tenth abstention on, with documents that say which part it is."""
    reasons = ask(client, 9)
    nine = client.get("/v1/admin/gaps", headers=bearer(ADMIN.token)).json()

    ask(client, 1)
    ten = client.get("/v1/admin/gaps", headers=bearer(ADMIN.token)).json()

    assert reasons <= {"off_topic", "not_answered"}
    assert (nine["gaps"], nine["off_topic_at_least"]) == ([], 0)
    assert ten["off_topic_at_least"] + sum(gap["at_least"] for gap in ten["gaps"]) == 10
    assert (ten["step"], ten["processes"]) == (10, 1)


def test_gap_names_documents(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that an on-topic abstention is told by titles of the library, uncached."""
    monkeypatch.setattr("service.abstain.AbstainModel.decide", _never_answers)

    assert ask(client, 10) == {"not_answered"}
    response = client.get("/v1/admin/gaps", headers=bearer(ADMIN.token))

    (gap,) = response.json()["gaps"]
    assert gap["at_least"] == 10
    assert gap["documents"]
    assert {"id", "title"} == set(gap["documents"][0])
    assert response.headers["cache-control"] == "no-store"


def test_page_counts_like_the_api(client: TestClient) -> None:
    """This ensures that people who ask on the page are not left out."""
    for _ in range(10):
        client.post("/", data={"question": QUESTION})

    report = client.get("/v1/admin/gaps", headers=bearer(ADMIN.token)).json()

    assert report["off_topic_at_least"] + sum(gap["at_least"] for gap in report["gaps"]) == 10


def test_new_snapshot_forgets(client: TestClient, tmp_path: Path) -> None:
    """This ensures that counts end with the snapshot that they are counted in."""
    ask(client, 30)
    before = client.get("/v1/admin/gaps", headers=bearer(ADMIN.token)).json()

    after = before
    newest = write_tiny_snapshot(IndexDir(tmp_path / "index"))
    while after["snapshot_id"] != newest:
        after = client.get("/v1/admin/gaps", headers=bearer(ADMIN.token)).json()

    assert before["off_topic_at_least"] + sum(gap["at_least"] for gap in before["gaps"]) == 30
    assert (after["gaps"], after["off_topic_at_least"]) == ([], 0)


def test_nothing_of_a_question_reaches_disk_log_or_report(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This ensures that counting writes no file, logs nothing and repeats nothing of what was asked."""
    written: list[str] = []
    monkeypatch.chdir(tmp_path)

    with tiny_client(tmp_path, min_confidence=1.0, gap_report=True, admin_tokens=(ADMIN.setting,)) as client:
        before = _files(tmp_path)
        ask(client, 20)
        report = client.get("/v1/admin/gaps", headers=bearer(ADMIN.token))
        after = _files(tmp_path)
    written = [name for name in after if before.get(name) != after[name]]

    captured = capfd.readouterr()
    assert written == []
    assert CANARY not in report.text + str(report.headers) + captured.out + captured.err
    assert not any(CANARY.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_report_without_a_library_says_so(tmp_path: Path) -> None:
    """This ensures that a report before the first build is the ordinary refusal."""
    with tiny_client(tmp_path, is_built=False, gap_report=True, admin_tokens=(ADMIN.setting,)) as client:
        response = client.get("/v1/admin/gaps", headers=bearer(ADMIN.token))

    assert (response.status_code, response.json()["code"]) == (503, "no_snapshot")


def test_openapi_document_describes_the_report(client: TestClient) -> None:
    """This ensures that the route is documented with its schema and its refusals where it is served."""
    operation = client.get("/openapi.json").json()["paths"]["/v1/admin/gaps"]["get"]

    assert set(operation["responses"]) == {"200", "401", "500", "503"}


def _never_answers(*_: object) -> object:
    from service.abstain import Decision

    return Decision(0.1, "not_answered")


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {os.fspath(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in found}
