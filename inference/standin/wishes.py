"""What a customer may wish for, as a search and as the words for it.

One wish can be asked with tools (it becomes a call's arguments) and without (it becomes a recommendation), so both
kinds of conversation ask in the same words.
"""

from dataclasses import dataclass
from random import Random
from typing import Any

from inference.standin.stock import CATALOGUE, COLORS, Model, dollars, models_of, with_article

SYNONYMS = {
    "SUV": ("SUV", "SUV", "SUV", "crossover"),
    "truck": ("truck", "truck", "pickup"),
    "minivan": ("minivan", "van"),
}
ASKED_STYLES = ("SUV",) * 6 + ("sedan",) * 3 + ("truck",) * 3 + ("minivan", "hatchback", "wagon", "coupe")


@dataclass(frozen=True)
class Wish:
    """A search: None means the customer does not care. `max_price` in dollars, `max_mileage` in miles."""

    make: str | None = None
    model: Model | None = None
    body_style: str | None = None
    fuel_type: str | None = None
    max_price: int | None = None
    min_year: int | None = None
    color: str | None = None
    max_mileage: int | None = None

    def arguments(self, allowed: tuple[str, ...]) -> dict[str, Any]:
        """The arguments of a search, in the order in which the tool declares its parameters."""
        values = {
            "make": self.model.make if self.model else self.make,
            "model": self.model.name if self.model else None,
            "body_style": self.body_style,
            "fuel_type": self.fuel_type,
            "max_price": self.max_price,
            "min_year": self.min_year,
            "color": self.color,
            "max_mileage": self.max_mileage,
        }
        return {name: values[name] for name in allowed if values.get(name) is not None}

    def limits(self) -> str:
        """The numeric bounds in words, as an answer repeats them."""
        words = f" under {dollars(self.max_price)}" if self.max_price else ""
        words += f" from {self.min_year} or newer" if self.min_year else ""
        return words + (f" with less than {self.max_mileage:,} miles" if self.max_mileage else "")

    def noun(self, style: str | None = None) -> str:
        """What is wished for, in the singular and without its bounds."""
        kind = self.model.full_name if self.model else f"{self.make or ''} {style or self.body_style or ''}".strip()
        return " ".join(word for word in (self.color, self.fuel_type, kind or "car") if word)

    def candidates(self) -> list[Model]:
        """The models of the catalogue that can fulfil the wish."""
        if self.model:
            return [self.model]
        return [
            model
            for model in models_of(self.body_style, below=self.max_price, fuel_type=self.fuel_type)
            if self.make in (None, model.make)
        ]


def invent_wish(rng: Random) -> Wish:
    """A wish as a customer of a dealership has it; the body style and the price are what most people name."""
    price = rng.choice((15, 18, 20, 20, 22, 25, 25, 25, 28, 30, 30, 30, 30, 35, 35, 40, 40, 45, 50, 60)) * 1000
    price += 500 if rng.random() < 0.08 else 0
    price = rng.randrange(14, 70) * 1000 if rng.random() < 0.2 else price
    bounds = {
        "max_price": price if rng.random() < 0.65 else None,
        "color": rng.choice(COLORS) if rng.random() < 0.12 else None,
        "min_year": rng.randint(2017, 2025) if rng.random() < 0.1 else None,
        "max_mileage": rng.randrange(20, 100, 10) * 1000 if rng.random() < 0.08 else None,
    }
    kind = rng.random()
    if kind < 0.2:
        return Wish(model=rng.choice(CATALOGUE), **bounds)
    make = rng.choice(CATALOGUE).make if kind > 0.82 else None
    style = rng.choice(ASKED_STYLES) if kind < 0.9 else None
    fuel = rng.choice(("hybrid", "electric")) if rng.random() < 0.18 else None
    return Wish(make=make, body_style=style, fuel_type=fuel, **bounds)


def ways_to_ask(rng: Random, wish: Wish) -> tuple[str, ...]:
    """Questions that mean `wish`, each in one choice of words for its price, year and mileage."""
    style = rng.choice(SYNONYMS.get(wish.body_style or "", (wish.body_style,)))
    one = wish.noun(style)
    limits = _limits(rng, wish)
    many = (one if one.endswith("s") else one + "s") + limits
    return (
        f"Which {one}s do you have{limits}?" if limits else f"Which {many} do you have?",
        f"Which {many} do you have?",
        f"Which {many} do you have?",
        f"What {many} do you have?",
        f"Do you have any {many}?",
        f"Do you have {with_article(one)}{limits}?",
        f"Show me {many}",
        f"Show me your {many}",
        f"I'm looking for {with_article(one)}{limits}",
        f"I need {with_article(one)}{limits}",
        f"I want {with_article(one)}{limits}",
        f"Any {many}?",
        f"{many}?",
        f"{many} in stock",
        f"Find me {with_article(one)}{limits}",
        f"Can you recommend {with_article(one)}{limits}?",
        f"What is a good {one}{limits}?",
        f"Are there any {many}?",
        f"Can you show me {many} please",
        f"List {many}",
        f"Looking for {with_article(one)}{limits}, what do you have?",
        f"Hi, which {many} do you have?",
        f"Do you have any {many} in stock?",
        f"What do you have in {many}?",
    )


def _limits(rng: Random, wish: Wish) -> str:
    words = f" {_price(rng, wish.max_price)}" if wish.max_price else ""
    if wish.min_year:
        words += rng.choice(
            (f" from {wish.min_year} or newer", f", {wish.min_year} or newer", f" from {wish.min_year} on")
        )
    if wish.max_mileage:
        miles = rng.choice((f"{wish.max_mileage:,}", f"{wish.max_mileage // 1000}k"))
        words += rng.choice((f" with less than {miles} miles", f" under {miles} miles", f" with at most {miles} miles"))
    return words


def _price(rng: Random, price: int) -> str:
    figures = [f"${price:,}", f"{price:,}", str(price), f"${price}"]
    if price % 1000 == 0:
        figures += [
            f"{price // 1000}k",
            f"{price // 1000}k",
            f"${price // 1000}k",
            f"{price // 1000}K",
            f"{price // 1000} thousand",
        ]
    figure = rng.choice(figures)
    return rng.choice(
        (f"under {figure}", f"under {figure}", f"below {figure}", f"for less than {figure}", f"up to {figure}",
         f"for under {figure}", f"for {figure} or less", f"cheaper than {figure}", f"within {figure}"),
    )  # fmt: skip
