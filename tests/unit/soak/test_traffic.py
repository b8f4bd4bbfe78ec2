import random

from tests.chaos.tally import Result, Tally
from tests.soak.traffic import CHAT, SPEAK, TORN, Request, draw, judge

SPOKEN = Request(b"", SPEAK, twin="the car is red")
BAD = Request(b"", CHAT, error="invalid_field")


def refusal(status: int, code: str) -> Result:
    return Result(status, "application/json", b'{"error": {"code": "%s"}}' % code.encode())


def judged(request: Request, result: Result) -> Tally:
    tally = Tally()
    judge(tally, request, result)
    return tally


def torn(text: bytes) -> Result:
    return Result(200, "text/plain; charset=utf-8", text, ended=False, failure="RemoteProtocolError")


def test_a_torn_answer_of_the_conversation_door_tells_its_client_enough() -> None:
    tally = judged(SPOKEN, torn(b"the car"))
    assert (tally.sent, dict(tally.typed), tally.lost) == (1, {TORN: 1}, [])


def test_a_character_may_be_torn_too() -> None:
    assert judged(Request(b"", SPEAK, twin="12 €"), torn("12 €".encode()[:-1])).typed[TORN] == 1


def test_a_torn_answer_that_is_not_the_beginning_of_the_whole_one_is_lost() -> None:
    assert judged(SPOKEN, torn(b"the bus")).lost == ["torn, and not its twin's beginning: 'the bus'"]


def test_a_torn_answer_of_the_other_door_is_lost() -> None:
    tally = judged(Request(b"", CHAT, twin="the car"), torn(b"the"))
    assert len(tally.lost) == 1 and not tally.typed


def test_a_bad_request_must_end_in_the_error_that_is_due() -> None:
    assert dict(judged(BAD, refusal(422, "invalid_field")).typed) == {"invalid_field": 1}
    assert judged(BAD, refusal(429, "queue_full")).lost == ["invalid_field was due, and there came: queue_full"]


def test_a_bad_request_must_not_be_answered() -> None:
    whole = b'{"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]}'
    told = judged(BAD, Result(200, "application/json", whole)).lost
    assert told == ["invalid_field was due, and there came: a whole answer"]


def test_a_client_that_left_asks_for_nothing() -> None:
    tally = judged(BAD, Result(None, left=True, ended=False))
    assert (tally.sent, tally.left, tally.lost) == (1, 1, [])


def test_a_seed_draws_every_kind_of_request_and_the_same_ones_again() -> None:
    drawn = [draw(random.Random(f"{number}")) for number in range(300)]
    assert drawn == [draw(random.Random(f"{number}")) for number in range(300)]
    assert {request.path for request in drawn} == {CHAT, SPEAK, "/v1/nothing"}
    for part in (b'"tools"', b'"stop"', b'"logprobs"', b'"n": 2', b'"stream": false', b" and a car and a car"):
        assert any(part in request.content for request in drawn), part
    assert any("x-scout-priority" in request.headers for request in drawn)
    assert any("x-scout-deadline-ms" in request.headers for request in drawn)


def test_questions_with_stop_strings_have_twins_without_them() -> None:
    stopped = [request for request in map(draw, map(random.Random, range(300))) if b'"stop"' in request.content]
    assert any(request.twin for request in stopped)
    assert not any("." in (request.twin or "") for request in stopped)
