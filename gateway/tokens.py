"""How many tokens the messages of a conversation are for the model, so that what is sent to it fits its context.

The model's own tokenizer counts where the gateway has its file. Without it the bound is that of a byte-level BPE, one
token a byte at most: too much is left out then, and never too little.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

CountText = Callable[[str], int]

PER_MESSAGE = 6
"""What Llama 3's template adds to a message: two header tokens, the role (one or two), the blank line, the end of turn.
https://www.llama.com/docs/model-cards-and-prompt-formats/meta-llama-3/"""

PER_PROMPT = 5
"""Its beginning of text, and the header of the answer that is to come."""


def bytes_of(text: str) -> int:
    """The bound without a tokenizer."""
    return len(text.encode("utf-8", "replace"))


class TokenCounter:
    """Counts with one tokenizer, which `count_text` is."""

    def __init__(self, count_text: CountText | None = None) -> None:
        self._count_text = count_text or bytes_of

    def messages(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """Of each message, with what the template puts around it."""
        return [self.message(message) for message in messages]

    def overhead(self, tools: Sequence[Mapping[str, Any]]) -> int:
        """Of a prompt beside its messages: the tools, and what begins the answer."""
        written = json.dumps(list(tools), ensure_ascii=False) if tools else ""
        return PER_PROMPT + self._count_text(written)

    def message(self, message: Mapping[str, Any]) -> int:
        """Of one message."""
        text = str(message.get("content") or "")
        if calls := message.get("tool_calls"):
            text += json.dumps(calls, ensure_ascii=False)
        return PER_MESSAGE + self._count_text(text)
