from random import Random

import pytest

from inference.standin import smalltalk
from inference.standin.conversation import ASSISTANT, DEALERSHIP, Conversation


def test_a_customer_who_gave_a_name_is_greeted_by_it() -> None:
    rng = Random(1)
    for _ in range(300):
        talk = Conversation(rng)
        smalltalk.greeting(talk)
        assert (talk.name is not None) == any(f"{talk.name}!" in message["content"] for message in talk.messages)


def test_a_name_is_recalled_once_given_and_never_invented() -> None:
    rng = Random(2)
    for _ in range(300):
        talk = Conversation(rng)
        talk.name = rng.choice((None, "Dana"))
        knew = talk.name
        smalltalk.customer_name(talk)
        answer = talk.messages[-1]["content"]
        if knew:
            assert knew in answer
        elif talk.name:
            assert any(talk.name in message["content"] for message in talk.messages[:1]) or talk.name in answer
        else:
            assert "not told me" in answer


def test_the_assistant_says_who_it_is() -> None:
    rng = Random(3)
    for _ in range(100):
        talk = Conversation(rng)
        smalltalk.identity(talk)
        assert ASSISTANT in talk.messages[-1]["content"]
        assert DEALERSHIP in talk.messages[-1]["content"]


@pytest.mark.parametrize(
    "topic", [smalltalk.off_topic, smalltalk.confidential, smalltalk.discount, smalltalk.complaint]
)
def test_what_the_assistant_cannot_do_is_answered_with_an_offer(topic: object) -> None:
    rng = Random(4)
    for _ in range(100):
        talk = Conversation(rng)
        topic(talk)  # type: ignore[operator]
        assert [message["role"] for message in talk.messages] == ["user", "assistant"]
        assert any(word in talk.messages[-1]["content"] for word in ("?", "happy to"))


def test_a_phone_number_is_repeated_exactly() -> None:
    rng, repeated = Random(5), 0
    for _ in range(200):
        talk = Conversation(rng)
        smalltalk.person(talk)
        if len(talk.messages) == 4:
            repeated += 1
            number = talk.messages[3]["content"].split(" at ")[1].split()[0]
            assert number in talk.messages[2]["content"]
    assert repeated > 50
