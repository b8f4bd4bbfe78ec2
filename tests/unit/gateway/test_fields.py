"""What a client may ask for: the machinery's fields are refused, work is bounded, the rest passes as it came."""

import copy
from typing import Any

import pytest

from gateway.errors import InvalidField
from gateway.fields import FIELDS, MAX_TOKEN_IDS, Bounded, Dropped, Refused, Set, admit, cache_salt
from gateway.settings import Limits

LIMITS = Limits(
    max_answers=4,
    max_tokens=100,
    max_top_logprobs=5,
    max_stop_strings=3,
    max_stop_chars=10,
    max_schema_bytes=60,
    max_tools=2,
)
ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
SET_BY_US = {"cache_salt": "scout-ann", "priority": 7}
VLLM_FORBIDS_IN_A_SALT = "@/\\\0"


def admitted(**fields: Any) -> dict[str, Any]:
    return admit({**ASKED, **fields}, LIMITS, tenant="ann", priority=7)


def refusal(**fields: Any) -> InvalidField:
    with pytest.raises(InvalidField) as refused:
        admitted(**fields)
    return refused.value


def of_kind(kind: type) -> list[str]:
    return [name for name, rule in FIELDS.items() if isinstance(rule, kind)]


def tool(parameters: object = None) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "parameters": parameters}}


# ---- what is sent on


def test_an_ordinary_question_gets_salt_and_priority_and_nothing_else() -> None:
    assert admitted() == {**ASKED, **SET_BY_US}


def test_the_clients_body_is_not_changed() -> None:
    body = {**ASKED, "max_tokens": None, "session_id": "x", "tools": [tool({"type": "object"})]}
    before = copy.deepcopy(body)
    sent = admit(body, LIMITS, tenant="ann", priority=7)
    assert body == before
    assert sent["messages"] is body["messages"], "a deep copy would cost what the conversation is long"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"user": "u", "metadata": {"a": "b"}, "store": False, "service_tier": "auto"}, id="OpenAI's"),
        pytest.param({"stream": True, "stream_options": {"include_usage": True}}, id="usage"),
        pytest.param({"stream": True, "stream_options": {"continuous_usage_stats": True}}, id="continuous usage"),
        pytest.param({"top_k": 5, "repetition_penalty": 1.1, "min_p": 0.1, "ignore_eos": True}, id="sampling"),
        pytest.param({"skip_special_tokens": False, "include_stop_str_in_output": True}, id="text"),
        pytest.param({"return_token_ids": True, "return_tokens_as_token_ids": True}, id="token ids"),
        pytest.param({"continue_final_message": True, "add_generation_prompt": False}, id="continuation"),
        pytest.param({"truncate_prompt_tokens": 9, "truncation_side": "left"}, id="truncation"),
        pytest.param({"a_field_of_another_server": {"any": ["thing", None]}, "nothing": None}, id="unknown"),
    ],
)
def test_other_fields_pass_unchanged(fields: dict[str, Any]) -> None:
    assert admitted(**fields) == {**ASKED, **fields, **SET_BY_US}


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_null_is_as_if_it_had_not_been_sent(name: str) -> None:
    assert admitted(**{name: None}) == admitted()


# ---- what is the gateway's


@pytest.mark.parametrize("name", of_kind(Refused) + of_kind(Set))
def test_a_field_that_is_not_the_clients_is_refused_with_a_hint(name: str) -> None:
    error = refusal(**{name: "anything"})
    rule = FIELDS[name]
    assert isinstance(rule, Refused | Set)
    assert error.param == name
    assert error.message == f"{name}: not a client's to set. {rule.hint}"


@pytest.mark.parametrize("name", ["guided_json", "guided_regex", "guided_choice", "guided_grammar"])
def test_a_removed_constraint_names_what_works_instead(name: str) -> None:
    assert "`structured_outputs`" in refusal(**{name: {}}).message


def test_a_priority_names_the_header_that_works() -> None:
    assert "x-scout-priority" in refusal(priority=0).message


