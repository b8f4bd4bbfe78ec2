"""How words are compared: what is the same name, and what is one slip away."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dealership.spelling import clean, key, one_edit_apart, squash

WORDS = st.text("abc", max_size=6)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        pytest.param("  two   words ", "two words", id="spaces"),
        pytest.param("one\r\nline\tonly", "one line only", id="breaks"),
        pytest.param("zero\u200bwidth\u202e", "zerowidth", id="invisible"),
        pytest.param("line\u2028separated", "line separated", id="Unicode's own breaks"),
        pytest.param("cafe\u0301", "caf\u00e9", id="composed"),
        pytest.param("bell\x07", "bell", id="control"),
        pytest.param("", "", id="empty"),
    ],
)
def test_what_nobody_can_see_is_taken_out(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@given(st.text())
def test_clean_text_is_printable_and_stays_as_it_is(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert "\n" not in cleaned and "\0" not in cleaned and "  " not in cleaned


@pytest.mark.parametrize(
    ("one", "other"), [("CR-V", "cr v"), ("F-150", "F 150"), ("Coup\u00e9", "coupe"), ("A.M.G.", "a m g")]
)
def test_case_accents_and_punctuation_make_no_difference(one: str, other: str) -> None:
    assert key(one) == key(other)


def test_a_squashed_name_has_no_spaces() -> None:
    assert squash("Santa Fe") == squash("santafe") == "santafe"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("toyota", "toyta", id="one missing"),
        pytest.param("honda", "hondaa", id="one too many"),
        pytest.param("corolla", "carolla", id="one wrong"),
        pytest.param("tucson", "tuscon", id="two swapped"),
        pytest.param("a", "", id="the only one missing"),
    ],
)
def test_one_slip_is_one_edit(one: str, other: str) -> None:
    assert one_edit_apart(one, other)
    assert one_edit_apart(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("honda", "honda", id="equal"),
        pytest.param("honda", "hodna!", id="two edits"),
        pytest.param("accord", "record", id="two at the start"),
        pytest.param("civic", "civi\u00e7a", id="wrong and too long"),
        pytest.param("kia", "k", id="two missing"),
        pytest.param("abcd", "badc", id="two swaps"),
    ],
)
def test_equals_and_two_slips_are_not(one: str, other: str) -> None:
    assert not one_edit_apart(one, other)


@given(WORDS, st.integers(0, 5), st.sampled_from("abc"))
def test_every_word_with_a_letter_put_in_is_one_edit_away(word: str, at: int, letter: str) -> None:
    longer = word[:at] + letter + word[at:]
    assert one_edit_apart(word, longer) and one_edit_apart(longer, word)


@given(WORDS, WORDS)
def test_it_does_not_matter_which_is_first(one: str, other: str) -> None:
    assert one_edit_apart(one, other) == one_edit_apart(other, one)
