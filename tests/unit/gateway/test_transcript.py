"""What is kept of an answer: its tokens as far as a seam may come after them."""

import pytest

from gateway.transcript import Transcript, transcript_of


def heard(*chunks: tuple[list[int], str], prompt: list[int] | None = None, whole: set[int] | None = None) -> Transcript:
    """The transcript after these chunks."""
    transcript = Transcript(set() if whole is None else whole)
    transcript.note(None, "", prompt_token_ids=[1, 2, 3] if prompt is None else prompt)
    for token_ids, text in chunks:
        transcript.note(token_ids, text)
    return transcript


def test_tokens_after_the_last_text_are_generated_again() -> None:
    transcript = heard(([10], "a"), ([195], ""), ([196], ""))
    assert not transcript.in_step
    assert transcript.settled == 1
    assert transcript.rewind() == 1
    assert transcript.in_step
    assert transcript.token_ids() == [1, 2, 3, 10]


def test_text_settles_the_tokens_before_it() -> None:
    transcript = heard(([195], ""), ([169], "é"))
    assert transcript.in_step
    assert transcript.rewind() == 2


def test_the_ending_settles_all_tokens() -> None:
    transcript = heard(([10], "a"))
    transcript.note([4], "", "stop")
    assert (transcript.finish, transcript.settled, transcript.in_step) == ("stop", 2, True)


def test_the_prompt_is_that_of_the_first_leg() -> None:
    transcript = heard(([10], "a"))
    transcript.note(None, "", prompt_token_ids=[1, 2, 3, 10])
    assert transcript.token_ids() == [1, 2, 3, 10]


def test_several_tokens_at_once_are_settled_when_the_last_is_known_to_end_a_character() -> None:
    whole: set[int] = set()
    heard(([10], "a"), whole=whole)
    transcript = heard(([11, 10], "ba"), whole=whole)
    assert transcript.obstacle is None
    assert transcript.settled == 2


def test_several_tokens_at_once_leave_a_doubt_when_the_last_is_unknown() -> None:
    transcript = heard(([10], "a"), ([11, 195], "b"))
    assert transcript.settled == 1
    assert transcript.obstacle == "several tokens came at once, and the last may be half a character"


def test_the_next_single_token_with_text_ends_the_doubt() -> None:
    transcript = heard(([11, 195], "b"), ([169], "é"))
    assert transcript.obstacle is None
    assert transcript.settled == 3


def test_a_token_that_completes_a_character_is_not_taken_for_one() -> None:
    whole: set[int] = set()
    heard(([10], "a"), ([195], ""), ([169], "é"), ([11, 12], "bc"), ([13], "d"), whole=whole)
    assert whole == {10}


def test_answers_that_show_special_tokens_teach_nothing() -> None:
    whole: set[int] = set()
    transcript_of({"skip_special_tokens": False}, whole).note([4], "<|end|>")
    assert whole == set()
    transcript_of({"skip_special_tokens": True}, whole).note([10], "a")
    assert whole == {10}


def test_a_tool_call_that_has_begun_is_an_obstacle() -> None:
    transcript = heard(([10], "a"))
    assert transcript.obstacle is None
    transcript.note([11], "", other=True)
    assert transcript.obstacle == "a tool call or reasoning has begun, and its parser cannot start in the middle"


@pytest.mark.parametrize(
    "transcript",
    [
        pytest.param(heard(([], "a")), id="text without tokens"),
        pytest.param(heard(([], "a"), ([10], "b")), id="once is enough"),
        pytest.param(heard(([10], "a"), prompt=[]), id="no prompt"),
    ],
)
def test_an_answer_whose_tokens_are_not_known_cannot_go_on(transcript: Transcript) -> None:
    assert transcript.obstacle == "the engine did not give the token ids"


def test_before_any_text_nothing_is_in_the_way() -> None:
    assert Transcript(set()).obstacle is None


def test_a_complete_answer_has_nothing_in_the_way() -> None:
    transcript = heard(([11, 195], "b"))
    transcript.note([4], "", "tool_calls", other=True)
    assert transcript.obstacle is None
