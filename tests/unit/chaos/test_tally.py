import json
from typing import Any

import pytest

from tests.chaos.tally import CODES, Result, Tally, hear

ERROR = {"error": {"message": "broke", "type": "upstream_error", "code": "upstream_lost"}}


def chunk(content: str = "", *, role: bool = False, finish: str | None = None, name: str = "a") -> Any:
    delta = ({"role": "assistant"} if role else {}) | ({"content": content} if content else {})
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": name, "created": 1, "model": "m", "choices": [choice]}


WHOLE = (chunk(role=True), chunk("Hel"), chunk("lo", finish="stop"))


def stream(*events: Any, done: bool = True, ended: bool = True) -> Result:
    said = [f"data: {json.dumps(event)}\n\n" for event in events] + ["data: [DONE]\n\n"] * done
    return Result(200, "text/event-stream; charset=utf-8", "".join(said).encode(), ended=ended)


def judged(result: Result, twin: str | None = None) -> Tally:
    tally = Tally()
    tally.judge(result, twin)
    return tally


def test_whole_stream_that_is_its_twin_is_whole() -> None:
    tally = judged(stream(*WHOLE), "Hello")
    assert (tally.sent, tally.whole, tally.resumed, tally.typed, tally.lost) == (1, 1, 0, {}, [])


def test_resumed_stream_is_counted_as_whole_and_as_resumed() -> None:
    last = {**chunk("lo", finish="stop"), "x-scout-resumed": 2}
    tally = judged(stream(*WHOLE[:2], last))
    assert (tally.whole, tally.resumed) == (1, 1)


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (Result(None, failure="refused"), "no answer"),
        (stream(*WHOLE, ended=False), "torn"),
        (stream(*WHOLE, done=False), "without [DONE]"),
        (Result(200, "text/event-stream", b""), "without [DONE]"),
        (stream(), "without any choice"),
        (stream(*WHOLE[:2]), "0 finish reasons"),
        (stream(*WHOLE, chunk(finish="stop")), "2 finish reasons"),
        (stream(*WHOLE, chunk("!")), "after its finish_reason"),
        (stream(*WHOLE[1:]), "0 role chunks"),
        (stream(WHOLE[0], *WHOLE), "2 role chunks"),
        (stream(*WHOLE[:2], chunk("lo", finish="stop", name="b")), "several ids"),
        (stream(*WHOLE[:2], ERROR, WHOLE[2]), "no chunk"),
        (stream(*WHOLE[:2], {"error": {"code": "something"}}), "no code of ours"),
        (Result(502, "text/html", b"<html>"), "no JSON"),
        (Result(500, "application/json", b'{"error": {"code": null}}'), "no code of ours"),
        (Result(200, "application/json", b'{"choices": []}'), "without a finished choice"),
        (Result(200, "text/event-stream", b"data: {"), "inside an event"),
    ],
)
def test_what_a_client_cannot_tell_from_an_answer_is_lost(result: Result, reason: str) -> None:
    (lost,) = judged(result).lost
    assert reason in lost


@pytest.mark.parametrize("twin", ["Hello!", "Hell", "Hallo", ""])
def test_text_that_is_not_its_twins_is_lost(twin: str) -> None:
    (lost,) = judged(stream(*WHOLE), twin).lost
    assert "not its unbroken twin" in lost
    assert judged(Result(200, "text/plain; charset=utf-8", b"Hello"), twin).lost


def test_plain_text_that_is_torn_is_lost() -> None:
    assert judged(Result(200, "text/plain", b"Hel", ended=False), "Hello").lost


def test_typed_error_in_the_stream_is_counted_by_its_code() -> None:
    tally = judged(stream(*WHOLE[:2], ERROR), "Hello")
    assert (tally.typed, tally.whole, tally.lost) == ({"upstream_lost": 1}, 0, [])


def test_typed_error_after_wrong_text_is_lost() -> None:
    assert judged(stream(*WHOLE[:2], ERROR), "Hallo").lost


def test_typed_error_instead_of_an_answer_is_counted_by_its_code() -> None:
    body = json.dumps({"error": {"code": "queue_full"}}).encode()
    assert judged(Result(429, "application/json", body)).typed == {"queue_full": 1}


def test_client_that_left_is_owed_nothing() -> None:
    tally = judged(Result(200, "text/event-stream", b"data: ", ended=False, left=True))
    assert (tally.sent, tally.left, tally.lost) == (1, 1, [])


def test_line_has_every_count() -> None:
    tally = judged(stream(*WHOLE))
    tally.add(judged(stream(*WHOLE[:2], ERROR)))
    tally.add(judged(Result(None, failure="refused")))
    assert str(tally) == "sent 3, whole 1, resumed 0, typed errors 1 {'upstream_lost': 1}, lost 1"


def test_hearing_gives_text_and_usage() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    heard = hear(stream(*WHOLE, {**chunk(), "choices": [], "usage": usage}).body)
    assert (heard.text, heard.usage, heard.code) == ("Hello", usage, None)


def test_codes_are_the_gateways() -> None:
    assert {"upstream_lost", "queue_full", "internal_error"} <= CODES
