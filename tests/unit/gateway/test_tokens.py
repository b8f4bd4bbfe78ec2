"""Tokens are counted by the model's own tokenizer, and never too few without one."""

from pathlib import Path

from tokenizers import Tokenizer

from gateway.tokens import PER_MESSAGE, PER_PROMPT, TokenCounter

STANDIN = Path(__file__).parents[3] / "inference" / "standin" / "model" / "tokenizer.json"
CALL = {"id": "call_0", "type": "function", "function": {"name": "search", "arguments": "{}"}}


def words(text: str) -> int:
    return len(text.split())


def test_a_message_is_its_text_and_what_the_template_puts_around_it() -> None:
    counter = TokenCounter(words)
    assert counter.messages([{"role": "user", "content": "any red cars"}, {"role": "user", "content": ""}]) == [
        PER_MESSAGE + 3,
        PER_MESSAGE,
    ]


def test_a_message_without_text_that_calls_tools_is_its_calls() -> None:
    calling = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    (count,) = TokenCounter(len).messages([calling])
    assert count > PER_MESSAGE + len("search")


def test_the_tools_of_a_prompt_count_too() -> None:
    counter = TokenCounter(words)
    assert counter.overhead([]) == PER_PROMPT
    assert counter.overhead([{"name": "search the lot"}]) == PER_PROMPT + 4


def test_without_a_tokenizer_there_are_never_fewer_than_its_own() -> None:
    tokenizer = Tokenizer.from_file(str(STANDIN))
    exact = TokenCounter(lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids))
    for text in ("Any Kias under $20k?", "¿Tienen coches eléctricos? 🚗", "x" * 100, "汽车"):
        message = [{"role": "user", "content": text}]
        assert exact.messages(message)[0] <= TokenCounter().messages(message)[0]
