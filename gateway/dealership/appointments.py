"""The appointment book: test drives in their slots, booked, cancelled and listed for the customer whose they are.

Reads and writes the database; which slots there are, `gateway.dealership.calendar` says. Promises: a place in a slot is
held once, and a vehicle is out once at a time, however many processes book: the table refuses anything else. The same
booking again is the same appointment. Nobody sees or cancels another's, nor learns that there is one.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    RowMapping,
    String,
    Table,
    and_,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError

from gateway.dealership import calendar
from gateway.dealership.calendar import Refusal, Slot
from gateway.dealership.hours import Hours
from gateway.desk import Customer
from gateway.ports import StoreFailed
from gateway.stores.database import Database

METADATA = MetaData()


def _once(name: str, *columns: str) -> Index:
    """What is never there twice. A cancelled appointment is not in the index, so that its place is free again."""
    held = text("cancelled_at IS NULL")
    return Index(f"appointments_{name}", *columns, unique=True, sqlite_where=held, postgresql_where=held)


APPOINTMENTS = Table(
    "appointments",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("reference", String(20), nullable=False, unique=True),
    Column("tenant", String(100), nullable=False),
    Column("owner", String(64), nullable=False, index=True),  # the customer's conversation, hashed
    Column("booking", String(64), nullable=False),  # the conversation, the vehicle and the slot, hashed
    Column("stock_number", String(20), nullable=False),
    Column("vehicle", String(200), nullable=False),
    Column("starts_at", BigInteger, nullable=False),
    Column("place", Integer, nullable=False),  # which of those that a slot has, from 0
    Column("customer_name", String(80)),
    Column("phone", String(30)),
    Column("email", String(254)),
    Column("booked_at", Float, nullable=False),
    Column("cancelled_at", Float),
    _once("place", "starts_at", "place"),
    _once("vehicle", "stock_number", "starts_at"),
    _once("booking", "booking"),
)
_A = APPOINTMENTS.c
_HELD = _A.cancelled_at.is_(None)

_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Without signs that are taken for one another when they are read out."""

_TRIES = 3


def new_reference() -> str:
    """Such as TD-7K3M9Q: one of 729 million, and of no use to anybody but its owner."""
    return "TD-" + "".join(secrets.choice(_ALPHABET) for _ in range(6))


@dataclass(frozen=True, slots=True)
class Wish:
    """A test drive to be booked. `vehicle` is its name, such as "2023 Toyota RAV4 XLE"."""

    stock_number: str
    vehicle: str
    slot: Slot
    customer_name: str
    phone: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Appointment:
    """One that a customer has, or had. `slot` is when it begins, in epoch seconds."""

    reference: str
    stock_number: str
    vehicle: str
    slot: Slot


@dataclass(frozen=True, slots=True)
class Done:
    """An appointment that is now as was wished; `already` if it had been so before."""

    appointment: Appointment
    already: bool


