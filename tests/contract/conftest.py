"""What several contract suites share: one Milvus server for all of them, started when the first one asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from milvus_support import Milvus, running_milvus


@pytest.fixture(scope="session")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Milvus]:
    """Run a Milvus server on loopback."""
    with running_milvus(tmp_path_factory.mktemp("milvus")) as server:
        yield server
