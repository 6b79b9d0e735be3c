"""Crisis notices over HTTP: with an index, without one, and when answering fails. The text stays out of the log."""

from __future__ import annotations

from pathlib import Path

import pytest
from service_support import tiny_client
from structlog.testing import capture_logs

from index.errors import SnapshotCorrupt

NOTICES = Path(__file__).parents[2] / "corpus" / "notices.toml"
DANGER = "my brother zanzibar is not breathing and his lips are blue"
ORDINARY = "what is methadone"


def test_notice_comes_without_an_index(tmp_path: Path) -> None:
    """This ensures that somebody in danger is met although nothing was built, and others get the error."""
    with tiny_client(tmp_path, is_built=False, notices=NOTICES, country="US") as client:
        danger = client.post("/v1/ask", json={"question": DANGER})
        ordinary = client.post("/v1/ask", json={"question": ORDINARY})

    reply = danger.json()
    assert (danger.status_code, ordinary.status_code) == (200, 503)
    assert (reply["answered"], reply["reason"], reply["snapshot"]) == (False, "no_index", None)
    assert (reply["notices"][0]["kind"], reply["notices"][0]["id"]) == ("crisis", "overdose")
    assert reply["notices"][0]["links"][0]["href"] == "tel:911"
    assert danger.headers["cache-control"] == "no-store"


def test_page_shows_the_notice_without_an_index(tmp_path: Path) -> None:
    """This ensures that the page for people does the same, without scripts."""
    with tiny_client(tmp_path, is_built=False, notices=NOTICES) as client:
        page = client.post("/", data={"question": DANGER})

    assert page.status_code == 200
    assert page.text.index("This may be an overdose") < page.text.index("Nothing can be quoted just now")


def test_notice_says_its_language(tmp_path: Path) -> None:
    """This ensures that a screen reader speaks a Spanish notice on an English page with a Spanish voice."""
    spanish = "mi hermano no respira y tiene los labios azules, tomó heroína"
    with tiny_client(tmp_path, notices=NOTICES) as client:
        reply = client.post("/v1/ask", json={"question": spanish}).json()
        page = client.post("/", data={"question": spanish}).text

    assert reply["notices"][0]["language"] == "es"
    assert '<section class="notice" role="alert" lang="es">' in page


def test_notice_stands_beside_an_answer(tmp_path: Path) -> None:
    """This ensures that with an index the notice comes first and the passages still follow."""
    with tiny_client(tmp_path, notices=NOTICES) as client:
        reply = client.post("/v1/ask", json={"question": f"{DANGER}, does methadone do that"}).json()

    assert reply["notices"][0]["id"] == "overdose"
    assert reply["passages"]


def test_ordinary_question_brings_none(tmp_path: Path) -> None:
    """This ensures that the notice keeps its meaning."""
    with tiny_client(tmp_path, notices=NOTICES) as client:
        assert client.post("/v1/ask", json={"question": ORDINARY}).json()["notices"] == []


@pytest.mark.parametrize("error", [RuntimeError(DANGER), SnapshotCorrupt("damaged", where="x", fix="build")])
def test_failure_does_not_keep_the_notice_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """This ensures that whatever breaks while answering, the notice is sent, and the log holds no word of the text."""

    def fail(*_: object, **__: object) -> None:
        raise error

    with tiny_client(tmp_path, notices=NOTICES) as client:
        monkeypatch.setattr("service.runtime.answer_question", fail)
        with capture_logs() as lines:
            danger = client.post("/v1/ask", json={"question": DANGER})
            ordinary = client.post("/v1/ask", json={"question": ORDINARY})

    assert danger.json()["notices"][0]["id"] == "overdose"
    assert ordinary.status_code >= 500
    assert any(line["event"] == "answered_with_notices_alone" for line in lines)
    assert "zanzibar" not in str(lines)


def test_missing_notices_are_said_in_health(tmp_path: Path) -> None:
    """This ensures that an operator learns that nobody in danger would be met."""
    with tiny_client(tmp_path, notices=tmp_path / "none.toml") as client:
        reply = client.post("/v1/ask", json={"question": DANGER}).json()
        warnings = client.get("/v1/health").json()["warnings"]

    assert reply["notices"] == []
    assert any("no crisis notices" in warning for warning in warnings)


def test_expired_entries_are_said_in_health(tmp_path: Path) -> None:
    """This ensures that a number that was not checked again is neither shown nor forgotten."""
    path = tmp_path / "notices.toml"
    checked, long_ago = (
        "verified_on = 2026-11-22\nexpires = 2027-05-22",
        "verified_on = 2020-01-01\nexpires = 2020-06-01",
    )
    path.write_text(NOTICES.read_text("utf-8").replace(checked, long_ago), "utf-8")
    with tiny_client(tmp_path, notices=path, country="US") as client:
        warnings = client.get("/v1/health").json()["warnings"]

    assert any("us-911" in warning and "expired" in warning for warning in warnings)
