"""The figures for monitoring: what is counted, with which labels, and nothing of anybody's."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from service_support import tiny_client
from starlette.testclient import TestClient

from index.store import IndexDir
from service.metrics import Metrics, SnapshotFacts

NOTICES = Path(__file__).parents[2] / "corpus" / "notices.toml"
PHASES = {"parse", "notices", "understand", "retrieve", "judge", "decide", "quote", "total"}
LABELS = {"phase", "route", "status", "code", "outcome", "reason", "notice", "what", "le", "id", "model"}


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return value by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(text: str, name: str, **labels: str) -> float:
    return samples(text)[name, tuple(sorted(labels.items()))]


def test_what_happens_is_counted(tmp_path: Path) -> None:
    """This ensures that answers, notices, errors and phases are counted once each, by codes and not by contents."""
    with tiny_client(tmp_path, rate_limit="3/minute", notices=NOTICES) as client:
        client.post("/v1/ask", json={"question": "what is methadone"})
        client.post("/v1/ask", json={"question": "somebody is not breathing, lips are blue"})
        client.post("/v1/ask", json={"question": ""})
        client.post("/v1/ask", json={"question": "once more"})
        client.get("/v1/documents/none/such.md")
        client.get("/nowhere/at/all")
        reply = client.get("/metrics")
    text = reply.text

    assert reply.headers["content-type"].startswith("text/plain; version=")
    assert value(text, "citewell_answers_total", outcome="answered", reason="") == 2
    assert value(text, "citewell_notices_total", notice="overdose") == 1
    assert value(text, "citewell_errors_total", status="429", code="rate_limited") == 1
    assert value(text, "citewell_errors_total", status="422", code="question_empty") == 1
    assert value(text, "citewell_errors_total", status="404", code="not_found") == 2
    assert value(text, "citewell_request_seconds_count", route="/v1/ask", status="200") == 2
    assert value(text, "citewell_request_seconds_count", route="unmatched", status="404") == 1
    assert {labels[0][1] for name, labels in samples(text) if name == "citewell_phase_seconds_count"} == PHASES
    for phase in PHASES - {"parse"}:
        assert value(text, "citewell_phase_seconds_count", phase=phase) == 2
    assert value(text, "citewell_requests_in_flight") == 1
    assert value(text, "citewell_snapshot_documents") == 4
    assert 0 <= value(text, "citewell_snapshot_age_seconds") < 600
    assert value(text, "citewell_resident_bytes") > 10_000_000


def test_labels_are_few_and_private(tmp_path: Path) -> None:
    """This ensures that no path, address, question or request id becomes a label, whatever is sent."""
    canary = "canary7f3a"
    with tiny_client(tmp_path) as client:
        for n in range(20):
            client.get(
                f"/{canary}{n}?q={canary}", headers={"x-request-id": f"{canary}-{n}", "x-forwarded-for": "10.9.8.7"}
            )
            client.request(f"{canary}{n}".upper(), "/v1/ask")
            client.post("/v1/ask", json={"question": f"{canary} {n}"})
        text = client.get("/metrics").text

    assert canary not in text.lower()
    assert "testclient" not in text
    assert "10.9.8.7" not in text
    assert {name for _, labels in samples(text) for name, _ in labels} <= LABELS
    routes = {dict(labels)["route"] for name, labels in samples(text) if name == "citewell_request_seconds_count"}
    assert routes <= {"/v1/ask", "unmatched"}


def test_metrics_can_be_switched_off(tmp_path: Path) -> None:
    """This ensures that an operator who wants no figures has no address for them."""
    with tiny_client(tmp_path, metrics=False) as client:
        assert client.post("/v1/ask", json={"question": "methadone"}).status_code == 200
        assert client.get("/metrics").status_code == 404


def test_failed_reload_is_counted(tmp_path: Path) -> None:
    """This ensures that a damaged snapshot shows in the figures, once and not at every look."""
    with tiny_client(tmp_path, is_built=False, refresh_s=0.05) as client:
        index = IndexDir(tmp_path / "index").path
        index.mkdir(exist_ok=True)
        wait_for(client, 'citewell_reload_failures_total{what="snapshot"} 1.0')
        text = client.get("/metrics").text

    assert "citewell_snapshot_info" not in text


def wait_for(client: TestClient, line: str) -> None:
    import time

    until = time.monotonic() + 20
    while line not in client.get("/metrics").text:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_each_has_figures_of_its_own() -> None:
    """This ensures that nothing is shared between two of them through a registry of the process."""
    one, other = Metrics(), Metrics()
    one.failed(404, "not_found")
    one.look(SnapshotFacts("20260101T000000Z-12345678", "2026-01-01T00:00:00Z", "model", 3, 9))

    assert value(one.text().decode(), "citewell_errors_total", status="404", code="not_found") == 1
    assert not any("errors" in name and "total" in name for name, _ in samples(other.text().decode()))
    assert value(one.text().decode(), "citewell_snapshot_passages") == 9