@pytest.mark.parametrize("value", [0, False, "", [], {}])
def test_an_empty_value_is_a_value_too(value: object) -> None:
    assert refusal(kv_transfer_params=value).param == "kv_transfer_params"


@pytest.mark.parametrize(("name", "value"), [("echo", False), ("use_beam_search", False), ("stream_interval", 1)])
def test_a_default_that_asks_for_nothing_is_left_out(name: str, value: object) -> None:
    assert admitted(**{name: value}) == admitted()


@pytest.mark.parametrize("name", of_kind(Dropped))
def test_a_field_without_effect_is_left_out(name: str) -> None:
    assert admitted(**{name: "anything"}) == admitted()


# ---- cache salt


def test_tenants_have_salts_of_their_own() -> None:
    assert cache_salt("ann") == "scout-ann"
    assert cache_salt("bob") == "scout-bob"


@pytest.mark.parametrize("tenant", ["a@b", "a/b", "a\\b", "a\0b", "a" * 123, "é" * 200])
def test_a_name_that_the_engine_would_refuse_becomes_a_salt_that_it_takes(tenant: str) -> None:
    salt = cache_salt(tenant)
    assert len(salt) <= 128
    assert not set(salt) & set(VLLM_FORBIDS_IN_A_SALT)
    assert tenant not in salt


def test_names_that_differ_only_in_what_is_forbidden_keep_apart() -> None:
    names = ["a/b", "a@b", "a\\b", "ab", "a" * 200, "a" * 201]
    assert len({cache_salt(name) for name in names}) == len(names)


def test_the_longest_name_that_fits_is_kept() -> None:
    assert cache_salt("a" * 122) == "scout-" + "a" * 122


# ---- bounds


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("n", 1, 4),
        ("best_of", 1, 4),
        ("max_tokens", 1, 100),
        ("max_completion_tokens", 1, 100),
        ("min_tokens", 0, 100),
        ("top_logprobs", 0, 5),
        ("prompt_logprobs", 0, 5),
        ("logprobs", 0, 5),
    ],
)
def test_a_number_is_held_to_its_bounds(name: str, least: int, most: int) -> None:
    for value in (least, most):
        assert admitted(**{name: value})[name] == value
    for wrong in (least - 1, most + 1, -1, 10**30, str(most), float(most), [most]):
        error = refusal(**{name: wrong})
        assert error.param == name
        assert f"from {least} to {most}" in error.message
        assert "leave it out" in error.message


@pytest.mark.parametrize("name", ["n", "max_tokens", "min_tokens", "top_logprobs", "prompt_logprobs"])
def test_true_is_no_number(name: str) -> None:
    assert refusal(**{name: True}).param == name


@pytest.mark.parametrize("value", [True, False])
def test_logprobs_may_be_the_switch_that_openai_has(value: bool) -> None:
    assert admitted(logprobs=value)["logprobs"] is value


@pytest.mark.parametrize("name", ["stop", "bad_words"])
@pytest.mark.parametrize("value", ["0123456789", [], ["a", "b", "0123456789"]])
def test_strings_within_their_bounds_pass(name: str, value: object) -> None:
    assert admitted(**{name: value})[name] == value


@pytest.mark.parametrize("name", ["stop", "bad_words"])
@pytest.mark.parametrize(
    ("value", "told"),
    [
        pytest.param(["a", "b", "c", "d"], "4 entries; at most 3", id="too many"),
        pytest.param("0123456789x", "11 characters; at most 10", id="too long"),
        pytest.param(["a", "0123456789x"], "11 characters; at most 10", id="one too long"),
        pytest.param(["a", 5], "must be strings", id="no string"),
        pytest.param({"a": 1}, "must be a list", id="no list"),
    ],
)
def test_strings_over_a_bound_are_refused(name: str, value: object, told: str) -> None:
    error = refusal(**{name: value})
    assert error.param == name
    assert told in error.message


