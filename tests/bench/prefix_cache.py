"""How much of the prompts comes from the replicas' prefix caches, by who chooses the replica.

    ./scout up
    python -m tests.bench.prefix_cache [--conversations 24] [--turns 6] [--concurrency 6] [--rounds 2]

Conversations of several turns over the real replicas; a turn sends all turns before it, with the answers as they came.
Every mode has the same conversations, and they take turns, round after round. A number at the head of the system prompt
tells rounds and modes apart, so that none finds the cache of another. Prints the report as Markdown.
"""

import argparse
import asyncio
import itertools
import os
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx

from shared import headers
from tests.bench.figures import Spread, ratios, table

MODES = {
    "gateway": "the gateway chooses",
    "least_conn": "nginx's balanced port: the replica with the fewest connections",
    "round robin": "each request to the next replica",
    "oracle": "a conversation never leaves its replica, and these are given out evenly",
}
ORACLE = "oracle"
NOT_TOLD = "not told"
ANSWER_TOKENS = 24
QUESTION_SENTENCES = 8
"""About 150 tokens a turn: an engine on CPU caches by blocks of 128."""

TIMEOUT_S = 120.0
SYSTEM = (
    "Conversation group {group}. You are Scout, the assistant of Summit Drive Motors. Answer in one or two sentences. "
    "Name only cars that are in stock, with year, price and mileage. When you do not know, say so and offer to ask."
)
OPENINGS = ("I am looking for", "My neighbour recommends", "Last week I saw", "We would like to try", "Please compare")
CARS = ("a hybrid SUV", "a small sedan", "a pickup with four doors", "a minivan", "a used coupe", "an electric wagon")
DETAILS = (
    "with less than {n} miles",
    "for about {n} dollars",
    "that tows {n} pounds",
    "older than {n} days on your lot",
)


@dataclass(frozen=True)
class Places:
    """Where the servers are, and their keys."""

    gateway: str
    gateway_key: str
    balanced: str
    replicas: tuple[str, ...]
    replica_key: str
    model: str

    @classmethod
    def of(cls, env: Mapping[str, str]) -> "Places":
        """From the variables of the local stack's env file. Raises KeyError."""
        replicas = tuple(env["REPLICA_URLS"].split(","))
        return cls(
            env["SCOUT_URL"], env["SCOUT_KEY"], env["ONPREM_URL"], replicas, env["ONPREM_KEY"], env["SCOUT_MODEL"]
        )


@dataclass
class Tally:
    """What one mode's requests of one round needed."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    """By replica."""

    @property
    def share(self) -> float:
        """Of the prompts, from the cache."""
        return self.cached_tokens / self.prompt_tokens

    def add(self, usage: Mapping[str, Any], replica: str) -> None:
        """Counts one answer. Raises ValueError where the engine does not say what came from its cache."""
        details = usage.get("prompt_tokens_details")
        if not details:
            raise ValueError("no usage.prompt_tokens_details: start the engine with --enable-prompt-tokens-details")
        self.prompt_tokens += usage["prompt_tokens"]
        self.cached_tokens += details["cached_tokens"] or 0
        self.requests[replica] += 1


@dataclass
class Conversation:
    """One conversation in the making: the messages so far and the questions still to come."""

    number: int
    messages: list[dict[str, Any]]
    questions: list[str]


def conversations(count: int, turns: int, group: str) -> list[Conversation]:
    """The same questions for the same count and turns; only the group's name differs."""
    chance = Random(1)
    made = []
    for number in range(count):
        questions = [" ".join(_sentence(chance) for _ in range(QUESTION_SENTENCES)) for _ in range(turns)]
        made.append(Conversation(number, [{"role": "system", "content": SYSTEM.format(group=group)}], questions))
    return made


def _sentence(chance: Random) -> str:
    detail = chance.choice(DETAILS).format(n=chance.randrange(1000, 90_000))
    return f"{chance.choice(OPENINGS)} {chance.choice(CARS)} {detail}."


Chooser = Callable[[Conversation], tuple[str, str]]
"""Where a conversation's next turn goes: base URL and key."""


def chooser(mode: str, places: Places) -> Chooser:
    """The mode's way of choosing."""
    if mode == "gateway":
        return lambda _: (places.gateway, places.gateway_key)
    if mode == "least_conn":
        return lambda _: (places.balanced, places.replica_key)
    if mode == ORACLE:
        return lambda talk: (places.replicas[talk.number % len(places.replicas)], places.replica_key)
    turn = itertools.cycle(places.replicas)
    return lambda _: (next(turn), places.replica_key)


