"""What a search has found, in a few honest sentences, where no model writes them: the database tier's answer.

Pure. Every figure is from a row, and the search is told as it was made, so that the customer sees what was understood.
"""

from gateway.dealership.vehicle import Found, SearchQuery, Total, Vehicle

NOUN = "vehicle"
_LEAD = {"price": "The lowest prices", "mileage": "The fewest miles", "year": "The newest", "best": "Best matches"}


def render(found: Found) -> str:
    """How many match, and the best of them. One paragraph of plain text."""
    searched = describe(found.query)
    within = f" ({searched})" if searched else ""
    if found.count == 0:
        return f"We have no {NOUN} in stock that matches{within}. I looked through everything that is available now."
    if found.count == 1:
        return f"We have 1 {NOUN} that matches{within}: {'; '.join(map(line, found.vehicles))}."
    shown = "; ".join(map(line, found.vehicles))
    return f"We have {found.count:,} {NOUN}s that match{within}. {_LEAD[found.query.sort]}: {shown}."


def when_unclear(total: Total) -> str:
    """For a question that names nothing that can be searched for."""
    if total.count == 0:
        return "We have no vehicles in stock at the moment."
    if total.count == 1:
        return f"We have 1 {NOUN} in stock, at {dollars(total.lowest_price)}. What are you looking for?"
    return (
        f"We have {total.count:,} {NOUN}s in stock, from {dollars(total.lowest_price)} to "
        f"{dollars(total.highest_price)}. Tell me a make, a body style or a price, and I will list what we have."
    )


def line(vehicle: Vehicle) -> str:
    """One vehicle: "2023 Toyota RAV4 XLE, white, 21,400 miles, $31,980 (stock T1042)"."""
    miles = f"{vehicle.mileage:,} mile{'' if vehicle.mileage == 1 else 's'}"
    return f"{vehicle.name}, {vehicle.exterior_color}, {miles}, {dollars(vehicle.price)} (stock {vehicle.stock_number})"


def describe(query: SearchQuery) -> str:
    """A search in words, such as "hybrid SUV up to $35,000"; empty where it leaves everything open."""
    kind = (query.color, query.condition, query.fuel_type, query.make, query.model, query.body_style)
    parts = [" ".join(filter(None, kind))]
    parts.append(_price(query.min_price, query.max_price))
    parts.append(_year(query.min_year, query.max_year))
    parts.append("" if query.max_mileage is None else f"up to {query.max_mileage:,} miles")
    parts.append("" if query.min_seats is None else f"{query.min_seats} or more seats")
    parts.append(f"with {' and '.join(query.features)}" if query.features else "")
    parts.append(f'"{query.text}"' if query.text else "")
    return ", ".join(filter(None, parts))


def dollars(amount: int) -> str:
    return f"${amount:,}"


def _price(least: int | None, most: int | None) -> str:
    if least is not None and most is not None:
        return f"from {dollars(least)} to {dollars(most)}"
    if most is not None:
        return f"up to {dollars(most)}"
    return "" if least is None else f"from {dollars(least)} up"


def _year(first: int | None, last: int | None) -> str:
    if first is not None and last is not None:
        return f"of {first}" if first == last else f"of {first} to {last}"
    if first is not None:
        return f"of {first} or newer"
    return "" if last is None else f"of {last} or older"
