"""Links over long histories of a library that is edited at will, held against an oracle that remembers everything."""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from permalinks_support import ACTS, EditedLibrary, Oracle

from index.snapshot import open_snapshot
from index.store import IndexDir
from index.verify import verify_snapshot

# A failing history is shown as it is: making it shorter takes hundreds of rebuilds.
PHASES = (Phase.explicit, Phase.generate)
SLOW = list(HealthCheck)
# What an editor does between two builds, and whether somebody rolls back after the second.
DAYS = st.lists(
    st.tuples(st.lists(st.sampled_from(ACTS), min_size=1, max_size=4), st.sampled_from([False, False, False, True])),
    min_size=20,
    max_size=22,
)


def live_through(folder: Path, seed: int, days: list[tuple[list[str], bool]]) -> Oracle:
    """Publish every day and check every id after each build and rollback."""
    library = EditedLibrary(random.Random(seed))
    for _ in range(3):
        library.act("add")
    oracle = Oracle(IndexDir(folder), library)
    oracle.publish()
    for acts, is_rolled_back in days:
        for act in acts:
            library.act(act)
        oracle.publish()
        oracle.check()
        if is_rolled_back:
            oracle.rollback()
            oracle.check()
    return oracle


@given(seed=st.integers(0, 10_000), days=DAYS)
@settings(max_examples=3, deadline=None, derandomize=True, database=None, phases=PHASES, suppress_health_check=SLOW)
def test_no_link_ever_says_a_wrong_word(seed: int, days: list[tuple[list[str], bool]]) -> None:
    """This ensures that over 20 rebuilds of any kind each id published leads where the truth is, or says it is gone."""
    with TemporaryDirectory() as folder:
        live_through(Path(folder), seed, days)


def test_links_follow_most_of_what_can_be_followed(tmp_path: Path) -> None:
    """This ensures that being careful is not being useless: of passages that were edited nine in ten are found."""
    chance = random.Random(7)
    days = [(chance.choices(ACTS, k=3), day % 6 == 5) for day in range(24)]

    oracle = live_through(tmp_path, 7, days)

    assert oracle.n_followed > 50
    assert oracle.n_followed >= 9 * oracle.n_lost
    assert min(oracle.seen[state] for state in ("same", "moved", "changed", "withdrawn")) > 20
    with open_snapshot(oracle.index_dir) as snapshot:
        assert verify_snapshot(snapshot).is_sound
