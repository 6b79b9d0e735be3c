"""
Builds an index whose passages are kept in Milvus, in forked processes that may die; test_milvus_crash.py runs it.

Usage: milvus_builder.py CORPUS INDEX_DIR URI. For each line "NUMBER begin|amid|end" it forks a builder that kills
itself before, during or behind the call of that number among those that change something on the server, from 1; "0 end"
is a builder that lives. It prints how the builder ended and the calls that it began, as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pymilvus  # noqa: F401  once before forking; no connection is opened here, as it would not outlive a fork

from index import milvus_engine
from index.build import BuildConfig, build_index
from index.milvus_client import Connection, MilvusServer
from index.store import IndexDir
from index.testing import HashingEmbedder

CHANGING = {
    "alter_alias",
    "create_alias",
    "create_collection",
    "create_index",
    "drop_alias",
    "drop_collection",
    "flush",
    "insert",
    "load_collection",
    "rename_collection",
}


# Long enough for a call to be on its way, shorter than any call takes.
AMID_S = 0.001


def die() -> None:
    """End this process as a lack of memory or a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def set_trap(fatal: int, moment: str, said: int) -> None:
    """Let this process die at one of its calls to the server; write the name of each that begins to `said`."""
    whole, begun = MilvusServer._call, 0

    def trapped(self: MilvusServer, method: str, *arguments: Any, **options: Any) -> Any:
        nonlocal begun
        if method not in CHANGING:
            return whole(self, method, *arguments, **options)
        begun += 1
        os.write(said, f"{method}\n".encode())
        if begun == fatal and moment == "begin":
            die()
        if begun == fatal and moment == "amid":
            threading.Timer(AMID_S, die).start()
        result = whole(self, method, *arguments, **options)
        if begun == fatal:
            die()
        return result

    MilvusServer._call = trapped  # type: ignore[method-assign]
    # A small library is then written by several inserts.
    milvus_engine._PASSAGES_AT_ONCE = 4
    milvus_engine._BYTES_AT_ONCE = 4_000


def build(corpus: Path, index_dir: Path, uri: str) -> None:
    """Build, and keep no older snapshot, so that collecting calls the server as well."""
    engine = milvus_engine.MilvusEngine(index_dir, Connection(uri, timeout_s=20.0))
    build_index(corpus, IndexDir(index_dir, engine=engine), HashingEmbedder(), BuildConfig(keep_snapshots=1))


def main() -> None:
    """Fork a builder for each line."""
    corpus, index_dir, uri = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    # Once before forking, so that each builder finds its libraries loaded.
    build_index(corpus, index_dir.with_name("first"), HashingEmbedder())
    for line in sys.stdin:
        fatal, moment = line.split()
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            set_trap(int(fatal), moment, theirs)
            build(corpus, index_dir, uri)
            os._exit(0)
        os.close(theirs)
        with os.fdopen(ours) as pipe:
            calls = pipe.read().split()
        _, status = os.waitpid(child, 0)
        sys.stdout.write(json.dumps([os.waitstatus_to_exitcode(status), calls]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
