"""Limits over HTTP: how often, how many, how long, how large; and that no refusal keeps a notice from anybody."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from service_support import PROBLEM_MEMBERS, hashing_encoder, tiny_client
from starlette.testclient import TestClient

from index.live import LiveSnapshot
from index.model import Float32
from index.store import IndexDir
from index.testing import HashingEmbedder, write_tiny_snapshot
from service.app import create_app
from service.settings import Settings

NOTICES = Path(__file__).parents[2] / "corpus" / "notices.toml"
DANGER = "my brother zanzibar is not breathing and his lips are blue"
ORDINARY = "what is methadone"
JSON = {"content-type": "application/json"}
BROWSER = {"accept": "text/html"}
NEVER_LIMITED = ("/v1/health", "/v1/health/live", "/v1/health/ready", "/metrics")


class SlowEncoder(HashingEmbedder):
    """An encoder that hangs while it is told to; the warm-up question comes through."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.n_hanging = 0

    def encode_queries(self, texts: Sequence[str]) -> Float32:
        """Return vectors, once it may."""
        if not any("warm up" in text for text in texts):
            self.n_hanging += 1
            assert self.go_on.wait(60)
        return super().encode_queries(texts)


@contextmanager
def hanging_client(folder: Path, **settings: object) -> Iterator[tuple[TestClient, SlowEncoder]]:
    """Serve a tiny snapshot with an encoder that hangs until it is let go."""
    index_dir, encoder = IndexDir(folder / "index"), SlowEncoder()
    write_tiny_snapshot(index_dir)
    chosen = Settings(index_dir=index_dir.path, **{"min_confidence": 0.0, "rate_limit": "", **settings})
    app = create_app(chosen, LiveSnapshot(index_dir), lambda _: encoder)
    with TestClient(app, follow_redirects=False) as client:
        try:
            yield client, encoder
        finally:
            encoder.go_on.set()


def wait_until(is_so: object) -> None:
    until = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_too_many_questions_are_refused_and_said_when_to_come_back(tmp_path: Path) -> None:
    """This ensures that the third of two questions a minute has status 429, the one shape, and the fields."""
    with tiny_client(tmp_path, rate_limit="2/minute") as client:
        first = client.post("/v1/ask", json={"question": ORDINARY})
        client.post("/", data={"question": ORDINARY})
        refused = client.post("/v1/ask", json={"question": ORDINARY})
        reading = [client.get(path).status_code for path in ("/", "/v1/documents", *NEVER_LIMITED)]

    assert (first.status_code, refused.status_code) == (200, 429)
    assert first.headers["ratelimit"] == '"ask";r=1;t=60'
    assert refused.headers["ratelimit-policy"] == '"ask";q=2;w=60'
    assert refused.headers["ratelimit"].startswith('"ask";r=0;t=')
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert set(refused.json()) == PROBLEM_MEMBERS
    assert refused.json()["code"] == "rate_limited"
    assert reading == [200] * 6


def test_limited_page_is_readable(tmp_path: Path) -> None:
    """This ensures that a browser gets a page that says what happened and when to come back, without the question."""
    with tiny_client(tmp_path, rate_limit="1/minute", notices=NOTICES) as client:
        client.post("/", data={"question": "first"})
        page = client.post("/", data={"question": DANGER}, headers=BROWSER)

    assert page.status_code == 429
    assert "Too many questions" in page.text
    assert "retry-after" in page.headers
    assert page.text.index("This may be an overdose") < page.text.index("<h2>Too many questions")
    assert "zanzibar" not in page.text


@pytest.mark.parametrize("path", ["/v1/ask", "/"])
def test_refusals_bring_the_notice(tmp_path: Path, path: str) -> None:
    """This ensures that somebody in danger is met whether limited, too wordy, or wrong in another field."""
    story = f"{DANGER} please help. " + "he was at a party and then it all happened " * 200

    def send(client: TestClient, text: str, **fields: object) -> object:
        if path == "/":
            return client.post(path, data={"question": text, **fields})
        return client.post(path, json={"question": text, **fields})

    with tiny_client(tmp_path, rate_limit="4/minute", notices=NOTICES, country="US") as client:
        replies = {
            "question_too_long": send(client, story),
            "body_too_large": send(client, story * 9),
            "request_invalid": send(client, DANGER, **({"top_k": 0} if path != "/" else {"colour": "red"})),
        }
        quiet = send(client, "methadone " * 1_000)
        send(client, ORDINARY)
        send(client, ORDINARY)
        replies["rate_limited"] = send(client, DANGER)

    for code, reply in replies.items():
        assert reply.json()["code"] == code
        assert reply.json()["notices"][0]["id"] == "overdose", code
        assert reply.json()["notices"][0]["links"][0]["href"] == "tel:911"
        assert "zanzibar" not in reply.text
    assert set(quiet.json()) == PROBLEM_MEMBERS


def test_cut_off_and_broken_json_bring_the_notice(tmp_path: Path) -> None:
    """This ensures that a slip in the request does not keep the notice back."""
    with tiny_client(tmp_path, notices=NOTICES) as client:
        broken = client.post("/v1/ask", content=f'{{"question": "{DANGER}", ', headers=JSON)

    assert broken.status_code == 422
    assert broken.json()["notices"][0]["id"] == "overdose"


