"""The answers that need no model: those that are shipped, who gets which, and what a bad file is told."""

from pathlib import Path

import pytest

from gateway.cache import normalise
from gateway.commands.places import DEALERSHIP_DIR
from gateway.dealership.answers import FILE, Answers
from gateway.dealership.hours import load as load_hours
from tests.unit.gateway.dealership.shop import hours

ROUTES = (
    "vehicle.recommendation",
    "general.greeting",
    "inventory.search",
    "appointment.scheduling",
    "general.conversation",
    "financing.question",
    "service.question",
    "trade_in.question",
    "dealership.hours",
    "human.handoff",
)
PHONE = "(217) 555-0142"
WEEK = "Monday to Saturday 9 AM to 7 PM, closed on Sunday"

GOOD = """
[static]
"general.conversation" = "Call {phone}."
"general.greeting" = "Hello from {name}."

[[preloaded]]
route = "general.greeting"
phrases = ["Hi!", "hello"]
answer = "Hi, this is {name} at {address}, open {hours}."
"""


@pytest.fixture(scope="module")
def shipped() -> Answers:
    return Answers.load(DEALERSHIP_DIR, load_hours(DEALERSHIP_DIR), ROUTES)


def written(folder: Path, text: str) -> Answers:
    (folder / FILE).write_text(text, "utf-8")
    return Answers.load(folder, hours())


# ---- those that are shipped


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_says_that_nothing_can_be_looked_up_and_how_to_reach_a_person(shipped: Answers, route: str) -> None:
    said = shipped.static(route)
    assert "can't look" in said
    assert "at the moment" in said
    assert PHONE in said
    assert "{" not in said


def test_every_route_has_words_of_its_own(shipped: Answers) -> None:
    assert len({shipped.static(route) for route in ROUTES}) == len(ROUTES)


@pytest.mark.parametrize(
    ("route", "message", "says"),
    [
        pytest.param(
            "general.greeting", "Hi!!", "Hello! I'm Scout, the virtual assistant of Summit Drive", id="English"
        ),
        pytest.param("general.greeting", "¡Hola!", "¡Hola! Soy Scout", id="Spanish"),
        pytest.param("general.greeting", "¿Qué tal?", "¡Hola! Soy Scout", id="Spanish question"),
        pytest.param("general.greeting", "Guten Tag", "Hallo! Ich bin Scout", id="German"),
        pytest.param("general.greeting", "GRÜSS GOTT", "Hallo! Ich bin Scout", id="German in capitals"),
        pytest.param("general.greeting", "Bonjour !", "Bonjour ! Je suis Scout", id="French"),
        pytest.param("general.greeting", "Are you a bot?", "a computer program, not a person", id="who it is"),
        pytest.param("inventory.search", "What do you have in stock?", "Our inventory changes every day", id="stock"),
        pytest.param("inventory.search", "Is it still available?", "Which vehicle do you mean?", id="availability"),
        pytest.param("appointment.scheduling", "I'd like to book a test drive.", WEEK, id="scheduling"),
        pytest.param("appointment.scheduling", "Can I reschedule?", "Nothing has been changed yet", id="rescheduling"),
        pytest.param("dealership.hours", "What are your hours?", WEEK, id="hours"),
        pytest.param("dealership.hours", "Where are you?", "100 Example Parkway", id="address"),
        pytest.param("human.handoff", "Can I talk to a person?", PHONE, id="person"),
    ],
)
def test_what_is_asked_every_day_has_its_answer_ready(shipped: Answers, route: str, message: str, says: str) -> None:
    said = shipped.preloaded(route, normalise(message))
    assert said is not None
    assert says in said
    assert "{" not in said


@pytest.mark.parametrize(
    ("route", "message"),
    [
        ("general.greeting", "hi, do you have a blue one"),
        ("inventory.search", "hi"),
        ("inventory.search", "what suvs do you have in stock"),
        ("appointment.scheduling", "can i test drive a car tomorrow at 3"),
        ("general.conversation", "hi"),
        ("no.such.route", "hi"),
    ],
)
def test_what_is_not_one_of_the_phrases_of_its_route_is_for_a_model(shipped: Answers, route: str, message: str) -> None:
    assert shipped.preloaded(route, normalise(message)) is None


# ---- what a file may say


def test_the_dealership_is_put_into_the_answers(tmp_path: Path) -> None:
    answers = written(tmp_path, GOOD)
    assert answers.static("general.greeting") == "Hello from Summit Drive Motors."
    assert answers.preloaded("general.greeting", "hi") == answers.preloaded("general.greeting", "hello")
    address, week = "100 Example Parkway, Springfield, IL 62700", hours().week_in_words()
    assert answers.preloaded("general.greeting", "hi") == f"Hi, this is Summit Drive Motors at {address}, open {week}."


@pytest.mark.parametrize("route", ["general.conversation", "no.such.route"])
def test_a_route_without_words_of_its_own_says_the_defaults(tmp_path: Path, route: str) -> None:
    assert written(tmp_path, GOOD).static(route) == f"Call {PHONE}."


def test_a_file_may_keep_no_answers_but_the_last_resorts(tmp_path: Path) -> None:
    answers = written(tmp_path, GOOD.split("[[preloaded]]", maxsplit=1)[0])
    assert answers.preloaded("general.greeting", "hi") is None


@pytest.mark.parametrize(
    ("good", "bad", "told"),
    [
        pytest.param('"general.conversation"', '"other"', "for the route general.conversation", id="no default"),
        pytest.param("{phone}", "{fax}", "static.general.conversation: there is no {fax} to put in", id="static"),
        pytest.param("{name} at", "{} at", "preloaded.0.answer: there is no {} to put in", id="preloaded"),
        pytest.param(
            '"hello"', '"HI?"', "preloaded.0.phrases: 'HI?' stands there twice for general.greeting", id="twice"
        ),
        pytest.param('"hello"', '"  "', "preloaded.0.phrases: nothing is left of '  '", id="blank"),
        pytest.param('"hello"', '""', "preloaded.0.phrases.1: ", id="empty phrase"),
        pytest.param('["Hi!", "hello"]', "[]", "preloaded.0.phrases: ", id="no phrases"),
        pytest.param('"Call {phone}."', '""', "static.general.conversation: ", id="empty answer"),
        pytest.param("answer =", "text =", "preloaded.0.text: Extra inputs", id="unknown key"),
        pytest.param("[static]", "[static", "answers.toml: ", id="no TOML"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, good: str, bad: str, told: str) -> None:
    assert good in GOOD
    with pytest.raises(ValueError, match=FILE) as caught:
        written(tmp_path, GOOD.replace(good, bad))
    assert told in str(caught.value)


def test_all_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=FILE) as caught:
        written(tmp_path, GOOD.replace("{phone}", "{fax}").replace('"hello"', '"hi"'))
    assert len(str(caught.value).splitlines()) == 2


def test_a_file_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No such file"):
        Answers.load(tmp_path, hours())


def test_a_route_of_the_table_without_a_static_answer_is_named(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    Answers.load(tmp_path, hours(), ["general.greeting"])
    with pytest.raises(ValueError, match=r"no answer for the route vehicle\.recommendation"):
        Answers.load(tmp_path, hours(), ["general.greeting", "vehicle.recommendation"])
