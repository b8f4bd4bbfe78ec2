"""Plain text: the content of the first choice and nothing else; a broken answer is never ended cleanly."""

import json

import pytest

from gateway.errors import UpstreamLost
from gateway.ports import Chunk
from gateway.wire.text import TextEncoder
from tests.unit.gateway import chunks
from tests.unit.gateway.chunks import comment, finish, role, text, usage

NULL = chunks.of({**chunks.frame(), "choices": [{"index": 0, "delta": {"content": None}}]})
CALL = chunks.of({**chunks.frame(), "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0}]}}]})
NO_DELTA = chunks.of({**chunks.frame(), "choices": [{"index": 0, "finish_reason": "stop"}]})


def test_it_is_plain_text() -> None:
    assert TextEncoder().content_type == "text/plain; charset=utf-8"


def test_the_pieces_of_an_answer_are_joined() -> None:
    assert TextEncoder().encode([role(), text("Gr"), text("üß 🚗")]) == "Grüß 🚗".encode()


@pytest.mark.parametrize(
    "silent",
    [
        pytest.param(comment(), id="a comment"),
        pytest.param(role(), id="the role"),
        pytest.param(usage(1, 1), id="the usage chunk"),
        pytest.param(NULL, id="null content"),
        pytest.param(CALL, id="a tool call"),
        pytest.param(text("", 195), id="half a character"),
        pytest.param(finish(), id="the end"),
        pytest.param(NO_DELTA, id="no delta"),
        pytest.param(text("another", index=1), id="another choice"),
    ],
)
def test_all_else_is_silent(silent: Chunk) -> None:
    assert TextEncoder().encode([silent]) == b""
    assert TextEncoder().encode([text("a"), silent, text("b")]) == b"ab"


def test_half_a_surrogate_pair_is_no_reason_to_break_off() -> None:
    assert TextEncoder().encode([Chunk(b"", text=json.loads(r'"a\ud83d"'))]) == b"a?"


def test_a_whole_text_ends_without_a_word() -> None:
    assert TextEncoder().end() == b""


def test_a_broken_text_has_no_end_that_could_be_taken_for_one() -> None:
    assert TextEncoder().fail(UpstreamLost("Broken.")) is None
