"""The texts read last."""

import sys

from index.text_cache import TextCache


def test_least_recently_used_texts_go_first() -> None:
    """This ensures that what is asked for again and again stays."""
    size = sys.getsizeof("x" * 100)
    cache = TextCache(3 * size)
    for key in "abc":
        cache.put(key, key * 100)
    cache.get("a")

    cache.put("d", "d" * 100)

    assert [key for key in "abcd" if cache.get(key)] == ["a", "c", "d"]


def test_a_text_over_the_limit_drops_nothing() -> None:
    """This ensures that one huge document does not empty the cache."""
    cache = TextCache(sys.getsizeof("x" * 100))
    cache.put("small", "x" * 100)

    cache.put("huge", "x" * 10_000)

    assert cache.get("huge") is None
    assert cache.get("small") == "x" * 100


def test_putting_twice_counts_once() -> None:
    """This ensures that two threads loading the same text do not shrink the cache."""
    cache = TextCache(2 * sys.getsizeof("x" * 100))
    cache.put("a", "a" * 100)
    cache.put("a", "a" * 100)

    cache.put("b", "b" * 100)

    assert cache.get("a") == "a" * 100
    assert cache.get("b") == "b" * 100
