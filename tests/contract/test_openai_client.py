"""The official `openai` client against the target: what its users do and what it raises."""

import json

import openai
import pytest

from tests.contract.targets import Feature
from tests.contract.test_tools import BOOK
from tests.contract.wire import QUESTION, text

ASK = [{"role": "user", "content": QUESTION}]


@pytest.fixture(scope="session")
def connect(target):
    opened = []

    def connect(key=target.key):
        client = openai.OpenAI(base_url=f"{target.url}/v1", api_key=key or "none", max_retries=0, timeout=60)
        opened.append(client)
        return client

    yield connect
    for client in opened:
        client.close()


@pytest.fixture(scope="session")
def client(connect):
    return connect()


@pytest.fixture
def ask(client, target):
    def ask(**fields):
        defaults = {"model": target.model, "messages": ASK, "temperature": 0, "max_tokens": 24}
        return client.chat.completions.create(**{**defaults, **fields})

    return ask


def test_it_lists_the_model(client, target):
    assert target.model in [model.id for model in client.models.list()]


def test_it_reads_an_answer(ask, wire):
    answer = ask()
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content == text(wire.chat())
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_it_reads_a_stream(ask, wire):
    said = [chunk.choices[0].delta.content or "" for chunk in ask(stream=True)]
    assert len(said) > 2
    assert "".join(said) == text(wire.chat())


def test_it_reads_the_usage_of_a_stream(ask):
    *chunks, last = ask(stream=True, stream_options={"include_usage": True})
    assert all(chunk.usage is None for chunk in chunks)
    assert last.usage.completion_tokens > 0


def test_its_stream_helper_rebuilds_the_answer(client, target, wire):
    # The helper raises on "length", so this one answer must end by itself.
    asked = {"temperature": 0, "max_tokens": 400}
    with client.chat.completions.stream(model=target.model, messages=ASK, **asked) as stream:
        for _ in stream:
            pass
        rebuilt = stream.get_final_completion()
    assert rebuilt.choices[0].message.content == text(wire.chat(**asked))
    assert rebuilt.choices[0].finish_reason == "stop"


@pytest.mark.needs(Feature.TOOLS)
def test_its_stream_helper_rebuilds_a_tool_call(client, target):
    asked = {"tools": [BOOK], "tool_choice": "required", "temperature": 0, "max_tokens": 100}
    with client.chat.completions.stream(model=target.model, messages=ASK, **asked) as stream:
        for _ in stream:
            pass
        (call,) = stream.get_final_completion().choices[0].message.tool_calls
    assert call.id
    assert call.function.name == "book_visit"
    assert set(json.loads(call.function.arguments)) == {"day", "people"}


@pytest.mark.needs(Feature.ENGINE_FIELDS)
def test_its_extra_body_reaches_the_engine(ask):
    assert ask(extra_body={"ignore_eos": True}, max_tokens=90).usage.completion_tokens == 90


@pytest.mark.needs(Feature.REQUEST_ID)
def test_it_knows_the_id_of_its_request(ask):
    assert ask(max_tokens=1)._request_id


def test_its_raw_response_has_the_headers(client, target):
    raw = client.chat.completions.with_raw_response.create(model=target.model, messages=ASK, max_tokens=1)
    assert raw.status_code == 200
    assert raw.headers["content-type"].startswith("application/json")
    assert raw.parse().model == target.model


@pytest.mark.needs(Feature.AUTH)
def test_a_wrong_key_is_an_authentication_error(connect, target):
    with pytest.raises(openai.AuthenticationError) as refused:
        connect("wrong").models.list()
    if isinstance(refused.value.body, dict):
        assert refused.value.code == "invalid_api_key"


def test_an_unknown_model_is_a_not_found_error(ask):
    with pytest.raises((openai.NotFoundError, openai.BadRequestError)) as refused:
        ask(model="no-such-model")
    assert refused.value.message


def test_a_value_out_of_range_is_a_bad_request(ask):
    with pytest.raises((openai.BadRequestError, openai.UnprocessableEntityError)) as refused:
        ask(temperature=-1)
    assert "temperature" in refused.value.message


def test_a_refused_stream_raises_before_its_first_chunk(ask):
    with pytest.raises((openai.NotFoundError, openai.BadRequestError)):
        ask(model="no-such-model", stream=True)


@pytest.mark.needs(Feature.FIELD_ERRORS)
def test_a_wrong_type_is_an_unprocessable_entity_with_param_and_code(ask):
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        ask(temperature="hot")
    assert (refused.value.code, refused.value.param) == ("invalid_field", "temperature")


@pytest.mark.needs(Feature.REQUEST_ID)
def test_an_error_knows_the_id_of_its_request(ask):
    with pytest.raises(openai.APIStatusError) as refused:
        ask(model="no-such-model", extra_headers={"x-request-id": "contract-of-an-error"})
    assert refused.value.request_id == "contract-of-an-error"
