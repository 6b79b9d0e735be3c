"""
Who sent a request, when proxies stand between. Believes forwarding headers of the operator's own proxies alone.

A client can send any header. A proxy appends the address that it saw to X-Forwarded-For or Forwarded, so the right-most
address that is no trusted proxy is the last one that anybody trustworthy has seen; all to its left is hearsay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

Address = IPv4Address | IPv6Address

_FORWARDING = frozenset(
    (b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port", b"x-real-ip")
)
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
# RFC 7239, section 4: pairs separated by semicolons, a value is a token or stands in quotation marks.
_PAIR = re.compile(r"\s*([A-Za-z]+)=(?:\"([^\"\\]*)\"|([^\s\";,]*))\s*(?:;|$)")
# More hops than anybody has; the rest of such a header is an attack on whoever reads it.
_MOST_HOPS = 32


class ForwardedClient:
    """
    Puts the client's address, scheme and host in the scope, and takes the forwarding headers out of it.

    What runs inside can neither believe nor log a forged header. `on_untrusted` is called when an address that is not
    trusted sends one: perhaps a proxy that the operator forgot, whose clients then share one rate limit.
    """

    def __init__(
        self, app: ASGIApp, trusted: Sequence[str] = (), on_untrusted: Callable[[], None] = lambda: None
    ) -> None:
        self._app = app
        self._trusted = tuple(ip_network(network) for network in trusted)
        self._on_untrusted = on_untrusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "http" and any(name in _FORWARDING for name, _ in scope["headers"]):
            scope = self._resolved(scope)
        await self._app(scope, receive, send)

    def _resolved(self, scope: Scope) -> Scope:
        inner: Scope = {**scope, "headers": [(n, v) for n, v in scope["headers"] if n not in _FORWARDING]}
        peer = parse_address(scope["client"][0]) if scope.get("client") else None
        if peer is None or not is_trusted(peer, self._trusted):
            self._on_untrusted()
            return inner
        headers = Headers(scope=scope)
        inner["client"] = (str(forwarded_client(peer, headers, self._trusted)), 0)
        scheme = _last(headers.getlist("x-forwarded-proto")).lower()
        if scheme in ("http", "https"):
            inner["scheme"] = scheme
        host = _last(headers.getlist("x-forwarded-host"))
        if _HOST.fullmatch(host):
            inner["headers"] = [*((n, v) for n, v in inner["headers"] if n != b"host"), (b"host", host.encode())]
        return inner


def forwarded_client(peer: Address, headers: Headers, trusted: Sequence[IPv4Network | IPv6Network]) -> Address:
    """
    Return the right-most address that is no trusted proxy; the peer where the headers lead nowhere.

    Where both headers are there and disagree, one of them passed through a proxy that does not know it, and the client
    may have forged it: then nobody is believed and the peer counts.
    """
    found = {
        _walk(peer, hops, trusted)
        for hops in (_listed(headers.getlist("x-forwarded-for")), _forwarded_for(headers.getlist("forwarded")))
        if hops
    }
    return found.pop() if len(found) == 1 else peer


def parse_address(text: str) -> Address | None:
    """Return an address without port, brackets and zone, an IPv4 address in IPv6 clothes as IPv4; None for others."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def is_trusted(address: Address, trusted: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Tell whether an address is one of the operator's proxies."""
    return any(address.version == network.version and address in network for network in trusted)


def _walk(peer: Address, hops: Sequence[str], trusted: Sequence[IPv4Network | IPv6Network]) -> Address:
    client = peer
    for hop in reversed(hops[-_MOST_HOPS:]):
        address = parse_address(hop)
        if address is None:  # "unknown", a made-up name, rubbish: whoever stands to its left can't be told
            return client
        client = address
        if not is_trusted(address, trusted):
            return client
    return client


def _listed(values: Sequence[str]) -> list[str]:
    """Return the entries of all lines of a header, in order; lines of one name are one list (RFC 9110, 5.3)."""
    return [part.strip() for value in values for part in value.split(",")]


def _forwarded_for(values: Sequence[str]) -> list[str]:
    hops = []
    for element in _listed(values):
        pairs = {name.lower(): quoted or token for name, quoted, token in _PAIR.findall(element)}
        hops.append(pairs.get("for", ""))
    return hops


def _last(values: Sequence[str]) -> str:
    entries = _listed(values)
    return entries[-1] if entries else ""
