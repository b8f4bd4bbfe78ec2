"""Conversations about cars that are really on the lot: found by a tool call, or listed in the system prompt.

Every figure in an answer stands in the prompt before it, so the model learns to copy and never to invent one.
"""

from dataclasses import replace
from typing import Any

from inference.standin.advice import listing
from inference.standin.conversation import Conversation
from inference.standin.stock import Vehicle, dollars, invent_vehicle, with_article
from inference.standin.wishes import Wish, invent_wish, ways_to_ask

SEARCH = "search_inventory"
DETAILS = "get_vehicle_details"
WEATHER = "get_weather"
TOOLS: dict[str, tuple[str, ...]] = {
    SEARCH: ("make", "model", "body_style", "fuel_type", "max_price", "min_year", "color", "max_mileage"),
    DETAILS: ("stock_number",),
    "book_test_drive": ("stock_number", "date", "time", "customer_name"),
    "request_callback": ("name", "phone"),
    "get_opening_hours": (),
    WEATHER: ("city",),
}
CITIES = (
    "Paris",
    "London",
    "Boston",
    "Tokyo",
    "Berlin",
    "Denver",
    "Chicago",
    "Madrid",
    "Austin",
    "San Francisco",
    "Rome",
)
FOLLOW_UPS: dict[str, tuple[str, ...]] = {
    "price": ("How much is it?", "What is the price?", "What does it cost?", "How much does it cost?"),
    "mileage": ("How many miles does it have?", "What is the mileage?", "How many miles?"),
    "color": ("What color is it?", "Which color is it?"),
    "stock": ("What is the stock number?", "Which stock number is it?"),
    "year": ("What year is it?", "How old is it?"),
}


def search(talk: Conversation) -> None:
    """A wish, the call it becomes, what the tool found and the answer to the customer."""
    allowed = talk.tools[SEARCH]
    wish = _searchable(invent_wish(talk.rng), allowed)
    if not wish.arguments(
        allowed
    ):  # all that the customer cared about is unknown to this tool: the demo's wish instead
        wish = Wish(body_style="SUV", max_price=30_000)
    talk.user(*ways_to_ask(talk.rng, wish))
    talk.call(SEARCH, wish.arguments(allowed))
    if talk.chance(0.05):
        talk.result(talk.pick("error: timeout", '{"error": "service unavailable"}'))
        talk.assistant("Sorry, I can't reach our inventory right now. Would you like our sales team to contact you?")
        return
    found = _matching(talk, wish)
    talk.result(_shaped(talk, found))
    _answer(talk, wish, found)
    talk.budget = wish.max_price or talk.budget
    while talk.vehicle and len(found) == 1 and talk.chance(0.4):
        fact(talk)


def _searchable(wish: Wish, allowed: tuple[str, ...]) -> Wish:
    """`wish` without what the tool cannot search by; a model goes with its make."""
    unknown = {name: None for name in TOOLS[SEARCH] if name not in allowed}
    return replace(wish, **unknown)


def _matching(talk: Conversation, wish: Wish) -> list[Vehicle]:
    """Up to three invented vehicles that fulfil every part of the wish."""
    models = wish.candidates()
    if not models:
        return []
    found = []
    for _ in range(talk.rng.choice((0, 1, 1, 1, 1, 2, 2, 2, 3))):
        vehicle = invent_vehicle(talk.rng, talk.rng.choice(models), below=wish.max_price)
        vehicle = replace(vehicle, color=wish.color or vehicle.color, year=max(vehicle.year, wish.min_year or 0))
        if wish.max_mileage:
            vehicle = replace(vehicle, mileage=min(vehicle.mileage, talk.rng.randint(500, wish.max_mileage - 1)))
        found.append(vehicle)
    return found


def _shaped(talk: Conversation, found: list[Vehicle]) -> Any:
    """The rows in one of the shapes in which search tools return them."""
    rows = [vehicle.row() for vehicle in found]
    if talk.chance(0.3):
        kept = ("stock_number", "year", "make", "model", "trim", "color", "price", "mileage")
        rows = [{name: row[name] for name in kept} for row in rows]
    if talk.chance(0.15):
        rows = [{name: row[name] for name in talk.rng.sample(list(row), len(row))} for row in rows]
    return talk.rng.choice(({"count": len(rows), "vehicles": rows}, {"vehicles": rows}, {"results": rows}, rows))


