"""The embedding cache."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from index.model import PassageVectors
from index.vector_cache import VectorCache, cached_keys


def vectors(seed: int, rows: int = 3, d: int = 8) -> PassageVectors:
    random = np.random.default_rng(seed)
    matrix = random.standard_normal((rows + 1, d)).astype(np.float16).astype(np.float32)
    return PassageVectors(matrix[0], matrix[1:])


def same(one: PassageVectors, other: PassageVectors) -> bool:
    return one.passage.tobytes() == other.passage.tobytes() and one.evidence.tobytes() == other.evidence.tobytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "vectors.sqlite"


def test_vectors_come_back_bit_for_bit(path: Path) -> None:
    """This ensures that a build from the cache equals one from the model, also after a restart."""
    keys = [f"{i:064x}" for i in range(1_200)]
    with VectorCache.open(path) as cache:
        cache.put_many("model", ((key, vectors(i, rows=1 + i % 4)) for i, key in enumerate(keys)))

    with VectorCache.open(path) as cache:
        found = cache.get_many("model", [*keys, "unknown"])

    assert found.keys() == set(keys)
    assert all(same(found[key], vectors(i, rows=1 + i % 4)) for i, key in enumerate(keys))
    assert found[keys[0]].passage.dtype == np.float32
    assert found[keys[0]].evidence.shape == (1, 8)


def test_models_do_not_share_vectors(path: Path) -> None:
    """This ensures that another model's vectors are never taken for one's own."""
    with VectorCache.open(path) as cache:
        cache.put_many("one", [("k", vectors(1))])
        cache.put_many("two", [("k", vectors(2))])

        assert same(cache.get_many("two", ["k"])["k"], vectors(2))
        assert cache.get_many("three", ["k"]) == {}


def test_a_newer_vector_replaces_the_older(path: Path) -> None:
    """This ensures that a row can be mended."""
    with VectorCache.open(path) as cache:
        cache.put_many("model", [("k", vectors(1))])
        cache.put_many("model", [("k", vectors(2))])

        assert same(cache.get_many("model", ["k"])["k"], vectors(2))


def test_vectors_of_another_width_are_missing(path: Path) -> None:
    """This ensures that a vector which does not fit the model is embedded again."""
    with VectorCache.open(path) as cache:
        cache.put_many("model", [("narrow", vectors(1, d=4)), ("right", vectors(2, d=8))])

        assert cache.get_many("model", ["narrow", "right"], dimension=8).keys() == {"right"}


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE vectors SET data = zeroblob(length(data))",
        "UPDATE vectors SET data = 'text'",
        "UPDATE vectors SET data = x'00'",
        "UPDATE vectors SET dimension = 0",
        "UPDATE vectors SET n_rows = 'many'",
    ],
)
def test_damaged_rows_are_missing(path: Path, sql: str) -> None:
    """This ensures that a damaged row is embedded again instead of being searched."""
    with VectorCache.open(path) as cache:
        cache.put_many("model", [("k", vectors(1))])
    with sqlite3.connect(path) as connection:
        connection.execute(sql)
    connection.close()

    with VectorCache.open(path) as cache:
        assert cache.get_many("model", ["k"]) == {}
        cache.put_many("model", [("k", vectors(1))])
        assert same(cache.get_many("model", ["k"])["k"], vectors(1))


def test_pruning_leaves_no_byte_behind(path: Path) -> None:
    """This ensures that vectors of withdrawn documents and of other models are gone from the file itself."""
    gone = {key: vectors(i, rows=200) for i, key in enumerate(("withdrawn", "old model"))}
    with VectorCache.open(path) as cache:
        cache.put_many("model", [("kept", vectors(7)), ("withdrawn", gone["withdrawn"])])
        cache.put_many("old", [("kept", gone["old model"])])

        removed = cache.keep_only("model", ["kept", "never stored", "kept"])

        assert removed == 2
        assert same(cache.get_many("model", ["kept"])["kept"], vectors(7))
        assert cache.get_many("model", ["withdrawn"]) == cache.get_many("old", ["kept"]) == {}
        assert cache.warnings == []
    data = b"".join(file.read_bytes() for file in path.parent.iterdir())
    for removed_vectors in gone.values():
        for row in removed_vectors.evidence.astype("<f2"):
            assert row.tobytes() not in data
    assert b"withdrawn" not in data
    assert vectors(7).passage.astype("<f2").tobytes() in data


def test_pruning_gives_space_back(path: Path) -> None:
    """This ensures that the cache does not stay as large as it ever was."""
    with VectorCache.open(path) as cache:
        cache.put_many("model", ((f"k{i}", vectors(i, rows=50)) for i in range(200)))
        before = path.stat().st_size

        cache.keep_only("model", ["k0"])

        assert path.stat().st_size < before / 10


def test_a_file_of_something_else_is_moved_aside(path: Path) -> None:
    """This ensures that a wrong setting costs nobody their file, and the build goes on."""
    path.parent.mkdir()
    path.write_bytes(b"a diary, not a database " * 100)

    with VectorCache.open(path) as cache:
        cache.put_many("model", [("k", vectors(1))])
        found = cache.get_many("model", ["k"])

    assert found.keys() == {"k"}
    assert (path.parent / "vectors.sqlite.not-a-cache-1").read_bytes().startswith(b"a diary")
    assert len(cache.warnings) == 1
    assert "renamed to vectors.sqlite.not-a-cache-1" in cache.warnings[0]


def test_another_programs_database_is_moved_aside(path: Path) -> None:
    """This ensures that a foreign database is neither written into nor lost."""
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE diary (page TEXT)")
    connection.close()

    with VectorCache.open(path) as cache:
        assert "another program's" in cache.warnings[0]

    with sqlite3.connect(path.parent / "vectors.sqlite.not-a-cache-1") as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("diary",)]
    connection.close()


def test_vectors_of_another_version_are_not_counted_on(path: Path) -> None:
    """This ensures that a dry run does not promise to reuse what the build will make anew."""
    with VectorCache.open(path) as cache:
        cache.put_many("model", [("a", vectors(1))])
    before = cached_keys(path, "model")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 1")

    assert (before, cached_keys(path, "model")) == ({"a"}, set())


@pytest.mark.parametrize("where", [100, 2_000, 5_000, -3_000])
def test_a_damaged_cache_is_begun_anew(path: Path, where: int) -> None:
    """This ensures that a damaged cache never fails a build, gives no wrong vector, and is not kept."""
    with VectorCache.open(path) as cache:
        cache.put_many("model", ((f"k{i}", vectors(i, rows=20)) for i in range(50)))
    data = bytearray(path.read_bytes())
    data[where : where + 1_000 if where > 0 else None] = b"\xa5" * len(
        data[where : where + 1_000 if where > 0 else None]
    )
    path.write_bytes(data)

    with VectorCache.open(path) as cache:
        found = cache.get_many("model", [f"k{i}" for i in range(50)])
        cache.put_many("model", [("new", vectors(99))])
        cache.keep_only("model", ["new"])
        again = cache.get_many("model", ["new"])

    assert all(same(found[key], vectors(int(key[1:]), rows=20)) for key in found)
    assert again.keys() <= {"new"}
    assert [file.name for file in path.parent.iterdir()] == ["vectors.sqlite"]


def test_a_cut_off_cache_is_begun_anew(path: Path) -> None:
    """This ensures that a cache cut off by a full disk works again, and the build report says so."""
    with VectorCache.open(path) as cache:
        cache.put_many("model", ((f"k{i}", vectors(i, rows=20)) for i in range(50)))
    path.write_bytes(path.read_bytes()[:6_000])

    with VectorCache.open(path) as cache:
        cache.get_many("model", [f"k{i}" for i in range(50)])
        cache.put_many("model", [("k", vectors(1))])
        found = cache.get_many("model", ["k"])

    assert found.keys() == {"k"}
    assert "begun anew" in cache.warnings[0]


def test_a_locked_cache_is_left_alone(path: Path) -> None:
    """This ensures that a build goes on without the cache when something else holds it."""
    with VectorCache.open(path) as cache:
        cache.put_many("model", [("k", vectors(1))])
    other = sqlite3.connect(path)
    other.execute("BEGIN EXCLUSIVE")

    with VectorCache.open(path, timeout_s=0.0) as cache:
        assert cache.get_many("model", ["k"]) == {}
        cache.put_many("model", [("k2", vectors(2))])
    other.close()

    assert "locked" in cache.warnings[0]
    with VectorCache.open(path) as cache:
        assert cache.get_many("model", ["k", "k2"]).keys() == {"k"}


def test_a_cache_that_can_not_be_pruned_goes_altogether(path: Path) -> None:
    """This ensures that withdrawn vectors do not stay because a lock was in the way."""
    with VectorCache.open(path, timeout_s=0.0) as cache:
        cache.put_many("model", [("kept", vectors(1)), ("withdrawn", vectors(2, rows=200))])
        other = sqlite3.connect(path)
        other.execute("BEGIN EXCLUSIVE")

        cache.keep_only("model", ["kept"])
        other.close()

        assert "could not be pruned" in cache.warnings[0]
        assert cache.get_many("model", ["kept", "withdrawn"]) == {}
    row = vectors(2, rows=200).evidence[100].astype("<f2").tobytes()
    assert row not in path.read_bytes()


def test_a_place_that_can_not_be_used_is_a_warning(tmp_path: Path) -> None:
    """This ensures that a build works without any cache."""
    (tmp_path / "file").write_text("")

    with VectorCache.open(tmp_path / "file" / "vectors.sqlite") as cache:
        cache.put_many("model", [("k", vectors(1))])

        assert cache.get_many("model", ["k"]).keys() == {"k"}
        assert "nothing is remembered" in cache.warnings[0]


def test_no_text_is_in_the_schema(path: Path) -> None:
    """This ensures that the cache has no column that could hold a text."""
    VectorCache.open(path).close()

    with sqlite3.connect(path) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(vectors)")]
    connection.close()

    assert columns == ["fingerprint", "key", "n_rows", "dimension", "crc32", "data"]
