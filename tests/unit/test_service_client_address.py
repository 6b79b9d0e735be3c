"""Who sent a request behind proxies: forged headers change nothing, trusted ones count from the right."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from service.client_address import ForwardedClient, forwarded_client, parse_address

PROXIES = ("10.0.0.0/8", "2001:db8:ffff::/48")
PROXY, CLIENT, FORGED = "10.0.0.1", "203.0.113.9", "198.51.100.66"


def seen_by_app(peer: str | None, *headers: tuple[str, str], trusted: tuple[str, ...] = PROXIES) -> tuple[Scope, int]:
    """Return the scope that the application gets, and how often forged headers were met."""
    got: list[Scope] = []
    forged: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        got.append(scope)

    async def nothing(*_: object) -> dict[str, object]:
        return {}

    scope: Scope = {
        "type": "http",
        "scheme": "http",
        "path": "/",
        "client": None if peer is None else (peer, 50_000),
        "headers": [(b"host", b"inside:8000"), *((n.lower().encode(), v.encode()) for n, v in headers)],
    }
    middleware = ForwardedClient(app, trusted, lambda: forged.append(1))
    anyio.run(middleware, scope, nothing, nothing)
    return got[0], len(forged)


@pytest.mark.parametrize(
    "header",
    [
        ("X-Forwarded-For", FORGED),
        ("Forwarded", f"for={FORGED};proto=https;host=evil.example"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Real-IP", FORGED),
    ],
)
@pytest.mark.parametrize("trusted", [(), PROXIES])
def test_forged_header_changes_nothing(header: tuple[str, str], trusted: tuple[str, ...]) -> None:
    """This ensures that whoever is no trusted proxy is taken for the address it connects from, and nothing else."""
    scope, n_forged = seen_by_app(CLIENT, header, trusted=trusted)

    assert scope["client"] == (CLIENT, 50_000)
    assert scope["scheme"] == "http"
    assert scope["headers"] == [(b"host", b"inside:8000")]
    assert n_forged == 1


def test_trusted_proxy_is_believed() -> None:
    """This ensures that address, scheme and host are the client's where the operator's proxy says so."""
    scope, n_forged = seen_by_app(
        PROXY, ("X-Forwarded-For", CLIENT), ("X-Forwarded-Proto", "HTTPS"), ("X-Forwarded-Host", "ask.example.org")
    )

    assert scope["client"][0] == CLIENT
    assert scope["scheme"] == "https"
    assert dict(scope["headers"]) == {b"host": b"ask.example.org"}
    assert n_forged == 0


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ([("X-Forwarded-For", f"{FORGED}, {CLIENT}")], CLIENT),
        ([("X-Forwarded-For", f"{FORGED}, {CLIENT}, 10.9.9.9")], CLIENT),
        ([("X-Forwarded-For", FORGED), ("X-Forwarded-For", CLIENT)], CLIENT),
        ([("X-Forwarded-For", f"{CLIENT}:4711")], CLIENT),
        ([("X-Forwarded-For", "[2001:db8::7]:4711, 2001:db8:ffff::1")], "2001:db8::7"),
        ([("X-Forwarded-For", f"::ffff:{CLIENT}")], CLIENT),
        ([("X-Forwarded-For", "10.1.1.1, 10.2.2.2")], "10.1.1.1"),
        ([("X-Forwarded-For", f"{FORGED}, unknown, 10.2.2.2")], "10.2.2.2"),
        ([("X-Forwarded-For", f"{FORGED}, ")], PROXY),
        ([("X-Forwarded-For", "")], PROXY),
        ([("X-Forwarded-For", f"{FORGED}; DROP TABLE")], PROXY),
        ([("Forwarded", f'for={FORGED}, for="{CLIENT}:80";proto=https')], CLIENT),
        ([("Forwarded", 'For="[2001:db8::7]:4711"')], "2001:db8::7"),
        ([("Forwarded", "for=_hidden, for=10.3.3.3")], "10.3.3.3"),
        ([("Forwarded", f"by={FORGED};proto=http")], PROXY),
        ([("X-Forwarded-For", CLIENT), ("Forwarded", f"for={CLIENT}")], CLIENT),
        ([("X-Forwarded-For", CLIENT), ("Forwarded", f"for={FORGED}")], PROXY),
        ([("Forwarded", FORGED)], PROXY),
    ],
)
def test_right_most_untrusted_address_counts(headers: list[tuple[str, str]], client: str) -> None:
    """This ensures that what a client wrote to the left of its own address is never believed."""
    scope, _ = seen_by_app(PROXY, *headers)

    assert scope["client"][0] == client


@pytest.mark.parametrize(
    ("name", "value"),
    [("X-Forwarded-Proto", "javascript"), ("X-Forwarded-Host", "evil.example/path"), ("X-Forwarded-Host", "a b")],
)
def test_rubbish_from_a_proxy_is_left_out(name: str, value: str) -> None:
    """This ensures that only a scheme and a host that can be ones are taken over."""
    scope, _ = seen_by_app(PROXY, (name, value))

    assert (scope["scheme"], scope["headers"]) == ("http", [(b"host", b"inside:8000")])


def test_connection_without_an_address_is_nobody() -> None:
    """This ensures that a Unix socket's peer is not trusted."""
    scope, n_forged = seen_by_app(None, ("X-Forwarded-For", FORGED))

    assert scope["client"] is None
    assert n_forged == 1


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_header_gives_an_address(forwarded_for: bytes, forwarded: bytes) -> None:
    """This ensures that no header can break a request."""
    headers = Headers(raw=[(b"x-forwarded-for", forwarded_for), (b"forwarded", forwarded)])

    found = forwarded_client(ip_address(PROXY), headers, [ip_network(p) for p in PROXIES])

    assert parse_address(str(found)) == found
