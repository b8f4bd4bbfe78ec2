"""Whole dialogues: which topics follow each other, what the system prompt says, which tools are offered.

`invent_dialogue` is the only source of the stand-in's training data, together with `drills`. It is a pure function of
the generator passed in.
"""

from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from inference.standin import advice, lookups, services, smalltalk
from inference.standin.conversation import ASSISTANT, DEALERSHIP, Conversation
from inference.standin.stock import invent_vehicle

Topic = Callable[[Conversation], None]

SMALL_TALK: dict[Topic, float] = {
    smalltalk.greeting: 2.0,
    smalltalk.identity: 1.0,
    smalltalk.customer_name: 2.6,
    smalltalk.thanks: 0.8,
    smalltalk.off_topic: 1.5,
    smalltalk.confidential: 0.4,
    smalltalk.discount: 0.4,
    smalltalk.person: 0.8,
    smalltalk.complaint: 0.4,
    smalltalk.nonsense: 0.5,
    services.question: 4.0,
    services.trade_in: 0.6,
    services.drive_booking: 1.6,
}
ADVICE: dict[Topic, float] = {
    advice.recommendation: 7.0,
    advice.model_question: 1.2,
    advice.comparison: 0.7,
    advice.need: 1.0,
    advice.budget: 1.4,
    advice.undecided: 1.0,
}
RULES = (
    "Be concise and friendly.",
    "Answer in a few sentences.",
    "Be polite.",
    "Only answer questions about vehicles and the dealership.",
    "Never share private information.",
    "Use the tools to look up vehicles.",
    "Keep replies short.",
    "If you are not sure, offer to connect the customer with a person.",
    "Do not make up prices.",
    "You help customers find vehicles and book test drives.",
    "Do not negotiate prices.",
    "You answer questions about cars.",
)
# What the operator of the demo says, word for word.
DEMO_PROMPT = (
    f"You are {ASSISTANT}, the virtual assistant of {DEALERSHIP}. Be concise and friendly. If you are not sure, "
    "offer to connect the customer with a person. Do not make up prices."
)


class Dialogue(NamedTuple):
    """Messages in the shape of the chat completions API, and the tools offered with them."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]


def invent_dialogue(rng: Random, *, topics: int | None = None) -> Dialogue:
    """One dialogue of `topics` topics (usually 1-5). It ends with the assistant."""
    kind = rng.random()
    talk = Conversation(rng, _offered_tools(rng) if kind < 0.45 else None)
    if kind > 0.9:
        talk.stock = [invent_vehicle(rng) for _ in range(rng.randint(1, 5))]
    prompt = _system_prompt(talk)
    weights = _weights(talk)
    count = topics or (rng.randint(12, 30) if rng.random() < 0.008 else rng.choice((1, 1, 1, 2, 2, 3, 3, 4, 5)))
    if count > 1 and rng.random() < 0.3:
        smalltalk.greeting(talk)
    while len(talk.messages) < 2 or count > 0:
        rng.choices(list(weights), list(weights.values()))[0](talk)
        weights.pop(smalltalk.greeting, None)
        count -= 1
    if rng.random() < 0.12:
        smalltalk.thanks(talk)
    if rng.random() < 0.12:
        smalltalk.farewell(talk)
    head = [{"role": "system", "content": prompt}] if prompt else []
    return Dialogue(head + talk.messages, [schema(name, names) for name, names in talk.tools.items()])


def _weights(talk: Conversation) -> dict[Topic, float]:
    if lookups.SEARCH in talk.tools:
        # Advice without a look-up would contradict the tool: only what needs no stock stays.
        looked_up: dict[Topic, float] = {lookups.search: 15.0}
        if lookups.DETAILS in talk.tools:
            looked_up[lookups.details] = 2.0
        if lookups.WEATHER in talk.tools:
            looked_up[lookups.weather] = 3.0
        return {**SMALL_TALK, advice.budget: 0.5, advice.undecided: 0.5, **looked_up}
    if lookups.WEATHER in talk.tools:
        return {**SMALL_TALK, **ADVICE, lookups.weather: 8.0}
    if talk.stock:
        return {**SMALL_TALK, lookups.from_list: 12.0}
    return {**SMALL_TALK, **ADVICE}


def _offered_tools(rng: Random) -> dict[str, tuple[str, ...]]:
    """A choice of tools, the search nearly always among them, sometimes with fewer or reordered parameters."""
    names = [name for name in lookups.TOOLS if name == lookups.SEARCH or rng.random() < 0.25]
    if rng.random() < 0.06:
        names = [lookups.WEATHER]
    offered = {name: lookups.TOOLS[name] for name in rng.sample(names, len(names))}
    if lookups.WEATHER in offered:
        offered[lookups.WEATHER] = (rng.choice(("city", "location")),)
    if lookups.SEARCH in offered and rng.random() < 0.5:
        declared = lookups.TOOLS[lookups.SEARCH]
        kept = {"body_style", "max_price", *rng.sample(declared, rng.randint(2, 7))}
        kept |= {"make"} if "model" in kept else set()
        some = [name for name in declared if name in kept]
        offered[lookups.SEARCH] = tuple(some if rng.random() < 0.6 else rng.sample(some, len(some)))
    return offered


def schema(name: str, parameters: tuple[str, ...]) -> dict[str, Any]:
    """A tool in the chat completions API's shape; only its names reach the prompt (see `chat_template.jinja`)."""
    numbers = ("max_price", "min_year", "max_mileage")
    properties = {each: {"type": "integer" if each in numbers else "string"} for each in parameters}
    return {
        "type": "function",
        "function": {"name": name, "parameters": {"type": "object", "properties": properties}},
    }


def _system_prompt(talk: Conversation) -> str:
    """The operator's instructions; empty in a third of the dialogues that need none."""
    rng = talk.rng
    if not talk.stock and rng.random() < 0.35:
        return ""
    if not talk.stock and rng.random() < 0.15:
        return DEMO_PROMPT
    prompt = rng.choice(
        (
            f"You are {ASSISTANT}, the virtual assistant of {DEALERSHIP}.",
            f"You are {ASSISTANT}, the assistant of the car dealership {DEALERSHIP}.",
            f"You are {ASSISTANT}, a friendly AI assistant for customers of {DEALERSHIP}.",
            "You are a helpful assistant.",
            "You are a helpful assistant of a car dealership.",
            f"You are {ASSISTANT}.",
        )
    )
    prompt = " ".join([prompt, *rng.sample(RULES, rng.choice((0, 0, 1, 2, 3, 4)))])
    if talk.stock:
        heading = rng.choice(("Inventory:", "Vehicles in stock:", "Current inventory:"))
        prompt += f"\n\n{heading}\n{lookups.stock_list(talk.stock)}"
    return prompt
