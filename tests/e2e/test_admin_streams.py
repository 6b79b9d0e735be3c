"""Administering that takes long: uploads over a slow line, and a stream of events while the service is told to end."""

from __future__ import annotations

import http.client
import signal
import socket
import time
from pathlib import Path

from admin_process import serve_admin
from admin_support import ADMIN, ZEBRA, bearer, pages, write_corpus


def test_slow_upload_outlives_the_time_limit(tmp_path: Path) -> None:
    """This ensures that an upload that arrives for longer than a question may take is stored whole."""
    write_corpus(tmp_path / "corpus")
    limits = {"CITEWELL_REQUEST_TIMEOUT_S": "2", "CITEWELL_BODY_TIMEOUT_S": "1"}
    with serve_admin(tmp_path, **limits) as server:
        head = (
            f"PUT /v1/admin/documents/guides/zebra.md HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Authorization: {bearer(ADMIN.token)['authorization']}\r\nContent-Length: {len(ZEBRA)}\r\n\r\n"
        )
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.sendall(head.encode())
            for start in range(0, len(ZEBRA), 20):
                connection.sendall(ZEBRA[start : start + 20])
                time.sleep(0.8)
            took_s = time.monotonic() - began
            reply = b"".join(iter(lambda: connection.recv(65_536), b""))

    assert took_s > 3
    assert reply.startswith(b"HTTP/1.1 201 "), reply
    assert (tmp_path / "corpus" / "guides" / "zebra.md").read_bytes() == ZEBRA


def test_open_stream_does_not_keep_a_service_from_ending(tmp_path: Path) -> None:
    """This ensures that SIGTERM while somebody follows a build takes seconds, and everything ends in order."""
    write_corpus(tmp_path / "corpus")
    pages(tmp_path, 30)
    with serve_admin(tmp_path) as server:
        job = server.call("POST", "/v1/admin/builds").json["id"]
        server.wait_for_state(job, ("running",), phase="embed")
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("GET", f"/v1/admin/builds/{job}/events", headers=bearer(ADMIN.token))
        response = connection.getresponse()
        first = response.readline()

        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        rest = response.read()  # an end in the middle of a chunk would be an error
        code = server.process.wait(timeout=60)
        took_s = time.monotonic() - began
        connection.close()
        with serve_admin(tmp_path) as again:
            ended = again.wait_for_state(job, ("interrupted",))

    assert first.startswith(b"id: ")
    assert b"event: end" not in rest
    # drain_s, a second for silent connections, three for the build; request_timeout_s is 20 and not waited for.
    assert took_s < 10
    assert code == 0
    assert ended["error"]["code"] == "build_interrupted"
