"""The values used last."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from index.recent import Recent


def test_what_was_not_used_for_longest_goes_first() -> None:
    """This ensures that asking for a value keeps it, and that no more are held than allowed."""
    recent: Recent[int, str] = Recent(2)
    recent.put({1: "one", 2: "two"})
    recent.get([1])

    recent.put({3: "three"})

    assert recent.get([1, 2, 3]) == {1: "one", 3: "three"}


def test_more_than_fit_leaves_the_last() -> None:
    """This ensures that one large reading does not pass the limit."""
    recent: Recent[int, int] = Recent(3)

    recent.put({i: i for i in range(10)})

    assert recent.get(range(10)) == {7: 7, 8: 8, 9: 9}


def test_many_threads_may_use_it_at_once() -> None:
    """This ensures that no value is lost or mixed up while others are put."""
    recent: Recent[int, int] = Recent(16)

    def use(i: int) -> bool:
        recent.put({i % 40: i % 40})
        return all(key == value for key, value in recent.get(range(40)).items())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(2_000)))
