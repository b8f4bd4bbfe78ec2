"""Stop strings end an answer where vLLM ends it, in whatever pieces the text comes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.stop_strings import StopFilter, stop_strings

# Few letters, so that stop strings overlap each other and themselves.
LETTERS = st.text(alphabet="ab", max_size=30)
STOPS = st.lists(st.text(alphabet="ab", min_size=1, max_size=5), min_size=1, max_size=4)
PIECES = st.lists(st.text(alphabet="ab", max_size=6), max_size=12)


def rule(text: str, stops: list[str], *, include: bool) -> tuple[str, str | None]:
    """vLLM's rule on a whole text: the match that is complete first wins, then the order of the list."""
    ends = [(text.find(stop) + len(stop), place) for place, stop in enumerate(stops) if stop in text]
    if not ends:
        return text, None
    end, place = min(ends)
    return text[: end if include else end - len(stops[place])], stops[place]


def released(pieces: list[str], stops: list[str], *, include: bool) -> tuple[list[str], StopFilter]:
    """What each piece releases, and at the end the rest."""
    stop_filter = StopFilter(stops, include=include)
    return [*(stop_filter.push(piece) for piece in pieces), stop_filter.end()], stop_filter


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({}, [], id="absent"),
        pytest.param({"stop": None}, [], id="null"),
        pytest.param({"stop": []}, [], id="none"),
        pytest.param({"stop": "end"}, ["end"], id="one"),
        pytest.param({"stop": ["a", "b"]}, ["a", "b"], id="several"),
    ],
)
def test_stop_strings_of_a_request(body: dict[str, Any], expected: list[str]) -> None:
    assert stop_strings(body) == expected


@pytest.mark.parametrize(
    ("pieces", "stops", "include", "expected", "stopped"),
    [
        pytest.param(["one ", "two"], ["zzz"], False, ["on", "e t", "wo"], None, id="two characters held back"),
        pytest.param(["one ", "two"], ["zzz"], True, ["one ", "two", ""], None, id="nothing held back"),
        pytest.param(["one", " two"], ["z"], False, ["one", " two", ""], None, id="one character needs no hold"),
        pytest.param(["We are open ", "Mon"], ["n Mo"], False, ["We are op", "e", ""], "n Mo", id="across a seam"),
        pytest.param(["We are open ", "Mon"], ["n Mo"], True, ["We are open ", "Mo", ""], "n Mo", id="left in"),
        pytest.param(["xabcx"], ["abc", "b"], False, ["xa", ""], "b", id="complete first, though begun later"),
        pytest.param(["xabx"], ["ab", "b"], False, ["x", ""], "ab", id="complete together: the list's order"),
        pytest.param(["xabx"], ["b", "ab"], False, ["xa", ""], "b", id="complete together: the other order"),
        pytest.param(["aaXbb"], ["X", "bb"], False, ["aa", ""], "X", id="two in one piece"),
        pytest.param(["end", "more", "end"], ["end"], False, ["", "", "", ""], "end", id="nothing after the stop"),
        pytest.param(["end", "more"], ["end"], True, ["end", "", ""], "end", id="nothing after a stop left in"),
        pytest.param(["ab", "", "c"], ["abc"], False, ["", "", "", ""], "abc", id="an empty piece between"),
    ],
)
def test_what_each_piece_releases(
    pieces: list[str], stops: list[str], include: bool, expected: list[str], stopped: str | None
) -> None:
    parts, stop_filter = released(pieces, stops, include=include)
    assert parts == expected
    assert stop_filter.stopped == stopped


@given(PIECES, STOPS, st.booleans())
def test_however_the_text_is_cut_the_answer_is_that_of_the_whole_text(
    pieces: list[str], stops: list[str], include: bool
) -> None:
    parts, stop_filter = released(pieces, stops, include=include)
    assert ("".join(parts), stop_filter.stopped) == rule("".join(pieces), stops, include=include)


@given(PIECES, STOPS)
def test_until_it_stops_the_text_shown_is_all_but_what_may_begin_a_stop_string(
    pieces: list[str], stops: list[str]
) -> None:
    # vLLM's own measure: one character fewer than the longest. More would be late, fewer would show part of a match.
    stop_filter = StopFilter(stops, include=False)
    text, shown = "", ""
    for piece in pieces:
        text += piece
        shown += stop_filter.push(piece)
        if stop_filter.stopped is not None:
            break
        assert shown == text[: max(0, len(text) - max(map(len, stops)) + 1)]


@given(LETTERS, STOPS, st.booleans())
def test_what_was_released_is_never_taken_back(text: str, stops: list[str], include: bool) -> None:
    whole, _ = rule(text, stops, include=include)
    stop_filter = StopFilter(stops, include=include)
    shown = ""
    for letter in text:
        shown += stop_filter.push(letter)
        assert whole.startswith(shown)
