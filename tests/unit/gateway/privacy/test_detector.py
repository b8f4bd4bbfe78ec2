"""The detector: the whole corpus, what spans it tells, and that no text is fatal."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.commands.label import score
from gateway.privacy.detector import excepting, find, folded
from gateway.privacy.kinds import Kind

CORPUS = Path(__file__).parents[3] / "data" / "privacy" / "corpus.jsonl"


def kinds(text: str) -> set[str]:
    return {finding.kind for finding in find(text)}


def pieces(text: str) -> list[tuple[str, str]]:
    return [(finding.kind, text[finding.start : finding.end]) for finding in find(text)]


def test_the_corpus_is_labelled_as_well_as_promised() -> None:
    scored = score(CORPUS.read_text("utf-8").splitlines())
    assert sum(scored.expected.values()) >= 200 and scored.clear >= 150
    assert scored.structured_recall >= 0.98
    assert scored.false_alarms <= 0.03


def test_what_is_found_is_told_where_it_stands() -> None:
    assert pieces("I'm John Smith, call 415-555-0132 or jane@example.com!") == [
        ("name_self", "John Smith"),
        ("phone", "415-555-0132"),
        ("email", "jane@example.com"),
    ]


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("мой адрес: jane@example.com", "jane@example.com"),
        (
            "call 415\N{NON-BREAKING HYPHEN}555\N{NON-BREAKING HYPHEN}0132",
            "415\N{NON-BREAKING HYPHEN}555\N{NON-BREAKING HYPHEN}0132",
        ),
        ("ja\N{ZERO WIDTH SPACE}ne@example.com", "ja\N{ZERO WIDTH SPACE}ne@example.com"),
        ("\N{FULLWIDTH DIGIT FOUR}15-555-0132", "\N{FULLWIDTH DIGIT FOUR}15-555-0132"),
    ],
)
def test_other_signs_for_the_same_hide_nothing(text: str, piece: str) -> None:
    assert piece in [found for _, found in pieces(text)]


def test_folding_keeps_the_place_of_each_sign() -> None:
    plain, places = folded("a\N{ZERO WIDTH JOINER}ﬁ")
    assert (plain, places) == ("afi", [0, 2, 2])
    assert folded("a\tb") == ("a b", None)


def test_a_number_that_proves_itself_is_not_taken_for_a_telephone_number() -> None:
    assert kinds("078-05-1120") == {"us_ssn"}
    assert kinds("DE89-3704-0044-0532-0130-00") == {"iban"}


def test_the_dealership_s_own_data_are_nobody_s() -> None:
    look = excepting(("1200 Main Street", "(555) 555-0100", ""))
    assert list(look("We are at 1200 Main Street, call (555) 555-0100.")) == []
    assert [found.kind for found in look("I live at 12 Elm Street, you at 1200 Main Street")] == [Kind.STREET_ADDRESS]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300))
def test_no_text_is_fatal_and_what_is_found_is_within_it(text: str) -> None:
    reached = 0
    for finding in find(text):
        assert reached <= finding.start < finding.end <= len(text)
        reached = finding.end


def test_every_line_of_the_corpus_is_of_its_form() -> None:
    for line in CORPUS.read_text("utf-8").splitlines():
        row = json.loads(line)
        assert set(row) == {"message", "label", "kinds"}
        assert (row["label"] == "sensitive") is bool(row["kinds"])
        assert set(row["kinds"]) <= set(Kind)