class Appointments:
    """One dealership's book. Methods raise StoreFailed; `now` is in epoch seconds.

    Making one makes its table, which waits for the database.
    """

    def __init__(self, database: Database, hours: Hours, new_reference: Callable[[], str] = new_reference) -> None:
        self.hours = hours
        self._database = database
        self._new_reference = new_reference
        database.create(METADATA)

    async def book(self, customer: Customer, wish: Wish, now: float) -> Done | Refusal:
        """Books, or says why not. Safe to call again, also after a StoreFailed that left the outcome open."""
        for _ in range(_TRIES - 1):
            try:
                return await self._database.write(lambda connection: self._book(connection, customer, wish, now))
            except StoreFailed as failed:
                # Another process was quicker, or the reference is in use: looking again tells which.
                if not isinstance(failed.__cause__, IntegrityError):
                    raise
        return await self._database.write(lambda connection: self._book(connection, customer, wish, now))

    async def cancel(self, customer: Customer, reference: str, now: float) -> Done | Refusal | None:
        """Cancels, or says why not; None if this customer has no such appointment, whoever else may have."""
        return await self._database.write(lambda connection: _cancel(connection, customer, reference, now))

    async def own(self, customer: Customer, now: float) -> list[Appointment]:
        """Those of this customer that are still to come, in their order."""
        return await self._database.read(lambda connection: _own(connection, customer, now))

    async def free(self, days: Sequence[date], now: float, stock_number: str | None = None) -> list[Slot]:
        """The slots of these days that somebody can book now, at which the vehicle, if one is named, is free too."""
        slots = [slot for day in days for slot in calendar.bookable(self.hours, day, now)]
        if not slots:
            return []
        taken = await self._database.read(lambda connection: self._taken(connection, slots, stock_number))
        return [slot for slot in slots if slot not in taken]

    async def next_free(
        self, start: float, now: float, stock_number: str | None = None, *, at_most: int = 3
    ) -> list[Slot]:
        """The first free slots from `start` on, as `free` finds them."""
        day, last = calendar.today(self.hours, max(start, now)), calendar.last_day(self.hours, now)
        while day <= last:
            week = [day + timedelta(days=number) for number in range(7)]
            found = [slot for slot in await self.free(week, now, stock_number) if slot >= start]
            if found:
                return found[:at_most]
            day += timedelta(days=7)
        return []

    def _book(self, connection: Connection, customer: Customer, wish: Wish, now: float) -> Done | Refusal:
        booking = _hashed(customer.tenant, customer.session_id, wish.stock_number, str(wish.slot))
        before = connection.execute(select(APPOINTMENTS).where(_A.booking == booking, _HELD)).mappings().first()
        if before is not None:
            return Done(_appointment(before), already=True)
        no = calendar.refusal(self.hours, wish.slot, now)
        if no is not None:
            return no
        if len(_own(connection, customer, now)) >= self.hours.test_drives.per_customer:
            return Refusal.TOO_MANY
        rivals = connection.execute(select(APPOINTMENTS).where(_A.starts_at == wish.slot, _HELD)).mappings().all()
        if any(rival["stock_number"] == wish.stock_number for rival in rivals):
            return Refusal.VEHICLE_TAKEN
        place = next(place for place in range(len(rivals) + 1) if all(rival["place"] != place for rival in rivals))
        if place >= self.hours.test_drives.at_once:
            return Refusal.FULL
        appointment = Appointment(self._new_reference(), wish.stock_number, wish.vehicle, wish.slot)
        connection.execute(
            insert(APPOINTMENTS).values(
                reference=appointment.reference,
                tenant=customer.tenant,
                owner=_owner(customer),
                booking=booking,
                stock_number=wish.stock_number,
                vehicle=wish.vehicle,
                starts_at=wish.slot,
                place=place,
                customer_name=wish.customer_name,
                phone=wish.phone,
                email=wish.email,
                booked_at=now,
            )
        )
        return Done(appointment, already=False)

    def _taken(self, connection: Connection, slots: Sequence[Slot], stock_number: str | None) -> set[Slot]:
        held = and_(_HELD, _A.starts_at.between(slots[0], slots[-1]))
        counts = select(_A.starts_at, func.count()).where(held).group_by(_A.starts_at)
        full = {slot for slot, count in connection.execute(counts) if count >= self.hours.test_drives.at_once}
        out = select(_A.starts_at).where(held, _A.stock_number == stock_number)
        return full | set(connection.scalars(out)) if stock_number else full


def _cancel(connection: Connection, customer: Customer, reference: str, now: float) -> Done | Refusal | None:
    its = and_(_A.reference == reference, _A.owner == _owner(customer))
    row = connection.execute(select(APPOINTMENTS).where(its)).mappings().first()
    if row is None:
        return None
    if row["cancelled_at"] is not None:
        return Done(_appointment(row), already=True)
    if row["starts_at"] <= now:
        return Refusal.PAST
    # Nobody has to be called about it any more.
    nobody = {"customer_name": None, "phone": None, "email": None}
    connection.execute(update(APPOINTMENTS).where(its).values(cancelled_at=now, **nobody))
    return Done(_appointment(row), already=False)


def _own(connection: Connection, customer: Customer, now: float) -> list[Appointment]:
    to_come = and_(_A.owner == _owner(customer), _A.starts_at > now, _HELD)
    rows = connection.execute(select(APPOINTMENTS).where(to_come).order_by(_A.starts_at)).mappings()
    return [_appointment(row) for row in rows]


def _appointment(row: RowMapping) -> Appointment:
    return Appointment(row["reference"], row["stock_number"], row["vehicle"], row["starts_at"])


def _owner(customer: Customer) -> str:
    return _hashed(customer.tenant, customer.session_id)


def _hashed(*parts: str) -> str:
    """Of all the parts together; JSON keeps them apart, so that no two lists are written alike."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
