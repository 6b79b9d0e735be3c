"""How often one client may ask: counts, windows, what is told, and that no address is kept."""

from __future__ import annotations

import pickle

import pytest

from service import rate_limit
from service.rate_limit import ROTATION_S, RateLimiter

ADDRESS = "203.0.113.77"


class Clocks:
    """A monotonic clock and a wall clock that are moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.wall = 1_000.0, 1_700_000_000.0
        # The library counts by the wall clock.
        monkeypatch.setattr("limits.storage.memory.time.time", lambda: self.wall)

    def limiter(self, rate: str) -> RateLimiter:
        """Return a limiter that goes by these clocks."""
        return RateLimiter(rate, clock=lambda: self.now, wall_clock=lambda: self.wall)

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.wall += seconds


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    """Return clocks that stand still."""
    return Clocks(monkeypatch)


def test_limit_holds_in_every_window(clocks: Clocks) -> None:
    """This ensures that in no minute there are more than three, wherever the minute begins."""
    limiter = clocks.limiter("3/minute")
    allowed = []
    for second in range(0, 180, 10):
        if limiter.ask(ADDRESS).is_allowed:
            allowed.append(second)
        clocks.move(10)

    assert allowed[:3] == [0, 10, 20]
    assert all(sum(start <= second < start + 60 for second in allowed) <= 3 for start in range(180))
    assert len(allowed) >= 8


def test_refusal_says_when_to_come_back(clocks: Clocks) -> None:
    """This ensures that whoever waits as long as told, and no longer, is answered."""
    limiter = clocks.limiter("2/minute")
    limiter.ask(ADDRESS)
    clocks.move(20)
    last, refused = limiter.ask(ADDRESS), limiter.ask(ADDRESS)
    clocks.move(refused.reset_s - 1)
    too_early = limiter.ask(ADDRESS)
    clocks.move(2)

    assert last.headers() == {"ratelimit-policy": '"ask";q=2;w=60', "ratelimit": '"ask";r=0;t=40'}
    assert refused.headers()["retry-after"] == "40"
    assert not too_early.is_allowed
    assert limiter.ask(ADDRESS).is_allowed


def test_clients_are_told_apart(clocks: Clocks) -> None:
    """This ensures that one client's questions are not counted for another, IPv6 by the network of a household."""
    limiter = clocks.limiter("1/minute")

    assert limiter.ask("203.0.113.1").is_allowed
    assert limiter.ask("203.0.113.2").is_allowed
    assert not limiter.ask("::ffff:203.0.113.1").is_allowed
    assert limiter.ask("2001:db8:0:1::1").is_allowed
    assert not limiter.ask("2001:db8:0:1:ffff::2").is_allowed
    assert limiter.ask("2001:db8:0:2::1").is_allowed
    assert limiter.ask(None).is_allowed
    assert not limiter.ask("no address").is_allowed


def test_no_address_is_kept(clocks: Clocks) -> None:
    """This ensures that neither the address nor a plain hash of it is anywhere in what the limiter holds."""
    import hashlib
    from ipaddress import ip_address

    limiter = clocks.limiter("5/minute")
    limiter.ask(ADDRESS)
    packed = ip_address(ADDRESS).packed

    held = repr(vars(limiter)) + repr(vars(limiter._storage)) + repr(pickle.dumps(dict(limiter._storage.events)))

    assert ADDRESS not in held
    assert packed.hex() not in held
    for digest in (hashlib.sha256, hashlib.md5, hashlib.blake2b):
        for text in (packed, ADDRESS.encode()):
            assert digest(text).hexdigest()[:16] not in held


def test_key_is_forgotten_with_its_counts(clocks: Clocks) -> None:
    """This ensures that after an hour nothing of the old counts or of their key is left."""
    limiter = clocks.limiter("1/hour")
    limiter.ask(ADDRESS)
    before, salt = limiter._key(ADDRESS), limiter._salt
    clocks.move(ROTATION_S + 1)
    limiter.ask("203.0.113.1")

    assert limiter._key(ADDRESS) != before
    assert before not in str(dict(limiter._storage.events))
    assert limiter._salt != salt


def test_two_limiters_have_keys_of_their_own(clocks: Clocks) -> None:
    """This ensures that the hash of one process says nothing about that of another."""
    assert clocks.limiter("1/minute")._key(ADDRESS) != clocks.limiter("1/minute")._key(ADDRESS)


def test_clock_that_goes_back_locks_nobody_out(clocks: Clocks) -> None:
    """This ensures that after a clock is set back an hour a client waits no longer than its window."""
    limiter = clocks.limiter("1/minute")
    limiter.ask(ADDRESS)
    clocks.wall -= 3_600
    clocks.now += 1

    assert limiter.ask(ADDRESS).is_allowed


def test_many_clients_take_bounded_memory(clocks: Clocks, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that somebody with a network of addresses can't fill the memory."""
    monkeypatch.setattr(rate_limit, "MOST_CLIENTS", 50)
    limiter = clocks.limiter("1/minute")

    for number in range(500):
        limiter.ask(f"2001:db8:0:{number:x}::1")

    assert len(limiter._storage.events) <= 52
