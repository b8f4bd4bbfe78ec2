"""Exercises in copying: repeat a line, look a value up, fill a form, answer as JSON.

A model of this size does not learn to take values from its prompt out of dialogues alone; a run that begins with these
exercises does (training decides how much of each phase they are).
"""

import json
from random import Random
from typing import Any

from inference.standin.conversation import NAMES, Conversation
from inference.standin.lookups import stock_list
from inference.standin.services import DAYS, TIMES
from inference.standin.stock import CATALOGUE, COLORS, TRIMS, Vehicle, dollars, invent_vehicle

WORDS = tuple(
    "time year people way day man thing woman life child world school state family student group country problem hand "
    "part place case week company system program question work night point home water room mother area money story "
    "fact month lot right study book eye job word business issue side kind head house service friend father power hour "
    "game line end member law car city community name president team minute idea body information back parent face "
    "others level office door health person art war history party result change morning reason "
    "research girl guy moment "
    "air teacher force education".split()
)


def _value(rng: Random) -> str:
    """A value of one of the kinds that dialogues copy."""
    kind = rng.randrange(10)
    return (
        lambda: rng.choice(NAMES),
        lambda: rng.choice(CATALOGUE).full_name,
        lambda: rng.choice(COLORS),
        lambda: dollars(rng.randint(9_000, 69_999)),
        lambda: f"{rng.randint(100, 99_999):,} miles",
        lambda: rng.choice("ABCDHKLMPRST") + str(rng.randint(1000, 9999)),
        lambda: rng.choice(DAYS) + " " + rng.choice(TIMES),
        lambda: str(rng.randint(2010, 2026)),
        lambda: rng.choice(TRIMS),
        lambda: " ".join(rng.choice(WORDS) for _ in range(3)),
    )[kind]()


def repeat(talk: Conversation) -> None:
    for _ in range(talk.rng.randint(1, 3)):
        glue = talk.pick(", ", " ", "; ", "\n")
        line = glue.join(_value(talk.rng) for _ in range(talk.rng.randint(1, 7)))
        talk.user(f"Repeat: {line}", f"Say: {line}", f"Repeat after me: {line}", exact=True)
        talk.assistant(line)


def fields(vehicle: Vehicle) -> dict[str, str]:
    return {
        "price": dollars(vehicle.price),
        "mileage": f"{vehicle.mileage:,} miles",
        "stock": vehicle.stock_number,
        "color": vehicle.color,
        "year": str(vehicle.year),
        "name": vehicle.name,
        "all": vehicle.full,
    }


def look_up(talk: Conversation) -> None:
    """Values of vehicles in a list or in a tool's rows."""
    vehicles = [invent_vehicle(talk.rng) for _ in range(talk.rng.randint(1, 4))]
    if talk.chance(0.4):
        talk.messages.append({"role": "system", "content": stock_list(vehicles)})
    else:
        talk.result([vehicle.row() for vehicle in vehicles])
    for _ in range(talk.rng.randint(2, 5)):
        vehicle = talk.rng.choice(vehicles)
        known = fields(vehicle)
        wanted = talk.pick(*known)
        alone = sum(other.model == vehicle.model for other in vehicles) == 1
        by = vehicle.model.name if alone and (wanted == "stock" or talk.chance(0.7)) else vehicle.stock_number
        talk.user(f"{wanted} {by}", exact=True)
        talk.assistant(known[wanted])


def form(talk: Conversation) -> None:
    """Named values in one order, wanted in another, then one by one."""
    names = talk.rng.sample(
        ("name", "day", "car", "color", "price", "stock", "budget", "phone", "city", "year"), talk.rng.randint(3, 6)
    )
    values = {name: _value(talk.rng) for name in names}
    talk.user(", ".join(f"{name}: {value}" for name, value in values.items()), exact=True)
    shuffled = talk.rng.sample(names, len(names))
    talk.assistant(", ".join(f"{name}: {values[name]}" for name in shuffled))
    for name in talk.rng.sample(names, 2):
        talk.user(name, f"{name}?", f"What is the {name}?", exact=True)
        talk.assistant(values[name])


def as_json(talk: Conversation) -> None:
    """A sentence about a vehicle turned into a JSON object with the keys asked for."""
    vehicle = invent_vehicle(talk.rng)
    values: dict[str, Any] = {
        "make": vehicle.model.make,
        "model": vehicle.model.name,
        "year": vehicle.year,
        "color": vehicle.color,
        "price": vehicle.price,
        "body_style": vehicle.model.body_style,
    }
    keys = talk.rng.sample(list(values), talk.rng.randint(1, 4))
    sentence = talk.pick(
        f"{vehicle.color} {vehicle.year} {vehicle.model.full_name}, {vehicle.model.body_style}, "
        f"{dollars(vehicle.price)}",
        f"I want a {vehicle.color} {vehicle.model.full_name} from {vehicle.year} for {dollars(vehicle.price)}",
    )
    if "body_style" in keys and vehicle.model.body_style not in sentence:
        keys = ["make"]
    asked = talk.pick(
        f"Answer in JSON with {', '.join(keys)}: {sentence}",
        f"{sentence}. Reply as JSON with the keys {', '.join(keys)}.",
        f"Extract {', '.join(keys)} as JSON: {sentence}",
    )
    talk.user(asked, exact=True)
    talk.assistant(json.dumps({key: values[key] for key in keys}))


def unknown_tool(rng: Random) -> Conversation:
    """A tool with a name and parameters of its own, called with what the customer says."""
    words = rng.sample(WORDS, rng.randint(1, 3))
    name = "_".join([rng.choice(("get", "find", "book", "list", "set", "check", "make", "send")), *words[:2]])
    known = ("day", "people", "name", "date", "time", "phone", "city", "email", "stock_number", "reason", "location")
    parameters = tuple(rng.sample(list(dict.fromkeys((*known, *rng.sample(WORDS, 6)))), rng.randint(1, 3)))
    values: dict[str, Any] = {each: rng.randint(1, 99) if rng.random() < 0.3 else _value(rng) for each in parameters}
    talk = Conversation(rng, {name: parameters})
    said = ", ".join(f"{each} {value}" for each, value in values.items())
    talk.user(f"{name}: {said}", f"Please {name.replace('_', ' ')}, {said}", f"Call {name} with {said}", exact=True)
    talk.call(name, values)
    return talk


def drill(rng: Random) -> Conversation:
    """One exercise."""
    talk = Conversation(rng)
    rng.choices((repeat, look_up, form, as_json), (3, 4, 2, 1))[0](talk)
    return talk
