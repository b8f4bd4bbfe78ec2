"""Talking about cars without looking anything up: recommendations, models, comparisons, a budget to remember.

Without tools the assistant names models that the dealership usually carries and offers to check; it never claims that
a certain car is on the lot.
"""

from inference.standin.conversation import NAMES, Conversation
from inference.standin.stock import CATALOGUE, Model, dollars, with_article
from inference.standin.wishes import Wish, invent_wish, ways_to_ask

NEEDS: tuple[tuple[tuple[str, ...], str, tuple[str, ...]], ...] = (
    (
        ("a big family", "three kids", "seven people"),
        "three rows of seats",
        ("Kia Telluride", "Honda Pilot", "Toyota Sienna"),
    ),
    (("a small family", "two kids", "a baby"), "room and safety", ("Honda CR-V", "Toyota RAV4", "Hyundai Tucson")),
    (("snow", "bad weather", "the mountains"), "all-wheel drive", ("Subaru Forester", "Subaru Outback", "Mazda CX-5")),
    (("a long commute", "saving fuel", "the city"), "low fuel use", ("Toyota Prius", "Toyota Corolla", "Honda Civic")),
    (
        ("towing a boat", "towing", "heavy work"),
        "strong towing",
        ("Ford F-150", "Chevrolet Silverado", "Chevrolet Tahoe"),
    ),
    (
        ("a first car", "a student", "my son", "my daughter"),
        "low cost",
        ("Toyota Corolla", "Hyundai Elantra", "Kia Forte"),
    ),
    (("off-road trips", "camping", "trails"), "off-road ability", ("Jeep Wrangler", "Ford Bronco", "Toyota Tacoma")),
    (("fun", "sporty driving", "speed"), "a sporty drive", ("Ford Mustang", "Mazda Mazda3", "Tesla Model 3")),
)

MOST_RECOMMENDED = 6


def recommendation(talk: Conversation, wish: Wish | None = None) -> None:
    """The demo's question: which cars of a kind, mostly under a price."""
    wish = wish or invent_wish(talk.rng)
    talk.user(*ways_to_ask(talk.rng, wish))
    models = wish.candidates()
    if wish.model:
        _about_one(talk, wish.model)
    elif not models:
        talk.assistant(
            f"We rarely have {with_article(wish.noun())}{wish.limits()}. "
            "Would you consider another type of car or a higher budget?"
        )
    else:
        # Of the first few only: fewer pairs of a style and a model to learn makes fewer trucks among the SUVs.
        models = models[:MOST_RECOMMENDED]
        # In the order of the catalogue: a model that has learned the order cannot name a car twice.
        chosen = talk.rng.sample(range(len(models)), min(len(models), talk.rng.choice((2, 3, 3))))
        named = [models[at] for at in sorted(chosen)]
        _recommend(talk, wish, named)
    if wish.max_price:
        talk.budget = wish.max_price
    if talk.chance(0.3):
        _follow_up(talk)


def _about_one(talk: Conversation, model: Model) -> None:
    talk.assistant(
        f"Yes, we often carry the {model.full_name}. It is {model.character}. "
        "Would you like me to check what is in stock today?",
        f"The {model.full_name} is a good choice: {model.character}. Would you like to book a test drive?",
    )


def _recommend(talk: Conversation, wish: Wish, named: list[Model]) -> None:
    models = listing([f"the {model.full_name}" for model in named])
    kind = f"{wish.noun()}s{wish.limits()}"
    verb = "are" if len(named) > 1 else "is"
    talk.assistant(
        f"For {kind}, we usually have {models}. Would you like me to check what is in stock today?",
        f"Good choices for {kind} {verb} {models}. Would you like to book a test drive?",
        f"We usually have {models}. Would you like to know more about {'one of them' if len(named) > 1 else 'it'}?",
    )


def _follow_up(talk: Conversation) -> None:
    if "know more" in talk.messages[-1]["content"] or talk.chance(0.3):
        model_question(talk)
        return
    if "test drive" in talk.messages[-1]["content"] or "consider" in talk.messages[-1]["content"]:
        return
    talk.user("Yes", "Yes please", "Sure", "ok", "Please do", "yes, check please", "That would be great")
    if talk.name:
        talk.assistant(
            f"Great, {talk.name}. Our sales team will confirm today's stock for you. "
            "What is the best phone number to reach you?"
        )
        return
    talk.assistant("Great. Our sales team will confirm today's stock for you. What name should I give them?")
    talk.name = talk.pick(*NAMES)
    talk.user(talk.name, f"I'm {talk.name}", f"My name is {talk.name}", f"{talk.name}, thanks")
    talk.assistant(f"Thank you, {talk.name}. What is the best phone number to reach you?")


