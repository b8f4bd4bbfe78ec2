"""The invented stock of the dealership: a catalogue of models, and vehicles made up from it.

Every price, mileage and stock number comes from the generator that is passed in. Nothing here describes a real offer.
"""

from dataclasses import dataclass
from random import Random
from typing import Any

COLORS = ("white", "black", "silver", "gray", "blue", "red", "green", "orange")
TRIMS = ("LE", "SE", "XLE", "EX", "EX-L", "Sport", "Limited", "Touring", "Premium", "SEL", "LX", "S")
NEWEST_YEAR = 2026


@dataclass(frozen=True)
class Model:
    """One line of the catalogue. `low` and `high` bound its price in thousands of dollars."""

    make: str
    name: str
    body_style: str
    fuel_type: str
    low: int
    high: int
    character: str

    @property
    def full_name(self) -> str:
        return f"{self.make} {self.name}"


CATALOGUE = (
    Model("Toyota", "RAV4", "SUV", "hybrid", 26, 41, "roomy, efficient and very dependable"),
    Model("Toyota", "Highlander", "SUV", "hybrid", 34, 52, "a quiet family car with three rows of seats"),
    Model("Toyota", "Camry", "sedan", "hybrid", 23, 36, "comfortable on long trips and easy on fuel"),
    Model("Toyota", "Corolla", "sedan", "gas", 17, 27, "simple, reliable and cheap to run"),
    Model("Toyota", "Tacoma", "truck", "gas", 29, 49, "tough off the road and slow to lose its value"),
    Model("Toyota", "Sienna", "minivan", "hybrid", 34, 53, "a hybrid with room for eight"),
    Model("Toyota", "Prius", "hatchback", "hybrid", 21, 36, "one of the thriftiest cars on the road"),
    Model("Honda", "CR-V", "SUV", "gas", 24, 40, "easy to drive, with a big cargo area"),
    Model("Honda", "HR-V", "SUV", "gas", 19, 30, "a small SUV that is easy to park"),
    Model("Honda", "Pilot", "SUV", "gas", 32, 53, "a strong three-row family car"),
    Model("Honda", "Civic", "sedan", "gas", 18, 30, "fun to drive and good on fuel"),
    Model("Honda", "Accord", "sedan", "hybrid", 24, 38, "spacious, quiet and refined"),
    Model("Honda", "Odyssey", "minivan", "gas", 30, 50, "very practical for families"),
    Model("Ford", "Escape", "SUV", "gas", 19, 35, "a comfortable compact SUV"),
    Model("Ford", "Explorer", "SUV", "gas", 29, 55, "a powerful SUV with three rows of seats"),
    Model("Ford", "Bronco", "SUV", "gas", 33, 60, "made for trails and open-air driving"),
    Model("Ford", "F-150", "truck", "gas", 30, 66, "a full-size truck that tows almost anything"),
    Model("Ford", "Maverick", "truck", "hybrid", 24, 37, "a compact truck that sips fuel"),
    Model("Ford", "Mustang", "coupe", "gas", 27, 52, "a classic with plenty of power"),
    Model("Chevrolet", "Equinox", "SUV", "gas", 20, 34, "a smooth and affordable compact SUV"),
    Model("Chevrolet", "Tahoe", "SUV", "gas", 45, 75, "a large SUV for towing and big families"),
    Model("Chevrolet", "Silverado", "truck", "gas", 31, 64, "a strong full-size work truck"),
    Model("Chevrolet", "Bolt", "hatchback", "electric", 16, 28, "an affordable electric car for the city"),
    Model("Hyundai", "Tucson", "SUV", "gas", 22, 38, "well equipped, with a long warranty"),
    Model("Hyundai", "Kona", "SUV", "gas", 18, 31, "a small SUV with lots of features"),
    Model("Hyundai", "Santa Fe", "SUV", "hybrid", 29, 46, "a comfortable family SUV"),
    Model("Hyundai", "Elantra", "sedan", "gas", 16, 26, "good value with a long warranty"),
    Model("Hyundai", "Ioniq 5", "SUV", "electric", 30, 52, "an electric SUV that charges very quickly"),
    Model("Kia", "Sportage", "SUV", "gas", 22, 38, "roomy in the back and good value"),
    Model("Kia", "Telluride", "SUV", "gas", 35, 55, "a comfortable SUV for seven or eight people"),
    Model("Kia", "Forte", "sedan", "gas", 14, 24, "one of our most affordable sedans"),
    Model("Kia", "Carnival", "minivan", "gas", 31, 49, "a stylish minivan with a huge cabin"),
    Model("Kia", "EV6", "SUV", "electric", 31, 54, "a quick and stylish electric car"),
    Model("Subaru", "Forester", "SUV", "gas", 23, 37, "safe in snow, with all-wheel drive as standard"),
    Model("Subaru", "Crosstrek", "SUV", "gas", 21, 34, "a small SUV with all-wheel drive as standard"),
    Model("Subaru", "Outback", "wagon", "gas", 25, 41, "a wagon with all-wheel drive and lots of space"),
    Model("Nissan", "Rogue", "SUV", "gas", 20, 36, "comfortable seats and a big cargo area"),
    Model("Nissan", "Altima", "sedan", "gas", 17, 29, "a smooth sedan with available all-wheel drive"),
    Model("Nissan", "Frontier", "truck", "gas", 26, 42, "a sturdy midsize truck"),
    Model("Nissan", "Leaf", "hatchback", "electric", 14, 28, "a simple electric car for short trips"),
    Model("Mazda", "CX-5", "SUV", "gas", 22, 37, "great to drive, with a fine interior"),
    Model("Mazda", "Mazda3", "hatchback", "gas", 18, 30, "stylish and fun to drive"),
    Model("Jeep", "Wrangler", "SUV", "gas", 30, 58, "the one to take off the road"),
    Model("Jeep", "Compass", "SUV", "gas", 21, 33, "a compact SUV with good traction"),
    Model("Tesla", "Model 3", "sedan", "electric", 25, 44, "quick, quiet and cheap to charge"),
    Model("Tesla", "Model Y", "SUV", "electric", 30, 52, "a spacious electric SUV"),
    Model("Volkswagen", "Jetta", "sedan", "gas", 17, 28, "a solid and roomy compact sedan"),
    Model("Volkswagen", "Tiguan", "SUV", "gas", 22, 37, "an SUV with an optional third row"),
)
BODY_STYLES = ("SUV", "sedan", "truck", "minivan", "hatchback", "coupe", "wagon")


