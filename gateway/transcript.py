"""What an answer has produced so far, kept so that it can go on elsewhere when its stream breaks.

On the path of every chunk of every resumable answer. Promised: a seam is never inside a character, and no text that
the client has seen is lost or generated again.
"""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any


class Transcript:
    """The tokens of one answer, over all its legs.

    Tokens are settled up to the last one that brought text. Those after it stand for half a character or nothing
    visible: they are dropped at a seam and generated again. A prompt that ended inside a character would be worse than
    inexact, since vLLM would then send the whole prompt as text. That holds for an engine whose text is not behind its
    tokens: no stop strings are held back, and no tool parser but one that passes text on at once (llama3_json does).
    """

    __slots__ = ("_doubt", "_other", "_output", "_prompt", "_untold", "_whole", "finish", "settled")

    def __init__(self, whole: set[int]) -> None:
        """`whole` are the tokens known to end where a character ends.

        All answers of a model share the set, and fill it: it grows to the size of the vocabulary at most. It is needed
        when an engine that is behind puts several tokens into a chunk: the text may be that of the earlier ones only.
        """
        self._whole = whole
        self._prompt = array("I")
        self._output = array("I")
        self._untold = self._doubt = self._other = False
        self.settled = 0
        self.finish: str | None = None

    def note(
        self,
        token_ids: Sequence[int] | None,
        text: str,
        finish: str | None = None,
        *,
        prompt_token_ids: Sequence[int] | None = None,
        other: bool = False,
    ) -> None:
        """One chunk, on the path of every token. `other` says that it carries a tool call or reasoning."""
        if text and token_ids and len(token_ids) == 1:  # nearly always
            if self.settled == len(self._output):
                self._whole.add(token_ids[0])
            self._output.append(token_ids[0])
            self.settled = len(self._output)
            self._doubt = False
        elif token_ids:
            self._output.extend(token_ids)
            if text:
                self._doubt = token_ids[-1] not in self._whole
                self.settled = self.settled if self._doubt else len(self._output)
        elif text:
            self._untold = True
        if other:
            self._other = True
        if finish is not None:
            self.finish = finish
            self.settled = len(self._output)
        if prompt_token_ids and not self._prompt:  # a later leg's prompt has the answer's tokens in it
            self._prompt.extend(prompt_token_ids)

    @property
    def in_step(self) -> bool:
        """Whether no token is unsettled. A chunk without text after which one is must be kept back until text comes.

        For it tells tokens or their odds that a seam would drop and tell again.
        """
        return self.settled == len(self._output)

    @property
    def obstacle(self) -> str | None:
        """Why what has come so far cannot be continued, in words; None if it can."""
        if self.finish is not None:
            return None
        if self._other:
            return "a tool call or reasoning has begun, and its parser cannot start in the middle"
        if self._untold or (self.settled and not self._prompt):
            return "the engine did not give the token ids"
        if self._doubt:
            return "several tokens came at once, and the last may be half a character"
        return None

    def rewind(self) -> int:
        """Drops the tokens after the last text. Returns how many are left."""
        del self._output[self.settled :]
        return self.settled

    def token_ids(self) -> list[int]:
        """The prompt, then the answer so far."""
        return (self._prompt + self._output).tolist()

    def counts(self) -> tuple[int, int]:
        """Tokens of the prompt and of the answer."""
        return len(self._prompt), len(self._output)


def transcript_of(body: Mapping[str, Any], whole: set[int]) -> Transcript:
    """The transcript for a request's answer; `whole` as there."""
    hides_special = body.get("skip_special_tokens") in (None, True)
    return Transcript(whole if hides_special else set())  # special tokens, shown here, are no character elsewhere
