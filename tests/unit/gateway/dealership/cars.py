"""Vehicles for tests of the stock: one to be varied, and a file of them."""

from collections.abc import Iterable
from typing import Any

from gateway.dealership.vehicle import Vehicle

HEADER = (
    "stock_number,vin,condition,year,make,model,trim,body_style,fuel_type,transmission,drivetrain,exterior_color,"
    "mileage,price,features,description"
)
ROW = "H4821,,used,2023,Honda,CR-V,EX-L,SUV,hybrid,CVT,AWD,blue,17250,33450,heated seats|sunroof,One owner."
VIN = "1SDW6DWC7PA101264"
"""Invented, with the check digit that it should have."""


def car(stock_number: str = "H4821", **other: Any) -> Vehicle:
    """A hybrid Honda, unless otherwise said."""
    values: dict[str, Any] = {
        "condition": "used",
        "year": 2023,
        "make": "Honda",
        "model": "CR-V",
        "trim": "EX-L",
        "body_style": "SUV",
        "fuel_type": "hybrid",
        "transmission": "CVT",
        "drivetrain": "AWD",
        "exterior_color": "blue",
        "mileage": 17_250,
        "price": 33_450,
        "seats": 5,
    }
    return Vehicle.model_validate({"stock_number": stock_number} | values | other)


def file(*rows: str, header: str = HEADER) -> bytes:
    return "\n".join((header, *rows, "")).encode()


def row(**cells: str) -> str:
    """ROW with other cells, by the names of HEADER."""
    names: Iterable[str] = HEADER.split(",")
    values = dict(zip(names, ROW.split(","), strict=True)) | cells
    return ",".join(values.values())