@dataclass(frozen=True)
class Vehicle:
    """One car on the lot. `price` is in dollars, `mileage` in miles."""

    model: Model
    year: int
    trim: str
    color: str
    price: int
    mileage: int
    stock_number: str

    @property
    def name(self) -> str:
        return f"{self.year} {self.model.full_name} {self.trim}"

    @property
    def brief(self) -> str:
        """Name and price, as a list of several vehicles shows them."""
        return f"{with_article(self.name)} for {dollars(self.price)}"

    @property
    def full(self) -> str:
        """Everything a customer asks about first, as an answer about one vehicle shows it."""
        return (
            f"{with_article(self.color)} {self.name} for {dollars(self.price)} "
            f"with {self.mileage:,} miles (stock {self.stock_number})"
        )

    def row(self) -> dict[str, Any]:
        """The vehicle as a row of an inventory search's result."""
        return {
            "stock_number": self.stock_number,
            "year": self.year,
            "make": self.model.make,
            "model": self.model.name,
            "trim": self.trim,
            "body_style": self.model.body_style,
            "fuel_type": self.model.fuel_type,
            "color": self.color,
            "price": self.price,
            "mileage": self.mileage,
        }


def dollars(amount: int) -> str:
    return f"${amount:,}"


def with_article(words: str) -> str:
    """`words` behind "a" or "an", by sound as far as the catalogue needs it."""
    return f"{'an' if words.startswith(('SUV', 'F-', 'HR', 'S ')) or words[0].lower() in 'aeio' else 'a'} {words}"


def models_of(body_style: str | None = None, *, below: int | None = None, fuel_type: str | None = None) -> list[Model]:
    """The models of a body style and fuel that start below a price in dollars."""
    return [
        model
        for model in CATALOGUE
        if (body_style is None or model.body_style == body_style)
        and (below is None or model.low * 1000 < below)
        and (fuel_type is None or model.fuel_type == fuel_type)
    ]


def invent_vehicle(rng: Random, model: Model | None = None, *, below: int | None = None) -> Vehicle:
    """A vehicle of `model` (any if None), priced below `below` dollars even where the model is usually dearer."""
    model = model or rng.choice(CATALOGUE)
    high = model.high * 1000 if below is None else min(below, model.high * 1000)
    low = min(model.low * 1000, high - 2000)
    year = rng.randint(2017, NEWEST_YEAR)
    mileage = rng.randint(5, 90) if year == NEWEST_YEAR else rng.randint(1_200, (NEWEST_YEAR + 1 - year) * 11_000)
    return Vehicle(
        model=model,
        year=year,
        trim=rng.choice(TRIMS),
        color=rng.choice(COLORS),
        price=rng.randrange(low, high, rng.choice((5, 10, 50, 95))),
        mileage=mileage,
        stock_number=rng.choice("ABCDHKLMPRST") + str(rng.randint(1000, 9999)),
    )