def model_question(talk: Conversation) -> None:
    model = talk.rng.choice(CATALOGUE)
    name = talk.pick(model.full_name, model.name)
    if talk.chance(0.35):
        talk.user(
            f"How much is the {name}?",
            f"What does a {name} cost?",
            f"Price of the {name}?",
            f"How much does the {name} cost?",
        )
        talk.assistant(
            f"The {model.full_name} usually starts around {dollars(model.low * 1000)}. "
            "Our team can confirm the exact price. Would you like to book a test drive?"
        )
        return
    talk.user(
        f"Tell me about the {name}", f"Is the {name} a good car?", f"Do you have the {name}?",
        f"What about the {name}?",
        f"I'm interested in the {name}", f"Tell me more about the {name}", f"I like the {name}",
        f"Is the {name} reliable?",
    )  # fmt: skip
    fuel = {"gas": "runs on gas", "hybrid": "is a hybrid", "electric": "is fully electric"}[model.fuel_type]
    talk.assistant(
        f"The {model.full_name} is {with_article(model.body_style)} that {fuel}. It is {model.character}. "
        "Would you like to book a test drive?"
    )


def comparison(talk: Conversation) -> None:
    style = talk.rng.choice(CATALOGUE).body_style
    models = [model for model in CATALOGUE if model.body_style == style]
    if len(models) < 2:
        return
    one, other = talk.rng.sample(models, 2)
    first, second = talk.rng.choice(((one.full_name, other.full_name), (one.name, other.name)))
    talk.user(
        f"{first} or {second}?", f"Which is better, the {first} or the {second}?",
        f"Compare the {first} and the {second}",
        f"What is the difference between the {first} and the {second}?", f"{first} vs {second}",
    )  # fmt: skip
    talk.assistant(
        f"Both are good choices. The {one.full_name} is {one.character}. "
        f"The {other.full_name} is {other.character}. Would you like to drive one of them?"
    )


def need(talk: Conversation) -> None:
    """The customer describes what the car is for."""
    purposes, reason, models = talk.rng.choice(NEEDS)
    purpose = talk.pick(*purposes)
    talk.user(
        f"What car is good for {purpose}?", f"I need a car for {purpose}", f"Which car do you recommend for {purpose}?",
        f"What is the best car for {purpose}?", f"I want something for {purpose}",
        f"Can you recommend a car for {purpose}?",
    )  # fmt: skip
    names = listing([f"the {name}" for name in models])
    talk.assistant(f"For {purpose} I would look at {names}, because you want {reason}. What is your budget?")
    if talk.chance(0.5):
        _tell_budget(talk)


def budget(talk: Conversation) -> None:
    """The customer tells a budget, or asks for the one already told."""
    if talk.budget is None:
        _tell_budget(talk)
        return
    talk.user(
        "What was my budget?", "What budget did I tell you?", "Do you remember my budget?", "How much can I spend?"
    )
    talk.assistant(f"Your budget is {dollars(talk.budget)}.", f"You told me your budget is {dollars(talk.budget)}.")


def _tell_budget(talk: Conversation) -> None:
    amount = talk.budget = talk.rng.randrange(12, 70) * 1000
    figure = talk.pick(dollars(amount), f"{amount // 1000}k", str(amount), f"${amount // 1000}k")
    talk.user(
        f"My budget is {figure}",
        f"I can spend up to {figure}",
        f"I have {figure} to spend",
        f"Around {figure}",
        f"I want to stay under {figure}",
        f"{figure}",
    )
    talk.assistant(
        f"Thank you, I will keep your budget of {dollars(amount)} in mind. "
        "What type of vehicle do you want, for example an SUV or a sedan?"
    )


def undecided(talk: Conversation) -> None:
    talk.user(
        "I need a car", "I want to buy a car", "Can you help me find a car?", "What cars do you have?",
        "I'm looking for a car",
        "What do you have in stock?", "Show me your cars", "I don't know what to buy", "What do you sell?",
        "Recommend me a car",
        "What cars do you sell?", "Do you have any good deals?", "I want a new car", "What is your best car?",
    )  # fmt: skip
    talk.assistant(
        "We have SUVs, sedans, trucks, minivans and electric cars. "
        "What type of vehicle do you want, and what is your budget?",
        "I'd be happy to help you find a car. What type of vehicle do you want, and what is your budget?",
    )


def listing(words: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