async def run(mode: str, talks: Sequence[Conversation], places: Places, concurrency: int) -> Tally:
    """Holds the conversations, so many requests at a time.

    Which one goes on next is left to chance: in a fixed order, round robin would come back to the same replica whenever
    their number divides that of the conversations.
    """
    tally, choose, chance = Tally(), chooser(mode, places), Random(2)
    waiting = list(talks)
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with (
        httpx.AsyncClient(timeout=TIMEOUT_S, limits=limits, trust_env=False) as client,
        asyncio.TaskGroup() as group,
    ):

        async def work() -> None:
            while waiting:
                talk = waiting.pop(chance.randrange(len(waiting)))
                await _turn(client, talk, choose(talk), places, tally)
                if talk.questions:
                    waiting.append(talk)

        for _ in range(concurrency):
            group.create_task(work())
    return tally


async def _turn(
    client: httpx.AsyncClient, talk: Conversation, to: tuple[str, str], places: Places, tally: Tally
) -> None:
    url, key = to
    talk.messages.append({"role": "user", "content": talk.questions.pop(0)})
    body = {"model": places.model, "messages": talk.messages, "max_tokens": ANSWER_TOKENS, "temperature": 0}
    answer = await client.post(f"{url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})
    if answer.status_code != 200:
        raise RuntimeError(f"{url} answered {answer.status_code}: {answer.text[:300]}")
    content = answer.json()
    talk.messages.append({"role": "assistant", "content": content["choices"][0]["message"]["content"] or ""})
    tally.add(content["usage"], _replica(answer, url, places))


def _replica(answer: httpx.Response, url: str, places: Places) -> str:
    """Who answered: the gateway says it, and a replica's own port is one; nginx's balanced port does not tell."""
    if url in places.replicas:
        return f"replica-{places.replicas.index(url)}"
    return str(answer.headers.get(headers.REPLICA, NOT_TOLD))


def report(rounds: Mapping[str, Sequence[Tally]]) -> str:
    """The table: one row a mode, the median of its rounds (lowest-highest)."""
    oracle = [tally.share for tally in rounds.get(ORACLE, ())]
    rows = []
    for mode, tallies in rounds.items():
        shares = [tally.share for tally in tallies]
        spread = sum((tally.requests for tally in tallies), Counter[str]())
        rows.append(
            [
                mode,
                f"{sum(tally.prompt_tokens for tally in tallies):,}",
                Spread.of([100 * share for share in shares]).text(1) + " %",
                ratios(shares, oracle).text(3) if oracle else "-",
                "/".join(str(spread[name]) for name in sorted(spread))
                + (f" ({NOT_TOLD})" if NOT_TOLD in spread else ""),
            ]
        )
    return table(["who chooses", "prompt tokens", "from the cache", "x oracle", "requests by replica"], rows)


def read_env(path: Path) -> dict[str, str]:
    """The variables of an env file (`export NAME=value`), over those of the environment."""
    words = (word for line in path.read_text().splitlines() for word in shlex.split(line, comments=True))
    return {**os.environ, **dict(word.split("=", 1) for word in words if "=" in word)}


async def _measure(args: argparse.Namespace, places: Places) -> dict[str, list[Tally]]:
    rounds: dict[str, list[Tally]] = {mode: [] for mode in args.modes}
    group = Random().randrange(10**6)  # another one each time, since the replicas' caches outlive us
    for n in range(args.rounds):
        for mode in args.modes[n % len(args.modes) :] + args.modes[: n % len(args.modes)]:
            group += 1
            talks = conversations(args.conversations, args.turns, f"{group:07}")
            rounds[mode].append(await run(mode, talks, places, args.concurrency))
    return rounds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", type=Path, default=Path(".scout/env"), help="of a running stack")
    parser.add_argument("--gateway", metavar="URL", help="another gateway before the same replicas")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--conversations", type=int, default=24)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--concurrency", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    env = read_env(args.env)
    if args.gateway:
        env["SCOUT_URL"] = args.gateway
    print(report(asyncio.run(_measure(args, Places.of(env)))))


if __name__ == "__main__":
    main()
