from random import Random

from inference.standin import advice
from inference.standin.conversation import Conversation
from inference.standin.stock import CATALOGUE
from inference.standin.wishes import Wish


def test_a_recommendation_names_only_models_that_fit() -> None:
    rng = Random(1)
    wish = Wish(body_style="SUV", max_price=30_000)
    fitting = {model.full_name for model in wish.candidates()}
    for _ in range(300):
        talk = Conversation(rng)
        advice.recommendation(talk, wish)
        named = {model.full_name for model in CATALOGUE if model.full_name in talk.messages[1]["content"]}
        assert named
        assert named <= fitting


def test_a_recommendation_names_each_model_once_in_the_order_of_the_catalogue() -> None:
    rng = Random(4)
    wish = Wish(body_style="SUV", max_price=30_000)
    for _ in range(300):
        talk = Conversation(rng)
        advice.recommendation(talk, wish)
        text = talk.messages[1]["content"]
        at = [text.index(model.full_name) for model in CATALOGUE if model.full_name in text]
        assert at == sorted(at)
        assert all(text.count(model.full_name) <= 1 for model in CATALOGUE)


def test_a_wish_that_nothing_fulfils_is_refused() -> None:
    talk = Conversation(Random(2))
    advice.recommendation(talk, Wish(body_style="coupe", max_price=15_000))
    assert "We rarely have a coupe under $15,000" in talk.messages[1]["content"]


def test_a_budget_is_recalled_as_it_was_told() -> None:
    rng = Random(3)
    for _ in range(200):
        talk = Conversation(rng)
        advice.budget(talk)
        advice.budget(talk)
        assert f"${talk.budget:,}" in talk.messages[-1]["content"]


def test_every_recommended_model_of_a_need_is_in_the_catalogue() -> None:
    known = {model.full_name for model in CATALOGUE}
    assert all(set(models) <= known for _, _, models in advice.NEEDS)


def test_a_listing_reads_as_a_sentence() -> None:
    assert advice.listing(["a"]) == "a"
    assert advice.listing(["a", "b"]) == "a and b"
    assert advice.listing(["a", "b", "c"]) == "a, b and c"
