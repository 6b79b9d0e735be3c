"""Processes that work for a build: none is left behind, however the build ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = """
import signal
import sys
from functools import partial
from pathlib import Path
from dying_embedder import SlowCounter
from index.build import BuildConfig, build_index
from index.executor import LocalExecutor

if __name__ == "__main__":
    # A shell starts what runs in the background with Ctrl-C ignored, and so its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(sys.argv[1])
    config = BuildConfig(make_executor=partial(LocalExecutor, n_workers=2, alone_s=0.0))
    build_index(folder / "corpus", folder / "index", SlowCounter(folder / "started"), config)
"""


def is_alive(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children(process_id: int) -> set[int]:
    """Return the processes below one, whatever they are for."""
    found: set[int] = set()
    for path in Path(f"/proc/{process_id}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            found |= {child} | children(child)
    return found


def wait_for(condition: object, timeout_s: float = 60.0) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda ending: ending.name)
def test_no_worker_outlives_its_build(tmp_path: Path, ending: signal.Signals) -> None:
    """This ensures that workers in the middle of a document end with the build: killed, interrupted or asked to end."""
    for folder in ("corpus", "started"):
        (tmp_path / folder).mkdir()
    for number in range(80):
        (tmp_path / "corpus" / f"{number}.md").write_text(f"# Title\n\nDocument {number} has words.\n")
    script = tmp_path / "build.py"
    script.write_text(BUILD)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}

    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)], env=environment, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        busy = wait_for(lambda: len(list((tmp_path / "started").iterdir())) == 2)
        workers = children(process.pid)
        # As a terminal does it: the whole group hears of Ctrl-C.
        (os.killpg if ending is signal.SIGINT else os.kill)(process.pid, ending)
        try:
            exit_code = process.wait(30)
        finally:
            process.kill()
        gone = wait_for(lambda: not any(is_alive(worker) for worker in workers), 20)

    assert busy
    assert len(workers) >= 2
    assert exit_code == -ending
    assert gone
    assert not (tmp_path / "index" / "CURRENT").exists()
