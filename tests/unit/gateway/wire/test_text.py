"""Plain text: the content of the first choice and nothing else; a broken answer is never ended cleanly."""

from typing import Any

import pytest

from gateway.errors import UpstreamLost
from gateway.ports import Chunk
from gateway.wire.text import TextEncoder


def chunk(*choices: dict[str, Any]) -> Chunk:
    return Chunk(b"data: x\n\n", {"choices": list(choices)})


def choice(delta: dict[str, Any] | None, index: int = 0) -> dict[str, Any]:
    return {"index": index, "delta": delta}


def test_it_is_plain_text() -> None:
    assert TextEncoder().content_type == "text/plain; charset=utf-8"


def test_the_pieces_of_an_answer_are_joined() -> None:
    chunks = [chunk(choice({"role": "assistant", "content": ""})), chunk(choice({"content": "Gr"}))]
    assert TextEncoder().encode([*chunks, chunk(choice({"content": "üß 🚗"}))]) == "Grüß 🚗".encode()


@pytest.mark.parametrize(
    "silent",
    [
        pytest.param(Chunk(b": ping\n\n", {}), id="a comment"),
        pytest.param(chunk(), id="the usage chunk"),
        pytest.param(chunk(choice({"content": None})), id="null content"),
        pytest.param(chunk(choice({"tool_calls": [{"index": 0}]})), id="a tool call"),
        pytest.param(chunk(choice({})), id="an empty delta"),
        pytest.param(chunk(choice(None)), id="a null delta"),
        pytest.param(chunk({"index": 0, "finish_reason": "stop"}), id="no delta"),
        pytest.param(chunk(choice({"content": "another"}, index=1)), id="another choice"),
    ],
)
def test_all_else_is_silent(silent: Chunk) -> None:
    assert TextEncoder().encode([silent]) == b""
    assert TextEncoder().encode([chunk(choice({"content": "a"})), silent, chunk(choice({"content": "b"}))]) == b"ab"


def test_half_a_character_is_no_reason_to_break_off() -> None:
    assert TextEncoder().encode([chunk(choice({"content": "a\ud83d"}))]) == b"a?"


def test_a_whole_text_ends_without_a_word() -> None:
    assert TextEncoder().end() == b""


def test_a_broken_text_has_no_end_that_could_be_taken_for_one() -> None:
    assert TextEncoder().fail(UpstreamLost("Broken.")) is None
