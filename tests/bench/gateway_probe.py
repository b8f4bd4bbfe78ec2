"""Before a gateway is measured: does it give the right answers, and does it ask for its key?

A gateway that drops or garbles what it relays would look fast.
"""

import http.client
import json
from dataclasses import dataclass

from shared import sse
from tests.bench.engine_script import whole_text
from tests.bench.gateway_load import Target
from tests.bench.peers.environments import Unavailable

TIMEOUT_S = 30.0


def _post(target: Target, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=TIMEOUT_S)
    try:
        connection.request("POST", target.path, body, {"content-type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"no answer: {error!r}") from error
    finally:
        connection.close()


def streamed_text(data: bytes) -> str:
    """The text of a stream's first choice. Raises ValueError when it does not end with [DONE]."""
    decoder = sse.Decoder()
    events = list(decoder.feed(data))
    if not events or events[-1].data != sse.DONE:
        raise ValueError("the stream does not end with [DONE]")
    text = ""
    for event in events[:-1]:
        for choice in json.loads(event.data)["choices"]:
            text += choice["delta"].get("content") or ""
    return text


@dataclass(frozen=True)
class Checked:
    """Whether it refuses a request without a key; and what is wrong with its streams, empty when nothing is."""

    asks_for_key: bool
    stream_fault: str


def _stream_fault(status: int, data: bytes, wanted: str) -> str:
    if status != 200:
        return f"streams fail with {status}: {data[:120].decode(errors='replace')}"
    try:
        text = streamed_text(data)
    except (ValueError, LookupError) as error:
        return f"its streams cannot be read: {error}"
    return "" if text == wanted else "its streams have another text than the engine gave"


def check(target: Target, json_body: bytes, stream_body: bytes, tokens: int) -> Checked:
    """Raises Unavailable when not even a JSON answer is what the engine gave."""
    headers = dict(target.headers)
    status, data = _post(target, json_body, headers)
    if status != 200:
        raise Unavailable(f"answers {status}: {data[:200].decode(errors='replace')}")
    wanted = whole_text(tokens)
    if json.loads(data)["choices"][0]["message"]["content"] != wanted:
        raise Unavailable("the JSON answer has another text than the engine gave")
    fault = _stream_fault(*_post(target, stream_body, headers), wanted)
    without_key = {name: value for name, value in headers.items() if name != "authorization"}
    return Checked(_post(target, json_body, without_key)[0] != 200, fault)  # LiteLLM refuses with a 500
