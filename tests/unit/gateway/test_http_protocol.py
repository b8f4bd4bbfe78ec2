"""The head of an answer goes out with the first of its body: one write, in order, and nothing is ever held back."""

import asyncio

import pytest

from gateway.http_protocol import HeadFirst


class Wire(asyncio.Transport):
    """What was written, a piece each."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


@pytest.fixture
def wire() -> Wire:
    return Wire()


def test_the_first_two_writes_are_one_and_the_others_are_their_own(wire: Wire) -> None:
    transport = HeadFirst(wire)
    transport.write(b"head|")
    assert wire.written == []
    for piece in (b"first|", b"second|", b"last"):
        transport.write(piece)
    assert wire.written == [b"head|first|", b"second|", b"last"]


def test_an_answer_that_is_torn_after_its_head_has_sent_it(wire: Wire) -> None:
    transport = HeadFirst(wire)
    transport.write(b"head")
    transport.close()
    assert (wire.written, wire.closed, transport.is_closing()) == ([b"head"], True, True)


def test_closing_sends_nothing_twice(wire: Wire) -> None:
    transport = HeadFirst(wire)
    transport.write(b"head|")
    transport.write(b"body")
    transport.close()
    transport.close()
    assert wire.written == [b"head|body"]


def test_closing_before_anything_was_written_sends_nothing(wire: Wire) -> None:
    HeadFirst(wire).close()
    assert (wire.written, wire.closed) == ([], True)
