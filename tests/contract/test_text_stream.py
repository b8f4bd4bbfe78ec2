"""`POST /api/chat`: a message in, plain text out, for a page that reads the body with a TextDecoder."""

import codecs

import httpx
import pytest

from shared.headers import ACCEL_BUFFERING, REPLICA, REQUEST_ID, SERVED_BY
from tests.contract.engines import GENERATED
from tests.contract.refusals import Refusal, check
from tests.contract.targets import Feature
from tests.contract.wire import QUESTION

pytestmark = pytest.mark.needs(Feature.SCOUT)

CHAT = "/api/chat"
ATTEMPTS = 12


def test_the_answer_is_plain_text(wire):
    response = wire.http.post(CHAT, json={"message": QUESTION})
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.text.strip()
    assert "data:" not in response.text
    assert "[DONE]" not in response.text


def test_the_headers_say_who_answered_and_forbid_buffering(wire):
    headers = wire.http.post(CHAT, json={"message": QUESTION}).headers
    assert headers[SERVED_BY] == "on-prem"
    assert headers[REPLICA]
    assert headers[REQUEST_ID]
    assert headers[ACCEL_BUFFERING] == "no"
    assert "no-transform" in headers["cache-control"]
    assert "content-encoding" not in headers
    assert "content-length" not in headers


def test_the_text_comes_in_pieces_that_decode_one_by_one(wire):
    # A busy engine may put a short answer into one piece, but not every time.
    counts = []
    for _ in range(ATTEMPTS):
        decode = codecs.getincrementaldecoder("utf-8")("strict").decode
        with wire.http.stream("POST", CHAT, json={"message": QUESTION}) as response:
            pieces = [decode(piece) for piece in response.iter_raw()]
        assert decode(b"", True) == ""
        assert "".join(pieces).strip()
        counts.append(len(pieces))
        if counts[-1] > 1:
            return
    pytest.fail(f"the answers came in so many pieces: {counts}")


@pytest.mark.needs(Feature.ENGINE_COUNTERS)
def test_the_text_begins_to_arrive_before_it_is_finished(wire, engines):
    # The answer is short: on a busy machine the look at the engine may come too late, but not every time.
    for _ in range(ATTEMPTS):
        engines.wait_until_idle()
        before = engines.total(GENERATED)
        with wire.http.stream("POST", CHAT, json={"message": QUESTION}) as response:
            arriving = response.iter_raw()
            next(arriving)
            at_first = engines.total(GENERATED) - before
            for _ in arriving:
                pass
        engines.wait_until_idle()
        if at_first < engines.total(GENERATED) - before:
            return
    pytest.fail("every time the whole answer had been made when its first piece arrived")


def test_no_key_is_refused(target):
    response = httpx.post(f"{target.url}{CHAT}", json={"message": QUESTION}, timeout=30)
    check(response, Refusal((401,), "invalid_api_key"))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="missing"),
        pytest.param({"message": ""}, id="empty"),
        pytest.param({"message": 5}, id="number"),
        pytest.param({"message": None}, id="null"),
        pytest.param({"message": "word " * 100_000}, id="endless"),
    ],
)
def test_a_message_that_is_none_is_refused_by_name(wire, body):
    assert check(wire.http.post(CHAT, json=body), Refusal((422,), "invalid_field"))["param"] == "message"


def test_malformed_json_is_refused(wire):
    response = wire.http.post(CHAT, content=b"{", headers={"content-type": "application/json"})
    check(response, Refusal((400,), "invalid_json"))


def test_a_wrong_method_is_refused(wire):
    check(wire.http.get(CHAT), Refusal((405,), "method_not_allowed"))


def test_any_language_may_be_asked_in(wire):
    response = wire.http.post(CHAT, json={"message": "¿Tienen un Škoda? 🚗 日本語"})
    assert response.status_code == 200
    assert response.text.strip()


@pytest.mark.parametrize("stream", [pytest.param(False, id="whole"), pytest.param(True, id="stream")])
def test_the_openai_door_says_who_answered_too(wire, stream):
    response = wire.post(wire.body(stream=stream, max_tokens=2))
    assert response.headers[SERVED_BY] == "on-prem"
    assert response.headers[REPLICA]
