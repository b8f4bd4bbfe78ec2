import itertools
import json
import re
from random import Random

import pytest

from inference.standin.conversation import DEALERSHIP
from inference.standin.dialogues import Dialogue, invent_dialogue
from inference.standin.lookups import SEARCH, TOOLS

SEED, COUNT = 11, 3_000


@pytest.fixture(scope="module")
def dialogues() -> list[Dialogue]:
    rng = Random(SEED)
    return [invent_dialogue(rng) for _ in range(COUNT)]


def calls(dialogue: Dialogue) -> list[dict[str, str]]:
    return [call["function"] for message in dialogue.messages for call in message.get("tool_calls", [])]


def test_the_same_seed_invents_the_same_dialogues(dialogues: list[Dialogue]) -> None:
    rng = Random(SEED)
    assert dialogues == [invent_dialogue(rng) for _ in range(COUNT)]


def test_another_seed_invents_others(dialogues: list[Dialogue]) -> None:
    assert invent_dialogue(Random(SEED + 1)) not in dialogues[:50]


def test_every_dialogue_ends_with_words_of_the_assistant(dialogues: list[Dialogue]) -> None:
    for dialogue in dialogues:
        assert dialogue.messages[-1]["role"] == "assistant"
        assert dialogue.messages[-1]["content"]


def test_customer_and_assistant_take_turns(dialogues: list[Dialogue]) -> None:
    follows = {"system": {"user"}, "user": {"assistant"}, "assistant": {"user", "tool"}, "tool": {"assistant"}}
    for dialogue in dialogues:
        roles = [message["role"] for message in dialogue.messages]
        assert roles[0] in ("system", "user")
        assert all(after in follows[before] for before, after in itertools.pairwise(roles))


def test_calls_name_an_offered_tool_and_only_its_parameters(dialogues: list[Dialogue]) -> None:
    called = 0
    for dialogue in dialogues:
        offered = {tool["function"]["name"]: tool["function"]["parameters"]["properties"] for tool in dialogue.tools}
        for function in calls(dialogue):
            called += 1
            arguments = json.loads(function["arguments"])
            declared = list(offered[function["name"]])
            assert arguments
            assert list(arguments) == [name for name in declared if name in arguments]
    assert called > COUNT / 5


def test_numeric_arguments_are_numbers(dialogues: list[Dialogue]) -> None:
    for dialogue in dialogues:
        for function in calls(dialogue):
            for name, value in json.loads(function["arguments"]).items():
                assert isinstance(value, int if name in ("max_price", "min_year", "max_mileage") else str)


def test_search_parameters_are_the_agreed_ones() -> None:
    assert set(TOOLS[SEARCH]) == {
        "make", "model", "body_style", "fuel_type", "max_price", "min_year", "color", "max_mileage",
    }  # fmt: skip


def test_answers_after_a_result_contain_only_figures_that_stand_before_them(dialogues: list[Dialogue]) -> None:
    for dialogue in dialogues:
        for at, message in enumerate(dialogue.messages):
            if message["role"] != "tool":
                continue
            before = "".join(
                str(each.get("content")) + str(each.get("tool_calls")) for each in dialogue.messages[: at + 1]
            )
            answer = dialogue.messages[at + 1]["content"]
            for figure in re.findall(r"\d[\d,]*\d", answer):
                assert figure.replace(",", "") in before, answer


def test_only_one_dealership_is_ever_named(dialogues: list[Dialogue]) -> None:
    text = " ".join(str(message["content"]) for dialogue in dialogues for message in dialogue.messages)
    assert DEALERSHIP in text
    assert set(re.findall(r"(?:[A-Z]\w+ )+Motors", text)) == {"Summit Drive Motors"} | (
        set(re.findall(r"(?:[A-Z]\w+ )+Summit Drive Motors", text))
    )


def test_a_number_of_topics_can_be_asked_for() -> None:
    short = [len(invent_dialogue(Random(seed), topics=1).messages) for seed in range(200)]
    long = [len(invent_dialogue(Random(seed), topics=12).messages) for seed in range(200)]
    assert max(short) < 25
    assert min(long) >= 15
    assert sum(long) > 8 * sum(short)
