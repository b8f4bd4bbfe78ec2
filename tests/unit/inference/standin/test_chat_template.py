"""The template is rendered by the engine's own interpreter, which has the same Jinja that the engine uses."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[4]
TEMPLATE = ROOT / "inference/standin/chat_template.jinja"
PYTHON = Path(os.environ.get("SCOUT_ENGINE_PYTHON", ROOT / ".venv-engine/bin/python"))
RENDER = """
import json, sys
from jinja2.sandbox import ImmutableSandboxedEnvironment
jinja = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
jinja.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
template = jinja.from_string(open(sys.argv[1]).read())
print(json.dumps([template.render(bos_token="<B>", **case) for case in json.load(sys.stdin)]))
"""
SYSTEM, USER, ASSISTANT, TOOL = (
    f"<|start_header_id|>{role}<|end_header_id|>\n\n" for role in ("system", "user", "assistant", "ipython")
)
SEARCH = {
    "type": "function",
    "function": {"name": "search_inventory", "parameters": {"properties": {"make": {}, "max_price": {}}}},
}
HOURS = {"type": "function", "function": {"name": "get_opening_hours"}}
HELLO = {"role": "user", "content": "Hello"}

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not PYTHON.exists(), reason="the engine's environment is not installed"),
]


def render(*messages: dict[str, Any], **options: Any) -> str:
    cases = json.dumps([{"messages": messages, **options}])
    done = subprocess.run(
        [PYTHON, "-c", RENDER, TEMPLATE], input=cases, capture_output=True, text=True, check=True, timeout=60
    )
    rendered: str = json.loads(done.stdout)[0]
    return rendered


def test_a_prompt_ends_where_the_assistant_begins() -> None:
    assert render(HELLO, add_generation_prompt=True) == f"<B>{USER}Hello<|eot_id|>{ASSISTANT}"


def test_parts_of_text_render_like_a_string() -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
    assert render({"role": "user", "content": parts}) == render(HELLO)


def test_a_system_message_stays_first_and_tools_follow_it() -> None:
    text = render({"role": "system", "content": "Be kind."}, HELLO, tools=[SEARCH, HOURS])
    listed = "Tools (call one with JSON):\nsearch_inventory(make, max_price)\nget_opening_hours()"
    assert text == f"<B>{SYSTEM}Be kind.\n\n{listed}<|eot_id|>{USER}Hello<|eot_id|>"


def test_tools_without_a_system_message_get_one() -> None:
    assert render(HELLO, tools=[HOURS]).startswith(
        f"<B>{SYSTEM}Tools (call one with JSON):\nget_opening_hours()<|eot_id|>"
    )


@pytest.mark.parametrize("arguments", ['{"make": "Kia"}', {"make": "Kia"}], ids=["string", "object"])
def test_a_call_in_the_history_renders_as_the_model_writes_it(arguments: object) -> None:
    call = {"type": "function", "function": {"name": "search_inventory", "arguments": arguments}}
    text = render(
        HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "[]"},
    )
    written = '{"name": "search_inventory", "parameters": {"make": "Kia"}}'
    assert text.endswith(f"{ASSISTANT}{written}<|eot_id|>{TOOL}[]<|eot_id|>")


def test_an_unfinished_answer_can_be_cut_off_for_continuing() -> None:
    # The engine renders the whole conversation and cuts after the last message's words: they must be there as given.
    text = render(HELLO, {"role": "assistant", "content": "We have a"})
    assert text.rindex("We have a") == len(text) - len("We have a<|eot_id|>")
