"""
How often one client may ask. Keeps no address: clients are told apart by a keyed hash whose key is soon forgotten.

In memory, one a process. The only module that imports `limits`. Call it from one thread, the event loop's.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from ipaddress import IPv6Address

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from service.client_address import parse_address

# The key of the hash lives so long, and all counts with it: afterwards nobody can tell whether an address ever asked.
ROTATION_S = 3_600.0
# About 2 KB each. Whoever has more addresses than this is not held up by counting them.
MOST_CLIENTS = 100_000
# Providers give a household or a server at least this much of IPv6 (RFC 6177).
_IPV6_PREFIX = 64


@dataclass(frozen=True, slots=True)
class Allowance:
    """
    What is left to a client after a question.

    `limit` questions in `window_s` seconds; `remaining` of them are left; in `reset_s` seconds there is one more.
    """

    is_allowed: bool
    limit: int
    window_s: int
    remaining: int
    reset_s: int

    def headers(self) -> dict[str, str]:
        """
        Return the header fields that tell a program so.

        Source: draft-ietf-httpapi-ratelimit-headers-10 (2025), sections 3 and 4; Retry-After is RFC 9110, 10.2.3.
        """
        fields = {
            "ratelimit-policy": f'"ask";q={self.limit};w={self.window_s}',
            "ratelimit": f'"ask";r={self.remaining};t={self.reset_s}',
        }
        return fields if self.is_allowed else {**fields, "retry-after": str(self.reset_s)}


class RateLimiter:
    """
    Counts questions by client over a moving window, so that in no window of that length there are more than the limit.

    Args:
        rate: such as "60/minute"; the window is an hour at most, as no count outlives the key.
        clock: monotonic seconds, for the rotation.
        wall_clock: seconds; the library counts by it.
    """

    def __init__(
        self,
        rate: str,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._item: RateLimitItem = parse(rate)
        self._clock = clock
        self._wall_clock = wall_clock
        self._last_seen = wall_clock()
        self._renew()

    def ask(self, client: str | None) -> Allowance:
        """
        Count one question and say whether it may be answered.

        Args:
            client: the address of who asks; None and what is no address are one client together.
        """
        now = self._wall_clock()
        is_back_in_time = now < self._last_seen  # entries of the future would count until then
        if is_back_in_time or self._clock() - self._born >= ROTATION_S or len(self._storage.events) > MOST_CLIENTS:
            self._renew()
        self._last_seen = now
        key = self._key(client)
        is_allowed = self._limiter.hit(self._item, key)
        stats = self._limiter.get_window_stats(self._item, key)
        window_s = self._item.get_expiry()
        reset_s = min(max(1, math.ceil(stats.reset_time - now)), window_s)
        return Allowance(is_allowed, self._item.amount, window_s, max(0, stats.remaining), reset_s)

    def _renew(self) -> None:
        """Forget all clients, and what would be needed to recognise them."""
        self._salt = secrets.token_bytes(32)
        self._storage = MemoryStorage()
        self._limiter = MovingWindowRateLimiter(self._storage)
        self._born = self._clock()

    def _key(self, client: str | None) -> str:
        address = parse_address(client) if client else None
        if address is None:
            packed = b""
        elif isinstance(address, IPv6Address):
            packed = address.packed[: _IPV6_PREFIX // 8]
        else:
            packed = address.packed
        return blake2b(packed, key=self._salt, digest_size=16).hexdigest()
