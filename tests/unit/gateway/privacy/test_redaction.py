"""What is taken out comes back exactly, however the answer is cut, and is nowhere in between."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.privacy.detector import find
from gateway.privacy.redaction import Redactor

SAID = "I'm John Smith, 415-555-0132, jane@example.com. Call 415-555-0132!"
PARTS = st.lists(
    st.sampled_from(["jane@example.com", "415-555-0132", "[EMAIL_1]", "[", "]", "[EMAIL_", "a car", " ", "1]", "é"]),
    max_size=12,
).map(" ".join)


def test_values_become_placeholders_of_their_kind_and_the_same_value_the_same_one() -> None:
    redactor = Redactor()
    assert redactor.redact(SAID) == "I'm [NAME_SELF_1], [PHONE_1], [EMAIL_1]. Call [PHONE_1]!"
    assert redactor.found
    assert redactor.redact("also a@example.org") == "also [EMAIL_2]"


def test_nothing_is_replaced_where_nothing_is_found() -> None:
    redactor = Redactor()
    assert redactor.redact("any red SUVs?") == "any red SUVs?"
    assert not redactor.found


def test_a_text_that_looks_like_a_placeholder_comes_back_as_it_was() -> None:
    redactor = Redactor()
    told = redactor.redact("my mail jane@example.com is not [EMAIL_1]")
    assert "jane" not in told
    assert redactor.restorer().whole(told) == "my mail jane@example.com is not [EMAIL_1]"


def test_a_placeholder_that_the_model_made_up_stays() -> None:
    restorer = Redactor().restorer()
    assert restorer.feed("[PHONE_7] and [x") + restorer.flush() == "[PHONE_7] and [x"


@settings(max_examples=300, deadline=None)
@given(PARTS, st.lists(st.integers(1, 7), max_size=60))
def test_any_cut_restores_what_one_piece_does_and_no_value_is_in_between(text: str, cuts: list[int]) -> None:
    redactor = Redactor()
    told = redactor.redact(text)
    assert not {text[found.start : found.end] for found in find(text)} & set(told.split())
    restorer, rest, restored = redactor.restorer(), told, ""
    for cut in cuts:
        restored += restorer.feed(rest[:cut])
        rest = rest[cut:]
    restored += restorer.feed(rest) + restorer.flush()
    assert restored == text == redactor.restorer().whole(told)
