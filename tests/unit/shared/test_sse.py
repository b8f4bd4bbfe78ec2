"""Framing of event streams: the same events however the bytes are cut, and not a byte lost."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.sse import DONE, Decoder, Event, encode

LINE_ENDS = [b"\n", b"\r\n", b"\r"]
DATA_LINE = st.binary(max_size=12).filter(lambda line: b"\r" not in line and b"\n" not in line)


def decode(stream: bytes, cuts: list[int]) -> tuple[list[Event], bytes]:
    decoder = Decoder()
    edges = [0, *sorted(cuts), len(stream)]
    events = [event for i, j in pairwise(edges) for event in decoder.feed(stream[i:j])]
    return events, decoder.pending


@st.composite
def event_with_data(draw: st.DrawFn) -> Event:
    """An event written line by line, so that what its data is does not come from the code under test."""
    end = draw(st.sampled_from(LINE_ENDS))
    lines, data = [], []
    for value in draw(st.lists(DATA_LINE, min_size=1, max_size=3)):
        kind = draw(st.sampled_from(["data", "data", "data without space", "comment", "other field"]))
        if kind == "comment":
            lines.append(b": " + value)
        elif kind == "other field":
            lines.append(b"id: " + value)
        elif kind == "data" or value.startswith(b" "):  # after "data:" one space belongs to the field, not to the value
            lines.append(b"data: " + value)
            data.append(value)
        else:
            lines.append(b"data:" + value)
            data.append(value)
    return Event(b"".join(line + end for line in lines) + end, b"\n".join(data))


@st.composite
def cut_stream(draw: st.DrawFn) -> tuple[list[Event], bytes, list[int]]:
    events = draw(st.lists(event_with_data(), max_size=5))
    rest = draw(DATA_LINE)
    stream = b"".join(event.raw for event in events) + rest
    cuts = draw(st.lists(st.integers(0, len(stream)), max_size=12))
    return events, rest, cuts


@given(cut_stream())
def test_any_cut_of_the_bytes_gives_the_same_events(case: tuple[list[Event], bytes, list[int]]) -> None:
    events, rest, cuts = case
    stream = b"".join(event.raw for event in events) + rest
    assert decode(stream, cuts) == (events, rest)


@given(st.lists(st.sampled_from([b"\r", b"\n", b"data: a", b":", b"x"]), max_size=24), st.data())
def test_no_byte_is_lost_and_no_cut_matters_even_where_line_ends_are_mixed(
    parts: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(parts)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12))
    events, pending = decode(stream, cuts)
    assert b"".join(event.raw for event in events) + pending == stream
    assert (events, pending) == decode(stream, [])


def test_a_stream_fed_byte_by_byte_gives_each_event_with_its_last_byte() -> None:
    stream = b"data: one\n\ndata: two\n\n"
    decoder = Decoder()
    came = [(position, event.data) for position in range(len(stream)) for event in decoder.feed(stream[position:][:1])]
    assert came == [(10, b"one"), (21, b"two")]


@pytest.mark.parametrize("end", LINE_ENDS, ids=["LF", "CRLF", "CR"])
def test_each_line_end_of_the_standard_ends_lines_and_events(end: bytes) -> None:
    raw = b"data: one" + end + b"data: two" + end + end
    assert Decoder().feed(raw + raw) == [Event(raw, b"one\ntwo")] * 2


@pytest.mark.parametrize(
    ("raw", "data"),
    [
        pytest.param(b"data: {}\n\n", b"{}", id="one line"),
        pytest.param(b"data:{}\n\n", b"{}", id="no space after the colon"),
        pytest.param(b"data:  {}\n\n", b" {}", id="only one space is the field's"),
        pytest.param(b"data: a\ndata: b\n\n", b"a\nb", id="several lines"),
        pytest.param(b"data: a\ndata:\ndata: b\n\n", b"a\n\nb", id="an empty line among them"),
        pytest.param(b": ping\n\n", b"", id="a comment"),
        pytest.param(b": ping\ndata: a\n\n", b"a", id="a comment before data"),
        pytest.param(b"event: error\nid: 7\ndata: a\n\n", b"a", id="other fields"),
        pytest.param(b"database: a\n\n", b"", id="a field whose name only begins with data"),
        pytest.param(b"\n\n", b"", id="nothing at all"),
        pytest.param(b"data: [DONE]\n\n", DONE, id="the end of a chat stream"),
        pytest.param("data: Škoda 🚗\n\n".encode(), "Škoda 🚗".encode(), id="UTF-8"),
    ],
)
def test_the_data_of_an_event_is_what_the_standard_says(raw: bytes, data: bytes) -> None:
    assert Decoder().feed(raw) == [Event(raw, data)]


def test_pending_tells_a_clean_end_from_a_cut() -> None:
    decoder = Decoder()
    assert decoder.pending == b""
    decoder.feed(b"data: a\n\nda")
    assert decoder.pending == b"da"
    decoder.feed(b"ta: b\n\n")
    assert decoder.pending == b""


@pytest.mark.parametrize("size", [1, 7, 64])
def test_an_event_that_does_not_end_within_the_bound_is_refused(size: int) -> None:
    decoder = Decoder(max_event_bytes=20)
    endless = b"data: " + b"x" * 100
    for start in range(0, 20, size):
        assert not decoder.too_large
        decoder.feed(endless[start : start + size])
    decoder.feed(endless[20:])
    assert decoder.too_large


def test_what_came_before_an_event_that_is_too_large_is_delivered() -> None:
    decoder = Decoder(max_event_bytes=20)
    assert [event.data for event in decoder.feed(b"data: a\n\ndata: " + b"x" * 100)] == [b"a"]
    assert decoder.too_large


def test_an_event_of_exactly_the_bound_is_accepted_and_the_bound_is_for_each_event() -> None:
    raw = b"data: 123456\n\n"
    decoder = Decoder(max_event_bytes=len(raw) - 1)
    for byte in raw * 3:
        decoder.feed(bytes([byte]))
    assert not decoder.too_large
    assert decoder.pending == b""


@given(DATA_LINE)
def test_what_was_encoded_is_decoded_again(data: bytes) -> None:
    assert Decoder().feed(encode(data)) == [Event(encode(data), data)]


@pytest.mark.parametrize("data", [b"a\nb", b"a\rb", b"a\r\n"])
def test_data_of_several_lines_is_not_encoded(data: bytes) -> None:
    with pytest.raises(ValueError, match="one line"):
        encode(data)
