"""The supervisor's workers: whoever dies is noticed at once, also between a ping and its answer."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from service.http_server import ServerConfig, _Worker

LATE_S = 30.0


@pytest.fixture
def worker() -> _Worker:
    """Return a worker that was never started: its process is one that sleeps, its end of the pipe is the test's."""
    config = ServerConfig(lambda: None, workers=2, head_timeout_s=1.0, request_timeout_s=1.0, drain_s=0.0)
    return _Worker(config, [])


def test_worker_dead_before_its_answer(worker: _Worker) -> None:
    """This ensures that a worker killed while the supervisor waits for its answer is not waited for to the end."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdout=subprocess.PIPE) as sleeper:
        assert sleeper.stdout is not None
        # Ready to be read once the process is gone, as a sentinel is.
        worker.process = SimpleNamespace(sentinel=sleeper.stdout.fileno())  # type: ignore[assignment]  # all ping reads
        threading.Timer(0.2, sleeper.kill).start()
        begin = time.monotonic()
        answered = worker.ping(LATE_S)

    assert not answered
    assert time.monotonic() - begin < LATE_S / 2


def test_worker_answers(worker: _Worker) -> None:
    """This ensures that an answer counts, also one after the process ended, and silence does not."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdout=subprocess.PIPE) as sleeper:
        assert sleeper.stdout is not None
        worker.process = SimpleNamespace(sentinel=sleeper.stdout.fileno())  # type: ignore[assignment]  # all ping reads
        silent = worker.ping(0.05)
        worker.child_conn.send(True)
        answered = worker.ping(LATE_S)
        worker.child_conn.close()
        worker.parent_conn.close()
        gone = worker.ping(LATE_S)
        sleeper.kill()

    assert (silent, answered, gone) == (False, True, False)
