"""Log lines: JSON, and without the text of exceptions."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from service.logs import configure_logging


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def test_line_is_one_json_object(capfd: pytest.CaptureFixture[str]) -> None:
    """This ensures that a line can be read by a program, with its time and level."""
    configure_logging()

    structlog.get_logger("citewell.x").info("built", documents=3)

    line = json.loads(capfd.readouterr().err)
    assert (line["event"], line["documents"], line["level"]) == ("built", 3, "info")
    assert line["time"].endswith("Z")


def test_lines_below_the_level_are_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    """This ensures that log_level holds for our lines and for the libraries'."""
    configure_logging("error")

    structlog.get_logger("citewell.x").info("quiet")
    logging.getLogger("uvicorn.error").warning("quiet")

    assert capfd.readouterr().err == ""


def test_exception_of_a_library_loses_its_text(capfd: pytest.CaptureFixture[str]) -> None:
    """This ensures that the server's own report of a crash names type and place, never the message."""
    configure_logging()

    try:
        raise ValueError("canary")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")

    line = json.loads(capfd.readouterr().err)
    assert (line["event"], line["error"]) == ("Exception in ASGI application", "ValueError")
    assert line["frames"]
    assert "canary" not in json.dumps(line)


def test_failed_task_loses_the_text_that_asyncio_appends(capfd: pytest.CaptureFixture[str]) -> None:
    """This ensures that asyncio's line about a forgotten task does not end with the exception's text."""
    configure_logging()

    async def crash() -> None:
        raise ValueError("canary")

    async def forget() -> None:
        task = asyncio.get_running_loop().create_task(crash())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task

    asyncio.run(forget())

    captured = capfd.readouterr().err
    assert "never retrieved" in captured
    assert "canary" not in captured


def test_access_lines_of_the_server_are_off(capfd: pytest.CaptureFixture[str]) -> None:
    """This ensures that no line with a client's address and path is written."""
    configure_logging("debug")

    logging.getLogger("uvicorn.access").info('127.0.0.1 - "GET /c/x"')

    assert capfd.readouterr().err == ""


def test_libraries_are_heard_only_when_something_is_wrong(capfd: pytest.CaptureFixture[str]) -> None:
    """This ensures that a library's ordinary lines, which may hold addresses, are not written at any level."""
    configure_logging("debug")

    logging.getLogger("httpx2").info('HTTP Request: GET "http://host/c/x"')
    logging.getLogger("httpx2").warning("gone wrong")

    assert [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()] == ["gone wrong"]
