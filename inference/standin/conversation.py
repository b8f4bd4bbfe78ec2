"""A conversation under construction: the turns said so far and what they established.

Topics (`smalltalk`, `services`, `advice`, `lookups`) append to it; `dialogues` decides which ones. Messages have the
shape of the chat completions API, so that the same chat template renders them here and in the engine.
"""

import json
import re
from random import Random
from typing import Any

from inference.standin.stock import Vehicle

ASSISTANT = "Scout"
DEALERSHIP = "Summit Drive Motors"
NAMES = tuple(
    "Dana Alex Sam Maria John Priya Wei Omar Emma Liam Noah Olivia Ava Mia Lucas Ethan Sofia Chloe Daniel Grace Henry "
    "Isaac Julia Kevin Laura Marcus Nina Oscar Paula Quinn Rachel Steve Tina Victor Wendy Zoe Ben Carla Diego Ella "
    "Frank Gina Hugo Ivy Jack Karen Leo Megan Nick Pam Raj Sara Tom Uma Vera Will Yara Anna Bob Cathy David Elena Fred "
    "George Helen Ian Jenny Kim Linda Mike Nora Peter Rosa Tony Amir Bella Jordan Taylor Morgan Casey Robin Lena Max "
    "Felix Hana Ines Jonas Mateo Aisha Ravi Chen Yuki".split()
)


class Conversation:
    """The messages so far, the tools offered, and the facts a later turn may refer to."""

    def __init__(self, rng: Random, tools: dict[str, tuple[str, ...]] | None = None) -> None:
        self.rng = rng
        self.tools = tools or {}
        self.messages: list[dict[str, Any]] = []
        self.name: str | None = None
        self.budget: int | None = None
        self.vehicle: Vehicle | None = None
        self.stock: list[Vehicle] = []

    def pick(self, *options: str) -> str:
        return self.rng.choice(options)

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def user(self, *options: str, exact: bool = False) -> str:
        """The customer says one of `options`, typed as people type unless `exact`."""
        text = self.rng.choice(options)
        text = text if exact else typed(self.rng, text)
        self.messages.append({"role": "user", "content": text})
        return text

    def assistant(self, *options: str) -> None:
        self.messages.append({"role": "assistant", "content": self.rng.choice(options)})

    def call(self, name: str, arguments: dict[str, Any]) -> None:
        """The assistant calls one tool."""
        function = {"name": name, "arguments": json.dumps(arguments)}
        self.messages.append(
            {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": function}]}
        )

    def result(self, value: Any) -> None:
        """What the tool returned."""
        content = value if isinstance(value, str) else json.dumps(value)
        self.messages.append({"role": "tool", "content": content})


def typed(rng: Random, text: str) -> str:
    """`text` as a customer types it: a letter missing, lower case, or no last mark; names and figures stay whole."""
    plain_words = [match.span() for match in re.finditer(r"\b[a-z]{5,}\b", text)]
    if plain_words and rng.random() < 0.06:
        start, end = rng.choice(plain_words)
        gap = rng.randrange(start + 1, end)
        text = text[:gap] + text[gap + 1 :]
    roll = rng.random()
    if roll < 0.15:
        text = text.lower()
    elif roll < 0.17 and len(text) < 40:
        text = text.upper()
    return text.rstrip("?.!") if rng.random() < 0.2 else text
