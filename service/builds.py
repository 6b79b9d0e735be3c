"""
Builds that are asked for over HTTP: starting the process that does one, following its record. Builds nothing itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import anyio
import anyio.to_thread

from index.errors import StorageFailed
from index.jobs import JobBook, JobError, JobRecord
from service.errors import NotFound
from service.settings import Settings

# How often a follower looks at the record, which changes at most four times a second.
_LOOK_EVERY_S = 0.25
HEARTBEAT_S = 15.0
# A build told to end does so at its next step; it is not waited for longer than a service may take to stop.
_STOP_WAIT_S = 3.0

# Starts the building process: command, its one line of input, the descriptor it inherits.
Spawn = Callable[[list[str], bytes, int], "subprocess.Popen[bytes]"]


class Builds:
    """
    The builds of one serving process, and the view on those of all.

    Args:
        spawn: starts a process; replaced in tests.
    """

    def __init__(self, settings: Settings, spawn: Spawn | None = None) -> None:
        self._settings = settings
        self._spawn = spawn or _spawn
        self._children: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        self.book = JobBook(settings.index_dir)

    def start(self, *, refuse_failures: bool) -> JobRecord:
        """
        Start a build in a process of its own.

        Raises:
            WriterBusy: one is under way. StorageFailed: the index folder can't be written.
        """
        record, lock = self.book.begin({"refuse_failures": refuse_failures})
        try:
            request = {
                "job": record.id,
                "lock": lock,
                # Whoever builds needs no token.
                "settings": self._settings.model_dump(mode="json", exclude={"admin_tokens", "read_tokens"}),
            }
            command = [sys.executable, "-P", "-m", "service.build_child"]
            child = self._spawn(command, json.dumps(request).encode() + b"\n", lock)
        except OSError as error:
            reason = f"the building process could not be started ({error.strerror})"
            fault = JobError(code=StorageFailed.code, what=reason, where="", fix="check memory and process limits")
            return self.book.change(record, state="failed", error=fault)
        finally:
            os.close(lock)
        with self._lock:
            self._children.append(child)
        threading.Thread(target=self._wait_for, args=(child,), name="build", daemon=True).start()
        return record

    def find(self, job_id: str) -> JobRecord:
        """
        Return a build as it stands.

        Raises:
            NotFound: there is none of that id.
        """
        record = self.book.get(job_id)
        if record is None:
            raise NotFound(
                "no build has that id", where="build", fix="see GET /v1/admin/builds; only the last 20 are kept"
            )
        return record

    def cancel(self, job_id: str) -> JobRecord:
        """
        Ask a build to stop at its next step; one that is at its end stays as it is.

        Raises:
            NotFound: there is none of that id. StorageFailed: the index folder can't be written.
        """
        record = self.find(job_id)
        if record.is_under_way:
            self.book.ask_to_cancel(job_id)
        return record

    async def follow(
        self, job_id: str, after: int, is_over: Callable[[], bool] = lambda: False
    ) -> AsyncIterator[JobRecord | None]:
        """
        Yield a build's record whenever it has changed, the last time when it is at its end; None as a sign of life.

        Args:
            after: the revision that the caller has seen, 0 for none.
            is_over: tells that this process is to end; whoever follows goes on at another one, or finds it restarted.
        """
        seen, silent_s = after, 0.0
        while not is_over():
            record = await anyio.to_thread.run_sync(self.book.get, job_id)
            if record is None:  # deleted, as more builds were started than are kept
                return
            if record.revision > seen or not record.is_under_way:
                seen, silent_s = record.revision, 0.0
                yield record
            if not record.is_under_way:
                return
            if silent_s >= HEARTBEAT_S:
                silent_s = 0.0
                yield None
            await anyio.sleep(_LOOK_EVERY_S)
            silent_s += _LOOK_EVERY_S

    def stop(self) -> None:
        """Let the processes that this one started end: they see that their input ends."""
        with self._lock:
            children = list(self._children)
        for child in children:
            _close_input(child)
        for child in children:
            with suppress(subprocess.TimeoutExpired):
                child.wait(_STOP_WAIT_S)

    def _wait_for(self, child: subprocess.Popen[bytes]) -> None:
        child.wait()
        _close_input(child)
        with self._lock:
            self._children.remove(child)


def _spawn(command: list[str], line: bytes, lock: int) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(  # noqa: S603  our own interpreter and module
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        # Libraries' chatter would break a log of JSON lines; what goes wrong is in the record.
        stderr=subprocess.DEVNULL,
        pass_fds=(lock,),
        # Ctrl-C on the server's terminal reaches the server, which ends the build in order.
        start_new_session=True,
    )
    if child.stdin is None:
        raise RuntimeError("there is no pipe")
    child.stdin.write(line)
    child.stdin.flush()
    return child


def _close_input(child: subprocess.Popen[bytes]) -> None:
    if child.stdin is not None:
        with suppress(OSError):
            child.stdin.close()
