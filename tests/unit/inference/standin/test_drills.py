import json
from random import Random

from inference.standin.conversation import Conversation
from inference.standin.drills import as_json, drill, form, look_up, repeat, unknown_tool


def talks(exercise: object, count: int = 300) -> list[Conversation]:
    rng, made = Random(31), []
    for _ in range(count):
        talk = Conversation(rng)
        exercise(talk)  # type: ignore[operator]
        made.append(talk)
    return made


def test_a_repeated_line_is_the_line() -> None:
    for talk in talks(repeat):
        for question, answer in zip(talk.messages[::2], talk.messages[1::2], strict=True):
            assert question["content"].endswith(": " + answer["content"])


def test_a_value_looked_up_stands_in_the_prompt() -> None:
    for talk in talks(look_up):
        source = talk.messages[0]["content"].replace(",", "")
        for message in talk.messages[2::2]:
            for word in message["content"].strip("a ").replace(",", "").replace("$", "").split():
                if word.isdigit():
                    assert word in source


def test_a_form_gives_back_each_of_its_values() -> None:
    for talk in talks(form):
        given = talk.messages[0]["content"]
        assert sorted(given.split(", ")) == sorted(talk.messages[1]["content"].split(", "))
        assert all(message["content"] in given for message in talk.messages[3::2])


def test_json_answers_parse_and_come_from_the_question() -> None:
    for talk in talks(as_json):
        question, answer = (message["content"] for message in talk.messages)
        for key, value in json.loads(answer).items():
            assert key in question
            assert (f"${value:,}" if key == "price" else str(value)) in question


def test_the_same_seed_gives_the_same_drill() -> None:
    assert drill(Random(1)).messages == drill(Random(1)).messages


def test_an_unknown_tool_is_called_with_what_the_customer_said() -> None:
    rng = Random(8)
    for _ in range(200):
        talk = unknown_tool(rng)
        ((name, parameters),) = talk.tools.items()
        question, answer = talk.messages
        function = answer["tool_calls"][0]["function"]
        arguments = json.loads(function["arguments"])
        assert function["name"] == name
        assert tuple(arguments) == parameters
        assert all(f"{each} {value}" in question["content"] for each, value in arguments.items())
