from random import Random

from inference.standin.conversation import Conversation
from inference.standin.services import DAYS, QUESTIONS, TIMES, drive_booking, trade_in


def test_no_question_has_two_different_answers() -> None:
    asked = [question for questions, _ in QUESTIONS for question in questions]
    assert len(asked) == len(set(asked))


def test_a_booking_confirms_what_the_customer_said() -> None:
    rng = Random(1)
    for _ in range(500):
        talk = Conversation(rng)
        drive_booking(talk)
        said = " ".join(message["content"] for message in talk.messages if message["role"] == "user").lower()
        confirmed = talk.messages[-1]["content"]
        day = next(day for day in DAYS if f"for {day} at" in confirmed)
        time = next(time for time in sorted(TIMES, key=len, reverse=True) if f"at {time}" in confirmed)
        assert talk.name
        assert time.lower() in said
        assert day.lower() in said or day == "tomorrow"  # a plain word may miss a letter, as typed words do


def test_a_trade_in_names_the_customers_car() -> None:
    talk = Conversation(Random(2))
    trade_in(talk)
    assert talk.messages[-1]["content"].startswith("Yes, we would be glad to look at your 20")