def test_request_without_a_place_is_refused_at_once(tmp_path: Path) -> None:
    """This ensures that beyond threads and queue people are told to come back, with their notice, health answers."""
    with hanging_client(tmp_path, threads=1, max_waiting=1, notices=NOTICES) as (client, encoder):
        with ThreadPoolExecutor(2) as others:
            waiting = [others.submit(client.post, "/v1/ask", json={"question": ORDINARY}) for _ in range(2)]
            wait_until(
                lambda: encoder.n_hanging == 1 and "in_flight 2.0" in client.get("/metrics").text.replace("3.0", "2.0")
            )
            started = time.monotonic()
            refused = client.post("/v1/ask", json={"question": DANGER})
            listed = client.get("/v1/documents")
            took_s = time.monotonic() - started
            health = [client.get(path).status_code for path in NEVER_LIMITED]
            encoder.go_on.set()
            answered = [reply.result(60).status_code for reply in waiting]
        afterwards = client.post("/v1/ask", json={"question": ORDINARY})

    assert (refused.status_code, listed.status_code) == (503, 503)
    assert refused.json()["code"] == "too_busy"
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["notices"][0]["id"] == "overdose"
    assert took_s < 2.0
    assert health == [200] * 4
    assert answered == [200, 200]
    assert afterwards.status_code == 200


def test_hanging_thread_is_answered_in_time_and_keeps_its_place(tmp_path: Path) -> None:
    """This ensures that a hang ends in a 503 with the notice, then in quick refusals, and heals when it is over."""
    options = {"threads": 1, "max_waiting": 0, "request_timeout_s": 0.6, "body_timeout_s": 0.3, "notices": NOTICES}
    with hanging_client(tmp_path, **options) as (client, encoder):
        late = client.post("/v1/ask", json={"question": DANGER})
        meanwhile = client.post("/v1/ask", json={"question": ORDINARY})
        health = client.get("/v1/health/live")
        encoder.go_on.set()
        wait_until(lambda: client.post("/v1/ask", json={"question": ORDINARY}).status_code == 200)

    assert (late.status_code, late.json()["code"]) == (503, "timed_out")
    assert late.headers["retry-after"]
    assert late.json()["notices"][0]["id"] == "overdose"
    assert (meanwhile.status_code, meanwhile.json()["code"]) == (503, "too_busy")
    assert health.status_code == 200


def test_other_sites_can_read_the_limits(tmp_path: Path) -> None:
    """This ensures that a page of an allowed site sees Retry-After and the rate limit, also on a refusal."""
    origin = "https://site.example"
    with tiny_client(tmp_path, cors_origins=(origin,), rate_limit="1/minute") as client:
        client.post("/v1/ask", json={"question": ORDINARY}, headers={"origin": origin})
        refused = client.post("/v1/ask", json={"question": ORDINARY}, headers={"origin": origin})
        stranger = client.get("/v1/documents", headers={"origin": "https://other.example"})

    assert refused.status_code == 429
    assert refused.headers["access-control-allow-origin"] == origin
    exposed = {name.strip() for name in refused.headers["access-control-expose-headers"].split(",")}
    assert {"retry-after", "ratelimit", "ratelimit-policy", "x-request-id"} <= exposed
    assert "access-control-allow-origin" not in stranger.headers


def test_every_site_never_comes_with_credentials(tmp_path: Path) -> None:
    """This ensures that "*" lets nobody use a visitor's log-in."""
    with tiny_client(tmp_path, cors_origins=("*",)) as client:
        headers = {"origin": "https://site.example", "access-control-request-method": "POST"}
        replies = [client.options("/v1/ask", headers=headers), client.get("/v1/documents", headers=headers)]

    for reply in replies:
        assert reply.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in reply.headers


def test_forged_address_buys_no_more_questions(tmp_path: Path) -> None:
    """This ensures that a made-up forwarding header neither evades the limit nor stays unsaid."""
    with tiny_client(tmp_path, rate_limit="1/minute") as client:
        statuses = [
            client.post(
                "/v1/ask", json={"question": ORDINARY}, headers={"x-forwarded-for": f"203.0.113.{n}"}
            ).status_code
            for n in range(3)
        ]
        warnings = client.get("/v1/health").json()["warnings"]

    assert statuses == [200, 429, 429]
    assert any("trusted_proxies" in warning for warning in warnings)


def test_clients_behind_a_trusted_proxy_have_limits_of_their_own(tmp_path: Path) -> None:
    """This ensures that the operator's proxy is believed, and only its last word."""
    index_dir = IndexDir(tmp_path / "index")
    write_tiny_snapshot(index_dir)
    settings = Settings(index_dir=index_dir.path, rate_limit="1/minute", trusted_proxies=("10.0.0.1",))
    app = create_app(settings, LiveSnapshot(index_dir), hashing_encoder)

    with TestClient(app, client=("10.0.0.1", 1)) as client:
        statuses = [
            client.post("/v1/ask", json={"question": ORDINARY}, headers={"x-forwarded-for": sent}).status_code
            for sent in ("203.0.113.1", "203.0.113.2", "203.0.113.99, 203.0.113.1", "203.0.113.98, 203.0.113.2")
        ]

    assert statuses == [200, 200, 429, 429]