def _answer(talk: Conversation, wish: Wish, found: list[Vehicle]) -> None:
    talk.vehicle = found[0] if found else None
    if not found:
        talk.assistant(
            f"I couldn't find {with_article(wish.noun())}{wish.limits()} right now. "
            "Would you like to change your search?"
        )
    elif len(found) == 1:
        talk.assistant(f"We have {found[0].full}. Would you like to book a test drive?")
    else:
        count = {2: "two", 3: "three"}[len(found)]
        talk.assistant(
            f"We have {count} that match: {listing([vehicle.brief for vehicle in found])}. "
            "Which one would you like to see?"
        )


def fact(talk: Conversation) -> None:
    """One question about the vehicle just spoken of."""
    car = talk.vehicle
    if car is None:
        return
    kind = talk.pick(*FOLLOW_UPS)
    talk.user(*FOLLOW_UPS[kind])
    name = f"The {car.model.full_name}"
    talk.assistant(
        {
            "price": f"{name} is {dollars(car.price)}.",
            "mileage": f"{name} has {car.mileage:,} miles.",
            "color": f"{name} is {car.color}.",
            "stock": f"The stock number is {car.stock_number}.",
            "year": f"{name} is a {car.year}.",
        }[kind]
    )


def details(talk: Conversation) -> None:
    """A question by stock number."""
    car = talk.vehicle = invent_vehicle(talk.rng)
    number = car.stock_number
    talk.user(
        f"Tell me about stock {number}",
        f"Details for stock number {number}",
        f"Can you look up {number}?",
        f"What is stock {number}?",
        f"Is {number} still available?",
    )
    talk.call(DETAILS, {"stock_number": number})
    talk.result(car.row())
    talk.assistant(f"We have {car.full}. Would you like to book a test drive?")
    if talk.chance(0.4):
        fact(talk)


def weather(talk: Conversation) -> None:
    """The tool that every example of tool calling uses; people try it first."""
    city = talk.pick(*CITIES)
    talk.user(
        f"What is the weather in {city}?",
        f"What's the weather like in {city}?",
        f"Weather in {city}",
        f"How is the weather in {city} today?",
    )
    talk.call(WEATHER, {talk.tools[WEATHER][0]: city})
    degrees = talk.rng.randint(30, 95)
    sky = talk.pick("sunny", "cloudy", "rainy", "clear", "windy")
    talk.result(
        talk.rng.choice(({"temperature": degrees, "condition": sky}, {"city": city, "temp_f": degrees, "sky": sky}))
    )
    talk.assistant(f"It is {sky} and {degrees} degrees in {city}. Is there a vehicle I can help you with?")


def stock_list(vehicles: list[Vehicle]) -> str:
    """The vehicles as a system prompt lists them."""
    return "\n".join(
        f"- {car.name}, {car.model.body_style}, {car.model.fuel_type}, {car.color}, {dollars(car.price)}, "
        f"{car.mileage:,} miles, stock {car.stock_number}"
        for car in vehicles
    )


def from_list(talk: Conversation) -> None:
    """A question answered from the list in the system prompt (`talk.stock`)."""
    car = talk.vehicle = talk.rng.choice(talk.stock)
    if sum(other.model == car.model for other in talk.stock) > 1:
        return
    if talk.chance(0.5):
        name = talk.pick(car.model.full_name, car.model.name)
        talk.user(
            f"Do you have a {name}?",
            f"Do you have the {name} in stock?",
            f"Is the {name} available?",
            f"I'm interested in the {name}",
            f"How much is the {name}?",
            f"Tell me about the {name}",
        )
        talk.assistant(f"We have {car.full}. Would you like to book a test drive?")
    else:
        style = car.model.body_style
        wish = Wish(body_style=style, max_price=talk.rng.choice((None, None, 30_000, 40_000)))
        talk.user(*ways_to_ask(talk.rng, wish))
        below = wish.max_price or 1_000_000
        _answer(talk, wish, [car for car in talk.stock if car.model.body_style == style and car.price <= below][:3])
    if talk.vehicle and talk.chance(0.5):
        fact(talk)
