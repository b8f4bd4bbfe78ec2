import json
from collections.abc import Iterator
from random import Random
from typing import Any

from inference.standin import lookups
from inference.standin.conversation import Conversation
from inference.standin.stock import invent_vehicle


def searches(count: int) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]], str]]:
    """Arguments, rows and answer of invented searches, those that failed left out."""
    rng = Random(21)
    for _ in range(count):
        talk = Conversation(rng, {lookups.SEARCH: lookups.TOOLS[lookups.SEARCH]})
        lookups.search(talk)
        _, call, result, answer, *_ = talk.messages
        if "error" in result["content"]:
            continue
        found = json.loads(result["content"])
        rows = found if isinstance(found, list) else found.get("vehicles", found.get("results"))
        yield json.loads(call["tool_calls"][0]["function"]["arguments"]), rows, answer["content"]


def test_rows_fulfil_every_argument_of_the_call() -> None:
    for arguments, rows, _ in searches(1_500):
        for row in rows:
            assert row["price"] < arguments.get("max_price", 10**6)
            assert row["year"] >= arguments.get("min_year", 0)
            assert row["mileage"] < arguments.get("max_mileage", 10**6)
            for exact in ("make", "model", "color"):
                assert row[exact] == arguments.get(exact, row[exact])


def test_answers_name_every_vehicle_found() -> None:
    sizes = set()
    for _, rows, answer in searches(1_500):
        sizes.add(len(rows))
        assert all(
            f"{row['year']} {row['make']} {row['model']}" in answer and f"${row['price']:,}" in answer for row in rows
        )
        if not rows:
            assert "couldn't find" in answer
    assert sizes == {0, 1, 2, 3}


def test_a_stock_list_says_everything_about_each_vehicle() -> None:
    vehicle = invent_vehicle(Random(1))
    line = lookups.stock_list([vehicle])
    assert all(part in line for part in (vehicle.name, vehicle.color, vehicle.stock_number, f"${vehicle.price:,}"))


def test_the_weather_is_asked_for_under_the_parameter_that_is_offered() -> None:
    talk = Conversation(Random(5), {lookups.WEATHER: ("location",)})
    lookups.weather(talk)
    arguments = json.loads(talk.messages[1]["tool_calls"][0]["function"]["arguments"])
    assert list(arguments) == ["location"]
    assert arguments["location"] in talk.messages[-1]["content"]
