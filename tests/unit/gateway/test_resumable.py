"""Which requests may be continued elsewhere. The reason for a refusal begins with the field that is in the way."""

from typing import Any

import pytest

from gateway.resumable import offers_tools, resumable

TALK = [{"role": "user", "content": "What are your opening hours?"}]
SEARCH = {"type": "function", "function": {"name": "search_inventory"}}
STRICT = {"type": "function", "function": {"name": "search_inventory", "strict": True}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:,"}}


def why_not(**fields: Any) -> str | None:
    return resumable({"model": "m", "messages": TALK, **fields})


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="nothing but messages"),
        pytest.param({"n": 1, "presence_penalty": 0, "frequency_penalty": 0.0}, id="the defaults in numbers"),
        pytest.param({"n": None, "tools": None, "response_format": None, "stop": None, "max_tokens": None}, id="nulls"),
        pytest.param({"max_tokens": 5, "max_completion_tokens": 5, "min_tokens": 2}, id="counts"),
        pytest.param({"temperature": 0.7, "top_p": 0.9, "top_k": 5, "min_p": 0.1, "seed": 1}, id="sampling"),
        pytest.param({"repetition_penalty": 1.3}, id="a penalty that counts the prompt too"),
        pytest.param({"logit_bias": {"5": 1}, "allowed_token_ids": [5], "stop_token_ids": [4]}, id="token by token"),
        pytest.param({"logprobs": True, "top_logprobs": 3, "logprob_token_ids": [5]}, id="odds"),
        pytest.param({"ignore_eos": True, "skip_special_tokens": False}, id="special tokens"),
        pytest.param({"include_reasoning": True, "spaces_between_special_tokens": True}, id="defaults that are on"),
        pytest.param({"use_beam_search": False, "echo": False, "bad_words": [], "vllm_xargs": {}}, id="not set"),
        pytest.param({"response_format": {"type": "text"}, "guided_json": None}, id="plain text"),
        pytest.param({"tools": [SEARCH]}, id="tools"),
        pytest.param({"tools": [SEARCH], "tool_choice": "auto", "parallel_tool_calls": True}, id="tools, auto"),
        pytest.param(
            {"tools": [STRICT], "tool_choice": "none", "parallel_tool_calls": False}, id="tools not to be used"
        ),
        pytest.param({"stop": ["end"], "stop_token_ids": [], "min_tokens": 0}, id="stop strings"),
        pytest.param({"stop": "end", "include_stop_str_in_output": False, "skip_special_tokens": True}, id="stop, off"),
        pytest.param(
            {"stop": "end", "include_stop_str_in_output": True, "stop_token_ids": [4], "skip_special_tokens": False},
            id="a stop string that is shown anyway",
        ),
        pytest.param({"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}, id="text parts"),
        pytest.param({"messages": [{"role": "assistant", "content": None}, {"role": "tool"}]}, id="no content"),
        pytest.param({"x_unknown": {"any": 1}, "cache_salt": "s", "priority": 1}, id="what changes no token"),
    ],
)
def test_what_every_leg_means_alike_is_resumable(fields: dict[str, Any]) -> None:
    assert why_not(**fields) is None


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("n", {"n": 2}),
        ("presence_penalty", {"presence_penalty": 0.5}),
        ("frequency_penalty", {"frequency_penalty": -0.5}),
        ("use_beam_search", {"use_beam_search": True}),
        ("echo", {"echo": True}),
        ("prompt_logprobs", {"prompt_logprobs": 0}),
        ("bad_words", {"bad_words": ["price"]}),
        ("repetition_detection", {"repetition_detection": {"max_pattern_size": 4}}),
        ("thinking_token_budget", {"thinking_token_budget": 0}),
        ("structured_outputs", {"structured_outputs": {"regex": "a+"}}),
        ("watermarking", {"watermarking": True}),
        ("kv_transfer_params", {"kv_transfer_params": {"do_remote_prefill": True}}),
        ("ec_transfer_params", {"ec_transfer_params": {"do_remote": True}}),
        ("vllm_xargs", {"vllm_xargs": {"a": 1}}),
        ("include_reasoning", {"include_reasoning": False}),
        ("spaces_between_special_tokens", {"spaces_between_special_tokens": False}),
        ("max_tokens", {"max_tokens": "5"}),
        ("max_completion_tokens", {"max_completion_tokens": 5.0}),
        ("min_tokens", {"min_tokens": "5"}),
        ("tool_choice", {"tools": [SEARCH], "tool_choice": "required"}),
        ("tool_choice", {"tools": [SEARCH], "tool_choice": {"type": "function", "function": {"name": "a"}}}),
        ("parallel_tool_calls", {"tools": [SEARCH], "parallel_tool_calls": False}),
        ("tools", {"tools": [SEARCH, STRICT]}),
        ("response_format", {"response_format": {"type": "json_object"}}),
        ("response_format", {"response_format": {"type": "json_schema", "json_schema": {}}}),
        ("guided_regex", {"guided_regex": "a+"}),
        ("stop", {"stop": ["end"], "min_tokens": 3}),
        ("stop", {"stop": ["end"], "tools": [SEARCH]}),
        ("stop", {"stop": ["end"], "stop_token_ids": [5]}),
        ("stop", {"stop": ["end"], "skip_special_tokens": False}),
        ("include_stop_str_in_output", {"stop": ["end"], "include_stop_str_in_output": "true"}),
        ("messages", {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, IMAGE]}]}),
        ("messages", {"messages": [{"role": "user", "content": [{**IMAGE, "type": "text", "text": "What is it?"}]}]}),
    ],
)
def test_what_a_second_leg_could_not_honour_is_refused_by_name(field: str, fields: dict[str, Any]) -> None:
    reason = why_not(**fields)
    assert reason is not None
    assert reason.startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("fields", "offered"),
    [
        pytest.param({}, False, id="none"),
        pytest.param({"tools": []}, False, id="an empty list"),
        pytest.param({"tools": [SEARCH]}, True, id="the choice is the model's unless told"),
        pytest.param({"tools": [SEARCH], "tool_choice": "auto"}, True, id="auto"),
        pytest.param({"tools": [SEARCH], "tool_choice": "none"}, False, id="not to be used"),
    ],
)
def test_whether_tools_are_offered(fields: dict[str, Any], offered: bool) -> None:
    assert offers_tools(fields) is offered
