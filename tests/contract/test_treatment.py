"""Two headers by which a client says how it wants to be treated: a deadline of its own, and whether it can wait."""

import json

import pytest

from shared.headers import DEADLINE_MS, PRIORITY
from tests.contract.engines import GENERATED
from tests.contract.refusals import Fault, Refusal, check
from tests.contract.targets import Feature
from tests.contract.wire import CHAT

pytestmark = pytest.mark.needs(Feature.SCOUT)

TOO_LATE = Refusal((504,), "deadline_exceeded")
CONVERSATION = "/api/chat"
ENDLESS = {"max_tokens": 3500, "ignore_eos": True}
# Within it the first token comes even on a busy machine, and 3,500 of them do not.
SHORT_MS = 2000


def bodies(wire):
    return {CHAT: wire.body(max_tokens=2), CONVERSATION: {"message": "Hi"}}


@pytest.mark.parametrize("path", [CHAT, CONVERSATION])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "1e3", "+5", "1_000", "soon", "", "3600001", "9" * 40])
def test_a_deadline_that_is_no_number_of_milliseconds_is_refused(wire, target, path, value):
    response = wire.http.post(path, json=bodies(wire)[path], headers={DEADLINE_MS: value})
    error = check(response, target.refusals[Fault.WRONG_TYPE])
    assert error["param"] == DEADLINE_MS
    assert DEADLINE_MS in error["message"]


@pytest.mark.parametrize("path", [CHAT, CONVERSATION])
@pytest.mark.parametrize("value", ["high", "Batch", "0", ""])
def test_a_priority_that_does_not_exist_is_refused(wire, target, path, value):
    response = wire.http.post(path, json=bodies(wire)[path], headers={PRIORITY: value})
    error = check(response, target.refusals[Fault.WRONG_TYPE])
    assert error["param"] == PRIORITY
    assert "interactive" in error["message"]
    assert "batch" in error["message"]


@pytest.mark.parametrize("path", [CHAT, CONVERSATION])
@pytest.mark.parametrize("priority", ["interactive", "batch"])
def test_a_request_in_time_is_answered_whatever_its_priority(wire, path, priority):
    headers = {DEADLINE_MS: "3600000", PRIORITY: priority}
    assert wire.http.post(path, json=bodies(wire)[path], headers=headers).status_code == 200


@pytest.mark.parametrize("stream", [pytest.param(False, id="whole"), pytest.param(True, id="stream")])
def test_a_deadline_of_a_millisecond_is_over_before_the_first_token(wire, engines, stream):
    before = engines.total(GENERATED)
    response = wire.post(wire.body(**ENDLESS, stream=stream), headers={DEADLINE_MS: "1"})
    error = check(response, TOO_LATE)
    assert error["type"] == "deadline_error"
    assert error["retryable"] is False
    engines.wait_until_idle()
    assert engines.total(GENERATED) - before < ENDLESS["max_tokens"]


def test_a_whole_answer_that_is_late_is_not_finished_for_nobody(wire, engines):
    before = engines.total(GENERATED)
    check(wire.post(wire.body(**ENDLESS), headers={DEADLINE_MS: str(SHORT_MS)}), TOO_LATE)
    engines.wait_until_idle()
    assert 0 < engines.total(GENERATED) - before < ENDLESS["max_tokens"]


def test_a_deadline_within_a_stream_is_told_in_the_stream(wire, engines):
    before = engines.total(GENERATED)
    asked = wire.body(**ENDLESS, stream=True)
    with wire.http.stream("POST", CHAT, json=asked, headers={DEADLINE_MS: str(SHORT_MS)}) as response:
        assert response.status_code == 200
        events = [line.removeprefix("data: ") for line in response.iter_lines() if line.startswith("data: ")]
    *chunks, last, done = events
    assert done == "[DONE]"
    assert json.loads(last)["error"]["code"] == "deadline_exceeded"
    assert not any(choice["finish_reason"] for chunk in chunks for choice in json.loads(chunk)["choices"])
    engines.wait_until_idle()
    assert engines.total(GENERATED) - before < ENDLESS["max_tokens"]
