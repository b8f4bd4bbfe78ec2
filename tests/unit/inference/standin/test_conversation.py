import json
from random import Random

from inference.standin.conversation import ASSISTANT, DEALERSHIP, Conversation, typed


def test_the_assistant_and_the_dealership_have_one_name() -> None:
    assert (ASSISTANT, DEALERSHIP) == ("Scout", "Summit Drive Motors")


def test_a_call_has_the_shape_of_the_chat_completions_api() -> None:
    talk = Conversation(Random(1))
    talk.call("search_inventory", {"make": "Kia"})
    message = talk.messages[-1]
    assert message["role"] == "assistant"
    assert message["content"] is None
    function = message["tool_calls"][0]["function"]
    assert function["name"] == "search_inventory"
    assert json.loads(function["arguments"]) == {"make": "Kia"}


def test_typing_changes_a_message_by_at_most_one_letter_and_its_last_mark() -> None:
    rng = Random(2)
    text = "Which SUVs under 30k do you have?"
    variants = {typed(rng, text) for _ in range(2_000)}
    assert text in variants
    assert text.lower() in variants
    assert all(len(text) - len(variant) <= 2 for variant in variants)
    assert all("suvs" in variant.lower() and "30k" in variant.lower() for variant in variants)


def test_exact_messages_are_not_mistyped() -> None:
    talk = Conversation(Random(3))
    for _ in range(200):
        assert talk.user("Repeat: A, b, C.", exact=True) == "Repeat: A, b, C."
