"""Which fields of a request are the client's to set, and how far: the rest is refused before it costs anything.

The refusals come through the official client, as its users meet them: what it has no argument for goes in `extra_body`.
"""

import json

import openai
import pytest

from tests.contract.refusals import Fault, check
from tests.contract.targets import Feature
from tests.contract.test_openai_client import ASK
from tests.contract.wire import text

pytestmark = pytest.mark.needs(Feature.BOUNDS)

FUNCTION = {"type": "function", "function": {"name": "nothing", "parameters": {"type": "object", "properties": {}}}}
BULKY = {"type": "object", "description": "x" * 65_536}

OVER_THE_BOUND = [
    ("n", 5),
    ("n", 0),
    ("max_tokens", 8193),
    ("max_tokens", 0),
    ("max_completion_tokens", 8193),
    ("min_tokens", 8193),
    ("top_logprobs", 21),
    ("top_logprobs", -1),
    ("stop", ["a", "b", "c", "d", "e"]),
    ("stop", "x" * 257),
    ("stop_token_ids", [1, 2, 3, 4, 5]),
    ("logit_bias", {str(token): 1 for token in range(1025)}),
    ("tools", [FUNCTION] * 129),
    ("tools", [{"type": "function", "function": {"name": "bulky", "parameters": BULKY}}]),
    ("response_format", {"type": "json_schema", "json_schema": {"name": "bulky", "schema": BULKY}}),
    ("structured_outputs", {"regex": "x" * 65_537}),
    ("chat_template_kwargs", {"chat_template": "{{ messages }}"}),
]

MACHINERY = [
    ("kv_transfer_params", {"prompt_token_ids": [1, 2, 3]}),
    ("ec_transfer_params", {"a": 1}),
    ("bootstrap_host", "192.0.2.1"),
    ("data_parallel_rank", 1),
    ("vllm_xargs", {"a": 1}),
    ("prompt_token_ids", [1, 2, 3]),
    ("prompt_embeds", "AAAA"),
    ("cache_salt", "another-tenant"),
    ("priority", -1),
    ("request_id", "mine"),
    ("stream_interval", 1000),
    ("chat_template", "{{ messages }}"),
    ("use_beam_search", True),
    ("echo", True),
]

REMOVED = [("guided_json", {"type": "string"}), ("guided_regex", "[a-z]+"), ("guided_choice", ["yes", "no"])]


@pytest.fixture(scope="module")
def ask(target):
    with openai.OpenAI(base_url=f"{target.url}/v1", api_key=target.key, max_retries=0, timeout=60) as client:
        yield lambda **fields: client.chat.completions.create(model=target.model, messages=ASK, **fields)


def refused(ask, **fields):
    """The error that the official client raises; its shape is what it could read of it."""
    with pytest.raises(openai.UnprocessableEntityError) as raised:
        ask(**fields)
    assert raised.value.code == "invalid_field"
    assert raised.value.type == "invalid_request_error"
    return raised.value


@pytest.mark.parametrize(
    ("field", "value"), OVER_THE_BOUND, ids=[f"{name}-{len(json.dumps(value))}" for name, value in OVER_THE_BOUND]
)
@pytest.mark.parametrize("stream", [pytest.param(False, id="whole"), pytest.param(True, id="stream")])
def test_what_is_over_its_bound_is_refused_by_name(wire, target, field, value, stream):
    body = {**wire.body(stream=stream), "logprobs": True, field: value}
    error = check(wire.post(body), target.refusals[Fault.WRONG_TYPE])
    assert error["param"] == field
    assert field in error["message"]
    assert error["retryable"] is False


def test_what_is_just_within_its_bound_is_answered(wire):
    answer = wire.chat(
        n=4, temperature=1, max_tokens=1, logprobs=True, top_logprobs=20, stop=["@" * 256, "#", "~", "^"]
    )
    assert len(answer["choices"]) == 4
    assert len(answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]) == 20


@pytest.mark.parametrize(("field", "value"), MACHINERY, ids=[name for name, _ in MACHINERY])
def test_the_machinery_is_not_a_clients_to_steer(ask, field, value):
    error = refused(ask, extra_body={field: value})
    assert error.param == field
    assert "not a client's to set" in error.message
    assert error.request_id


@pytest.mark.parametrize(("field", "value"), REMOVED, ids=[name for name, _ in REMOVED])
def test_a_constraint_that_the_engine_would_ignore_is_refused_with_the_field_to_use(ask, field, value):
    error = refused(ask, extra_body={field: value})
    assert error.param == field
    assert "response_format" in error.message
    assert "structured_outputs" in error.message


def test_a_refused_stream_raises_before_its_first_chunk(ask):
    assert refused(ask, stream=True, extra_body={"cache_salt": "x"}).param == "cache_salt"


def test_a_field_that_asks_for_nothing_is_no_error(wire):
    idle = {"priority": None, "cache_salt": None, "stream_interval": 1, "use_beam_search": False, "echo": False}
    assert text(wire.chat(**idle, session_id="a label")) == text(wire.chat())
