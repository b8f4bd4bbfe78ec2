from random import Random

from inference.standin.stock import CATALOGUE
from inference.standin.wishes import Wish, invent_wish, ways_to_ask


def test_arguments_are_only_those_the_tool_declares_in_its_order() -> None:
    wish = Wish(body_style="SUV", max_price=30_000, color="red")
    assert list(wish.arguments(("max_price", "make", "body_style")).items()) == [
        ("max_price", 30_000),
        ("body_style", "SUV"),
    ]


def test_a_model_brings_its_make() -> None:
    model = next(model for model in CATALOGUE if model.name == "CR-V")
    assert Wish(model=model).arguments(("make", "model")) == {"make": "Honda", "model": "CR-V"}


def test_every_question_names_the_price() -> None:
    rng = Random(3)
    for _ in range(200):
        for question in ways_to_ask(rng, Wish(body_style="SUV", max_price=30_000)):
            assert any(figure in question for figure in ("30k", "30K", "30,000", "30000", "30 thousand")), question


def test_the_demo_question_is_among_the_questions() -> None:
    rng = Random(4)
    asked = {question for _ in range(200) for question in ways_to_ask(rng, Wish(body_style="SUV", max_price=30_000))}
    assert "Which SUVs under 30k do you have?" in asked


def test_candidates_fulfil_the_wish() -> None:
    rng = Random(5)
    for _ in range(2_000):
        wish = invent_wish(rng)
        for model in wish.candidates() if wish.model is None else ():
            assert wish.body_style in (None, model.body_style)
            assert wish.fuel_type in (None, model.fuel_type)
            assert wish.make in (None, model.make)
            assert wish.max_price is None or model.low * 1000 < wish.max_price
