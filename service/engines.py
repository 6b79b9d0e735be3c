"""From settings to the index folder with the engine that keeps its passages. Decides nothing; knows no route."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from index.engine import MILVUS
from index.store import IndexDir
from service.settings import Settings


def index_dir_for(settings: Settings) -> IndexDir:
    """Return the index folder with its engine; nothing is opened, nobody is called."""
    if settings.engine != MILVUS:
        return IndexDir(settings.index_dir)
    from index.milvus_client import Connection
    from index.milvus_engine import MilvusEngine

    connection = Connection(settings.milvus_uri, settings.milvus_token, settings.milvus_timeout_s)
    return IndexDir(settings.index_dir, engine=MilvusEngine(settings.index_dir, connection, settings.milvus_index))


@contextmanager
def opened_index(settings: Settings) -> Iterator[IndexDir]:
    """Lend the index folder with its engine for the block, and let go of the engine's connection afterwards."""
    index_dir = index_dir_for(settings)
    try:
        yield index_dir
    finally:
        index_dir.engine.close()
