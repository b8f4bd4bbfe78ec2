"""Log lines: one JSON object each, whoever writes them."""

import io
import json
import logging
import re
import sys
from typing import Any

import pytest

from gateway.logs import ServerLog, make_log


@pytest.fixture
def written() -> io.StringIO:
    return io.StringIO()


def line(written: io.StringIO) -> dict[str, Any]:
    text = written.getvalue()
    assert text.endswith("\n")
    assert text.count("\n") == 1
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def test_a_line_is_one_json_object_that_begins_with_when_how_bad_and_what(written: io.StringIO) -> None:
    make_log(written).info("request", outcome="ok", attempts=1)
    assert list(line(written)) == ["timestamp", "level", "event", "outcome", "attempts"]
    assert line(written) | {"timestamp": ""} == {
        "timestamp": "",
        "level": "info",
        "event": "request",
        "outcome": "ok",
        "attempts": 1,
    }


def test_times_are_utc(written: io.StringIO) -> None:
    make_log(written).info("request")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line(written)["timestamp"])


def test_a_line_break_in_a_field_does_not_break_the_line(written: io.StringIO) -> None:
    make_log(written).info("request", detail='a\nb\r\u2028"c"')
    assert line(written)["detail"] == 'a\nb\r\u2028"c"'


def test_debugging_is_not_written(written: io.StringIO) -> None:
    make_log(written).debug("request")
    assert written.getvalue() == ""


def test_two_logs_do_not_share_where_they_write(written: io.StringIO) -> None:
    make_log(io.StringIO()).info("elsewhere")
    assert written.getvalue() == ""


def server_logger(written: io.StringIO) -> logging.Logger:
    logger = logging.Logger("server", logging.DEBUG)  # not from getLogger, so that nothing stays behind
    logger.addHandler(ServerLog(make_log(written)))
    return logger


def test_the_servers_lines_have_our_format(written: io.StringIO) -> None:
    server_logger(written).warning("Invalid HTTP request from %s", "a client")
    assert line(written) | {"timestamp": ""} == {
        "timestamp": "",
        "level": "warning",
        "event": "server",
        "message": "Invalid HTTP request from a client",
    }


def test_an_answer_torn_on_purpose_is_no_error(written: io.StringIO) -> None:
    server_logger(written).error("ASGI callable returned without completing response.")
    assert line(written)["level"] == "info"


def test_the_servers_exceptions_come_with_their_traceback(written: io.StringIO) -> None:
    try:
        raise ZeroDivisionError("by zero")
    except ZeroDivisionError:
        server_logger(written).error("Exception in ASGI application", exc_info=sys.exc_info())
    assert line(written)["level"] == "error"
    assert line(written)["exception"].startswith("Traceback (most recent call last)")
    assert line(written)["exception"].endswith("ZeroDivisionError: by zero")


def test_the_servers_debugging_is_not_written(written: io.StringIO) -> None:
    server_logger(written).log(5, "trace")
    server_logger(written).debug("debug")
    assert written.getvalue() == ""
