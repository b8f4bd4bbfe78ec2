"""The kinds of personal data that are looked for, and one found piece of it."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """A closed set: the names stand in metrics, in placeholders and in what `label` prints."""

    EMAIL = "email"
    PHONE = "phone"
    CARD = "card"
    IBAN = "iban"
    US_SSN = "us_ssn"
    DRIVERS_LICENCE = "drivers_licence"
    VIN = "vin"
    STREET_ADDRESS = "street_address"
    DATE_OF_BIRTH = "date_of_birth"
    NAME_SELF = "name_self"
    CREDENTIAL = "credential"


STRUCTURED = frozenset(
    {Kind.EMAIL, Kind.PHONE, Kind.CARD, Kind.IBAN, Kind.US_SSN, Kind.DRIVERS_LICENCE, Kind.VIN, Kind.CREDENTIAL}
)
"""Those that have a form of their own, and are told by it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`text[start:end]` is of this kind."""

    start: int
    end: int
    kind: Kind
