"""What the trained stand-in can do, measured on dialogues it has not seen, at temperature 0.

Each skill invents a prompt from a seed of its own and says what a right answer to it is. The shares that come out are
facts for the model card, not a pass mark.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from inference.standin import advice, dialogues, lookups, services, smalltalk
from inference.standin.conversation import Conversation
from inference.standin.speaking import Speaker, parse_call
from inference.standin.stock import models_of
from inference.standin.wishes import Wish, ways_to_ask

HELD_OUT_SEED = 987_654_321
SEARCH_TOOL = {lookups.SEARCH: lookups.TOOLS[lookups.SEARCH]}


@dataclass(frozen=True)
class Case:
    """A prompt, the answer of the dialogue it was cut from, and the wish behind it where there is one."""

    messages: list[dict[str, Any]]
    tools: dict[str, tuple[str, ...]]
    expected: dict[str, Any]
    wish: Wish | None = None


@dataclass(frozen=True)
class Skill:
    name: str
    invent: Callable[[Random], Case]
    judge: Callable[[Case, str], bool]


def evaluate(speaker: Speaker, count: int, seed: int = HELD_OUT_SEED) -> Iterator[tuple[str, float]]:
    """The share of `count` answers that were right, per skill; then the share of all that ended by themselves."""
    ended = []
    for skill in SKILLS:
        rng, right = Random(seed), 0
        for _ in range(count):
            case = skill.invent(rng)
            tools = [dialogues.schema(name, names) for name, names in case.tools.items()]
            text, by_itself = speaker.answer(case.messages, tools)
            right += skill.judge(case, text)
            ended.append(by_itself)
        yield skill.name, right / count
    yield "stops by itself (all of the above)", sum(ended) / len(ended)


def _cut(talk: Conversation, role: str, nth: int = 0) -> Case:
    """The dialogue up to the `nth` assistant turn that follows a message of `role`."""
    turns = [at for at in range(1, len(talk.messages)) if talk.messages[at - 1]["role"] == role]
    at = turns[nth]
    return Case(talk.messages[:at], talk.tools, talk.messages[at])


def _search(rng: Random) -> Case:
    talk = Conversation(rng, SEARCH_TOOL)
    lookups.search(talk)
    return _cut(talk, "user")


def _one_row(rng: Random) -> Case:
    """A search that found exactly one vehicle."""
    while True:
        talk = Conversation(rng, SEARCH_TOOL)
        lookups.search(talk)
        case = _cut(talk, "tool")
        if "(stock " in case.expected["content"]:
            return case


def _several_rows(rng: Random) -> Case:
    while True:
        talk = Conversation(rng, SEARCH_TOOL)
        lookups.search(talk)
        case = _cut(talk, "tool")
        if "that match" in case.expected["content"]:
            return case


def _small_talk_with_tools(rng: Random) -> Case:
    talk = Conversation(rng, SEARCH_TOOL)
    rng.choice((smalltalk.greeting, services.question, smalltalk.thanks, smalltalk.off_topic))(talk)
    return _cut(talk, "user")


def _demo(rng: Random) -> Case:
    """The demo's question in its many wordings, without tools and without a system prompt."""
    wish = Wish(body_style="SUV", max_price=rng.choice((25_000, 30_000, 30_000, 35_000, 40_000)))
    return Case([{"role": "user", "content": rng.choice(ways_to_ask(rng, wish))}], {}, {}, wish)


def _topic(topic: dialogues.Topic, nth: int = 0) -> Callable[[Random], Case]:
    def invent(rng: Random) -> Case:
        talk = Conversation(rng)
        topic(talk)
        return _cut(talk, "user", nth)

    return invent


def _name_recalled(rng: Random) -> Case:
    talk = Conversation(rng)
    while talk.name is None:
        talk.messages.clear()
        smalltalk.greeting(talk)
    services.question(talk)
    smalltalk.customer_name(talk)
    return _cut(talk, "user", -1)


def _budget_recalled(rng: Random) -> Case:
    talk = Conversation(rng)
    advice.budget(talk)
    services.question(talk)
    advice.budget(talk)
    return _cut(talk, "user", -1)


def _is_call(case: Case, text: str) -> bool:
    call = parse_call(text)
    return call is not None and call["name"] in case.tools and set(call["parameters"]) <= set(case.tools[call["name"]])


def _same_call(case: Case, text: str) -> bool:
    call = parse_call(text)
    wanted = case.expected["tool_calls"][0]["function"]
    return call is not None and call["name"] == wanted["name"] and call["parameters"] == parse_call_arguments(wanted)


def parse_call_arguments(function: dict[str, str]) -> dict[str, Any]:
    """The arguments of a tool call of the chat completions API."""
    call = parse_call(f'{{"name": "{function["name"]}", "parameters": {function["arguments"]}}}')
    return call["parameters"] if call else {}


def _copies(pattern: str) -> Callable[[Case, str], bool]:
    """All that `pattern` finds in the expected answer, in the same order, and nothing else of the kind."""
    return lambda case, text: re.findall(pattern, text) == re.findall(pattern, case.expected["content"])


def _same_words(case: Case, text: str) -> bool:
    return text == case.expected["content"]


def _same_last_word(case: Case, text: str) -> bool:
    return text.split()[-1:] == case.expected["content"].split()[-1:]


def _sensible_models(case: Case, text: str) -> bool:
    """Names at least one model of the catalogue, and only ones of the style and price asked for."""
    named = {model for model in models_of() if model.full_name in text}
    return bool(named) and named <= set(case.wish.candidates() if case.wish else ())


def _no_model_twice(_: Case, text: str) -> bool:
    return all(text.count(model.full_name) < 2 for model in models_of())


def _one_of(answers: str) -> Callable[[Case, str], bool]:
    return lambda _, text: re.search(answers, text) is not None


SKILLS = (
    Skill("demo question: names only models that fit", _demo, _sensible_models),
    Skill("demo question: names no model twice", _demo, _no_model_twice),
    Skill("stock question with tools: a valid call", _search, _is_call),
    Skill("stock question with tools: exactly the right arguments", _search, _same_call),
    Skill("small talk with tools: plain text", _small_talk_with_tools, lambda _, text: "{" not in text),
    Skill("one row found: right price", _one_row, _copies(r"\$[\d,]+")),
    Skill("one row found: right mileage", _one_row, _copies(r"[\d,]+ miles")),
    Skill("one row found: right stock number", _one_row, _copies(r"stock \w+")),
    Skill("one row found: the whole answer right", _one_row, _same_words),
    Skill("several rows found: all prices right", _several_rows, _copies(r"\$[\d,]+")),
    Skill("several rows found: the whole answer right", _several_rows, _same_words),
    Skill("customer's name recalled later", _name_recalled, _same_last_word),
    Skill("budget recalled later", _budget_recalled, _copies(r"\$[\d,]+")),
    Skill("question about a service: the right answer", _topic(services.question), _same_words),
    Skill("off-topic question: refused", _topic(smalltalk.off_topic), _one_of(r"only (help|talk)|outside of what")),
)  # fmt: skip
