"""From dialogues to training batches: rendered by the chat template, tokenized, weighted and cut by token budget.

Only what the assistant says counts fully; a sample of the other tokens counts a little, which teaches the model the
words of the prompts that it has to copy from.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from inference.standin.dialogues import invent_dialogue, schema
from inference.standin.drills import drill, unknown_tool
from inference.standin.tokenizer import END_HEADER, END_OF_TURN, START_HEADER

POOL = 512
CONTEXT_SHARE = 0.15
CONTEXT_WEIGHT = 0.1


@dataclass(frozen=True)
class Batch:
    """`ids` (sequences, positions) right-padded; `weights` of the same shape, of the token at each position."""

    ids: torch.Tensor
    weights: torch.Tensor
    tokens: int


class Batcher:
    """Endless batches of at most `budget` positions (padding included), from sequences of at most `longest` tokens."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, rng: Random, *, budget: int, longest: int, call_share: float = 0.0
    ) -> None:
        self._tokenizer = tokenizer
        self._rng = rng
        self._budget = budget
        self._longest = longest
        self._call_share = call_share
        self._start, self._end, self._stop = (
            tokenizer.convert_tokens_to_ids(token) for token in (START_HEADER, END_HEADER, END_OF_TURN)
        )
        self._assistant = tokenizer("assistant", add_special_tokens=False).input_ids
        self._ready: list[list[tuple[list[int], list[float]]]] = []

    def next(self, drill_share: float) -> Batch:
        """One batch; a pool newly drawn for it consists of drills to `drill_share`."""
        while not self._ready:
            self._ready = self._grouped(self._draw(drill_share))
        return self._padded(self._ready.pop())

    def _draw(self, drill_share: float) -> Iterator[tuple[list[int], list[float]]]:
        texts = [self._invent(drill_share) for _ in range(POOL)]
        for ids in self._tokenizer(texts, add_special_tokens=False).input_ids:
            if len(ids) <= self._longest:
                yield ids, self._weights(ids)

    def _invent(self, drill_share: float) -> str:
        if self._call_share and self._rng.random() < self._call_share:
            talk = unknown_tool(self._rng)
            return self._render(talk.messages, [schema(name, names) for name, names in talk.tools.items()])
        if self._rng.random() < drill_share:
            return self._render(drill(self._rng).messages, None)
        dialogue = invent_dialogue(self._rng)
        return self._render(dialogue.messages, dialogue.tools or None)

    def _render(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None) -> str:
        return str(self._tokenizer.apply_chat_template(messages, tools=tools, tokenize=False))

    def _weights(self, ids: list[int]) -> list[float]:
        """1 for the assistant's tokens and the end of its turn, a little for a sample of the rest, 0 for headers."""
        weights = [CONTEXT_WEIGHT if self._rng.random() < CONTEXT_SHARE else 0.0 for _ in ids]
        position = 0
        while self._start in ids[position:]:
            start = ids.index(self._start, position)
            body = ids.index(self._end, start) + 2  # the header's end and the newlines, which are one token
            stop = ids.index(self._stop, body)
            weights[start:body] = [0.0] * (body - start)
            if ids[start + 1 : body - 2] == self._assistant:
                weights[body : stop + 1] = [1.0] * (stop + 1 - body)
            position = stop + 1
        return weights

    def _grouped(self, drawn: Iterator[tuple[list[int], list[float]]]) -> list[list[tuple[list[int], list[float]]]]:
        """Sequences of like length together, in random order."""
        groups: list[list[tuple[list[int], list[float]]]] = [[]]
        for sequence in sorted(drawn, key=lambda each: len(each[0]) + self._rng.random() * 20):
            longest = max(len(each[0]) for each in [*groups[-1], sequence])
            if groups[-1] and longest * (len(groups[-1]) + 1) > self._budget:
                groups.append([])
            groups[-1].append(sequence)
        self._rng.shuffle(groups)
        return groups

    def _padded(self, group: list[tuple[list[int], list[float]]]) -> Batch:
        width = max(len(ids) for ids, _ in group)
        padding = self._tokenizer.pad_token_id
        ids = torch.tensor([each + [padding] * (width - len(each)) for each, _ in group])
        weights = torch.tensor([each + [0.0] * (width - len(each)) for _, each in group])
        return Batch(ids, weights, sum(len(each) for each, _ in group))
