"""
A build's work as tasks on a Ray cluster. The only module that imports Ray, which is optional (`citewell[ray]`).

Tasks get bytes and give values: workers need no sight of the corpus or of the index folder, but the same Citewell, and
the model where it lies here (the default one comes with the packages).
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from typing import Any, TypeVar

from index.document_work import check_rules, embed_inputs
from index.errors import ExtraMissing, WorkersFailed
from index.model import EmbeddingInput, PassageEmbedder, PassageVectors
from index.rules import rules_fingerprint

J = TypeVar("J")
R = TypeVar("R")

# Memory for what is on its way between processes. In order, with few chunks ahead, it holds some 10 MB; more waits on
# the disk.
_STORE_BYTES = 256_000_000
# Inputs of one embedding task: some seconds of work, after which a lost worker's share is done again.
_INPUTS_PER_TASK = 512
_TASKS_AHEAD = 3
_LOOK_EVERY_S = 0.5
_CONNECT_S = 5.0
# How often the tasks of a lost worker are begun again.
_RETRIES = 3


def import_ray(address: str = "") -> Any:
    """
    Return Ray, told to report to nobody and to ask everybody for a token.

    Its ports take orders from whoever reaches them, and by itself it would keep the token in the home folder.

    Raises:
        ExtraMissing: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not address:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        return import_module("ray")
    except ImportError as error:
        raise ExtraMissing(
            "the executor ray takes Ray, which is not installed", where="executor", fix="pip install 'citewell[ray]'"
        ) from error


class RayExecutor:
    """
    Ray tasks: each takes one core. Starts Ray on this machine for as long as the build lasts, or joins a cluster.

    Args:
        address: of a running cluster, "host:port" or "ray://host:port"; "" starts one here that nobody else reaches.

    Raises:
        ExtraMissing: Ray is not installed.
        WorkersFailed: the cluster can't be reached.
    """

    is_alone = False

    def __init__(self, address: str = "") -> None:
        self._ray = ray = import_ray(address)
        _check_reachable(address)
        self._opened = ExitStack()
        options: dict[str, Any] = {"address": address or "local"}
        if not address:
            # Ray keeps logs, and what does not fit into memory: gone with the build, as withdrawn texts have to be.
            folder = self._opened.enter_context(tempfile.TemporaryDirectory(prefix="cw", ignore_cleanup_errors=True))
            options |= {
                "include_dashboard": False,
                "object_store_memory": _STORE_BYTES,
                "_temp_dir": folder,
                "_node_ip_address": "127.0.0.1",
            }
        try:
            with _signals_kept():
                ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # Ray raises whatever its parts raise
            self._opened.close()
            raise _unreachable(address, error) from error
        self._opened.callback(ray.shutdown)
        self.n_workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._rules = rules_fingerprint()
        self._run = ray.remote(num_cpus=1, max_retries=_RETRIES)(run_task)

    def submit(self, function: Callable[[Sequence[J]], list[R]], jobs: Sequence[J]) -> Future[list[R]]:
        """Begin one chunk as a task."""
        raw: Future[list[R]] = self._run.remote(self._rules, function, jobs).future()
        future: Future[list[R]] = Future()
        raw.add_done_callback(partial(self._settle, future))
        return future

    def embed(
        self, embedder: PassageEmbedder, inputs: Sequence[EmbeddingInput], on_done: Callable[[int], None]
    ) -> list[PassageVectors]:
        """Return the vectors of each input; `on_done` hears of each finished task."""
        # Texts of like length together: a task's batches are of one width each, and few of them are not full.
        order = sorted(range(len(inputs)), key=lambda i: len(inputs[i].prefix) + len(inputs[i].text))
        chunks = deque(order[at : at + _INPUTS_PER_TASK] for at in range(0, len(order), _INPUTS_PER_TASK))
        running: deque[tuple[list[int], Future[list[PassageVectors]]]] = deque()
        vectors: dict[int, PassageVectors] = {}
        while chunks or running:
            while chunks and len(running) < _TASKS_AHEAD * self.n_workers:
                chunk = chunks.popleft()
                running.append((chunk, self.submit(partial(embed_inputs, embedder), [inputs[i] for i in chunk])))
            chunk, future = running.popleft()
            while not wait([future], _LOOK_EVERY_S).done:
                on_done(0)  # a cluster may take its time, or never answer; a build that is to end must not wait for it
            vectors |= zip(chunk, future.result(), strict=True)
            on_done(len(chunk))
        return [vectors[i] for i in range(len(inputs))]

    def close(self) -> None:
        """End Ray here, or leave the cluster; tasks that still run are ended."""
        self._opened.close()

    def _settle(self, future: Future[list[R]], raw: Future[list[R]]) -> None:
        """Hand a task's outcome on, Ray's own errors as ours."""
        if future.cancelled():
            return
        error = raw.exception()
        if error is None:
            future.set_result(raw.result())
            return
        own = error.cause if isinstance(error, self._ray.exceptions.RayTaskError) else error
        future.set_exception(_lost(own) if isinstance(own, self._ray.exceptions.RayError) else own)


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Undo what Ray does to SIGTERM: `build --watch` ends in its own way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run_task(rules: str, function: Callable[[Sequence[J]], list[R]], jobs: Sequence[J]) -> list[R]:
    """Do one chunk, in a worker, if its code is the caller's."""
    check_rules(rules)
    return function(jobs)


def _check_reachable(address: str) -> None:
    """
    Make sure that something listens there, in seconds: Ray itself tries for some minutes.

    Raises:
        WorkersFailed: nothing does, or the address has no port.
    """
    if address in ("", "auto"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
    except (OSError, ValueError) as error:
        raise _unreachable(address, error) from error


def _unreachable(address: str, error: Exception) -> WorkersFailed:
    return WorkersFailed(
        f"Ray can't be {'reached' if address else 'started'} ({type(error).__name__})",
        where=address or "executor",
        fix="check ray_address and that the cluster runs the same Ray" if address else "build with --executor local",
    )


def _lost(error: BaseException) -> WorkersFailed:
    return WorkersFailed(
        f"a worker died {_RETRIES + 1} times, can't load Citewell, or the cluster is gone ({type(error).__name__})",
        where="executor",
        fix="look at the nodes' memory and what is installed there, and build again; the index is as it was before",
    )