@pytest.mark.parametrize(
    ("name", "most"),
    [("stop_token_ids", 3), ("allowed_token_ids", MAX_TOKEN_IDS), ("logprob_token_ids", MAX_TOKEN_IDS)],
)
def test_lists_of_tokens_are_bounded(name: str, most: int) -> None:
    assert admitted(**{name: [1] * most})[name] == [1] * most
    assert f"{most + 1} entries; at most {most}" in refusal(**{name: [1] * (most + 1)}).message
    assert "must be a list" in refusal(**{name: "1"}).message


def test_a_bias_is_bounded() -> None:
    full = {str(token): 1 for token in range(MAX_TOKEN_IDS)}
    assert admitted(logit_bias=full)["logit_bias"] == full
    assert refusal(logit_bias={**full, "x": 1}).param == "logit_bias"


# 60 bytes are allowed; "é" has two.
@pytest.mark.parametrize(
    ("fields", "size"),
    [
        pytest.param({"structured_outputs": {"regex": "é" * 24}}, 60, id="regex"),
        pytest.param({"structured_outputs": {"choice": ["x" * 45]}}, 60, id="choice"),
        pytest.param({"structured_outputs": {"json": {"a": "x" * 43}}}, 60, id="json"),
        pytest.param({"structured_outputs": {"grammar": "x" * 46}}, 60, id="grammar"),
        pytest.param({"structured_outputs": {"structural_tag": "x" * 39}}, 60, id="structural tag"),
        pytest.param({"response_format": {"type": "json_schema", "json_schema": {"name": "xxx"}}}, 51, id="format"),
        pytest.param({"tools": [tool({"a": "x" * 22}), tool({"a": "x" * 22})]}, 60, id="tools in sum"),
        pytest.param({"tools": [tool("x" * 60)]}, 60, id="a text is as long as it is"),
    ],
)
def test_schemas_are_bounded_by_their_bytes(fields: dict[str, Any], size: int) -> None:
    body = {**ASKED, **fields}
    [name] = fields
    for most in (size, size + 1):
        limits = LIMITS.model_copy(update={"max_schema_bytes": most})
        assert admit(body, limits, tenant="ann", priority=7)[name] == fields[name]
    with pytest.raises(InvalidField) as refused:
        admit(body, LIMITS.model_copy(update={"max_schema_bytes": size - 1}), tenant="ann", priority=7)
    assert refused.value.param == name
    assert f"{size} bytes of schema or grammar; at most {size - 1}" in refused.value.message


def test_tools_are_counted() -> None:
    assert len(admitted(tools=[tool(), tool()])["tools"]) == 2
    assert "3 entries; at most 2" in refusal(tools=[tool()] * 3).message


def test_the_text_of_a_tool_is_no_schema() -> None:
    described = {"type": "function", "function": {"name": "f", "description": "x" * 500}}
    assert admitted(tools=[described])["tools"] == [described]


@pytest.mark.parametrize("odd", [[5, {"function": 5}], [{}]])
def test_what_a_tool_must_look_like_is_for_others_to_say(odd: list[object]) -> None:
    assert admitted(tools=odd)["tools"] == odd


def test_a_template_gets_switches_only() -> None:
    switches = {"enable_thinking": False, "thinking": True, "other": None}
    assert admitted(chat_template_kwargs=switches)["chat_template_kwargs"] == switches


@pytest.mark.parametrize("wrong", [{"max_length": 5}, {"tools": []}, {"bos_token": ""}, [True], "x"])
def test_what_is_no_switch_does_not_reach_the_template(wrong: object) -> None:
    assert refusal(chat_template_kwargs=wrong).param == "chat_template_kwargs"


def test_every_bound_has_been_tried_above() -> None:
    # A new bound needs a case of its own; this names those that have one.
    assert set(of_kind(Bounded)) == {
        *("n", "best_of", "max_tokens", "max_completion_tokens", "min_tokens"),
        *("top_logprobs", "prompt_logprobs", "logprobs", "stop", "bad_words"),
        *("stop_token_ids", "allowed_token_ids", "logprob_token_ids", "logit_bias"),
        *("response_format", "structured_outputs", "tools", "chat_template_kwargs"),
    }
