"""The appointment book, over a real database file: what is held, by whom, and that nothing is held twice."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select

from gateway.dealership.appointments import APPOINTMENTS, Appointments, Done, Wish, new_reference
from gateway.dealership.calendar import Refusal
from gateway.desk import Customer
from gateway.ports import StoreFailed
from gateway.stores.database import Database
from tests.unit.gateway.dealership.shop import DANA, NOW, OMAR, at, hours

pytestmark = pytest.mark.anyio

FRIDAY = date(2026, 11, 27)
WISH = Wish("T1042", "2023 Toyota RAV4 XLE", at(27, 10), "Dana Example", "555-0142", "dana@example.com")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'book.db'}")
    yield opened
    opened.close()


def rows(database: Database) -> list[dict[str, object]]:
    def all_of(connection: Connection) -> list[dict[str, object]]:
        return [dict(row) for row in connection.execute(select(APPOINTMENTS)).mappings()]

    return database.read_now(all_of)


async def booked(book: Appointments, customer: Customer = DANA, wish: Wish = WISH, now: float = NOW) -> Done:
    outcome = await book.book(customer, wish, now)
    assert isinstance(outcome, Done), outcome
    return outcome


# ---- booking


async def test_a_booking_is_kept_with_whom_to_call(database: Database) -> None:
    done = await booked(Appointments(database, hours()))
    assert not done.already
    [row] = rows(database)
    assert (row["reference"], row["tenant"], row["place"]) == (done.appointment.reference, "acme", 0)
    assert (row["customer_name"], row["phone"], row["email"]) == ("Dana Example", "555-0142", "dana@example.com")
    assert (row["starts_at"], row["booked_at"], row["cancelled_at"]) == (at(27, 10), NOW, None)
    assert DANA.session_id not in str(row), "who knows the table cannot enter the conversation"


async def test_the_same_booking_again_is_the_same_appointment(database: Database) -> None:
    book = Appointments(database, hours())
    first = await booked(book)
    again = await booked(book, replace(DANA, request_id="request-9"))
    assert again == Done(first.appointment, already=True)
    assert len(rows(database)) == 1


async def test_the_same_booking_twenty_times_at_once_is_one_appointment(database: Database) -> None:
    book = Appointments(database, hours(at_once=5))
    outcomes = await asyncio.gather(*(booked(book) for _ in range(20)))
    assert len({done.appointment.reference for done in outcomes}) == 1
    assert sum(not done.already for done in outcomes) == 1


async def test_a_booking_outlives_the_process(database: Database, tmp_path: Path) -> None:
    done = await booked(Appointments(database, hours()))
    later = Database(f"sqlite:///{tmp_path / 'book.db'}")
    try:
        assert await Appointments(later, hours()).own(DANA, NOW) == [done.appointment]
    finally:
        later.close()


async def test_a_full_slot_is_refused_and_a_wider_one_has_room(database: Database) -> None:
    book = Appointments(database, hours(at_once=2))
    await booked(book)
    await booked(book, OMAR, replace(WISH, stock_number="K2000"))
    third = Customer("acme", "session-lena", "request-3")
    assert await book.book(third, replace(WISH, stock_number="H3000"), NOW) == Refusal.FULL
    assert sorted(str(row["place"]) for row in rows(database)) == ["0", "1"]


async def test_a_vehicle_is_out_once_at_a_time_however_much_room_there_is(database: Database) -> None:
    book = Appointments(database, hours(at_once=5))
    await booked(book)
    assert await book.book(OMAR, WISH, NOW) == Refusal.VEHICLE_TAKEN
    await booked(book, OMAR, replace(WISH, slot=at(27, 10, 30)))


@pytest.mark.parametrize(
    ("slot", "reason"),
    [(at(25, 10), Refusal.PAST), (at(26, 10), Refusal.CLOSED), (at(27, 10, 10), Refusal.NO_SLOT)],
)
async def test_what_is_no_slot_is_not_booked(database: Database, slot: int, reason: Refusal) -> None:
    assert await Appointments(database, hours()).book(DANA, replace(WISH, slot=slot), NOW) == reason
    assert rows(database) == []


async def test_a_conversation_may_hold_only_so_many_that_are_to_come(database: Database) -> None:
    book = Appointments(database, hours(per_customer=2))
    first, second, third = (replace(WISH, slot=at(27, hour)) for hour in (10, 11, 12))
    reference = (await booked(book, wish=first)).appointment.reference
    await booked(book, wish=second)
    assert await book.book(DANA, third, NOW) == Refusal.TOO_MANY
    assert (await booked(book, wish=first)).already, "what it holds already is still told"
    await booked(book, OMAR, third)
    await book.cancel(DANA, reference, NOW)
    await booked(book, wish=first)
    await booked(book, wish=replace(WISH, slot=at(28, 9)), now=at(27, 10, 30))


async def test_a_reference_in_use_is_not_given_twice(database: Database) -> None:
    drawn = iter(["TD-AAAAAA", "TD-AAAAAA", "TD-BBBBBB"])
    book = Appointments(database, hours(), lambda: next(drawn))
    await booked(book)
    second = await booked(book, OMAR, replace(WISH, slot=at(27, 11)))
    assert second.appointment.reference == "TD-BBBBBB"


async def test_when_every_reference_is_in_use_the_store_has_failed(database: Database) -> None:
    book = Appointments(database, hours(), lambda: "TD-AAAAAA")
    await booked(book)
    with pytest.raises(StoreFailed):
        await book.book(OMAR, replace(WISH, slot=at(27, 11)), NOW)
    assert len(rows(database)) == 1


async def test_a_store_that_fails_otherwise_is_not_asked_again(database: Database) -> None:
    drawn: list[str] = []
    book = Appointments(database, hours(), lambda: drawn.append("TD-AAAAAA") or "TD-AAAAAA")  # type: ignore[func-returns-value]
    database.write_now(lambda connection: APPOINTMENTS.drop(connection))
    with pytest.raises(StoreFailed, match="no such table"):
        await book.book(DANA, WISH, NOW)
    assert drawn == []


def test_references_are_unlike_each_other_and_easy_to_read_out() -> None:
    references = {new_reference() for _ in range(1000)}
    assert len(references) > 990
    assert all(each.startswith("TD-") and len(each) == 9 and not set(each[3:]) & set("01OIL") for each in references)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"stock_number": "K2000", "booking": "other"}, id="a place in a slot"),
        pytest.param({"place": 1, "booking": "other"}, id="a vehicle"),
        pytest.param({"stock_number": "K2000", "place": 1}, id="a booking"),
    ],
)
async def test_the_table_itself_refuses_to_hold_anything_twice(database: Database, other: dict[str, object]) -> None:
    await booked(Appointments(database, hours()))
    [held] = rows(database)
    with pytest.raises(StoreFailed, match="UNIQUE"):
        database.write_now(
            lambda connection: connection.execute(
                insert(APPOINTMENTS).values(held | {"id": 99, "reference": "TD-ZZZZZZ"} | other)
            )
        )


async def test_of_two_gateways_on_one_file_one_has_the_slot(database: Database, tmp_path: Path) -> None:
    other = Database(f"sqlite:///{tmp_path / 'book.db'}")
    try:
        books = (Appointments(database, hours()), Appointments(other, hours()))
        customers = [Customer("acme", f"session-{number}", "request") for number in range(50)]
        outcomes = await asyncio.gather(
            *(books[number % 2].book(customer, WISH, NOW) for number, customer in enumerate(customers))
        )
    finally:
        other.close()
    assert sum(isinstance(outcome, Done) for outcome in outcomes) == 1
    assert sum(outcome == Refusal.VEHICLE_TAKEN for outcome in outcomes) == 49
    assert len(rows(database)) == 1


# ---- cancelling


async def test_a_cancelled_appointment_is_nobodys_and_its_slot_is_free(database: Database) -> None:
    book = Appointments(database, hours())
    first = await booked(book)
    assert await book.cancel(DANA, first.appointment.reference, NOW) == Done(first.appointment, already=False)
    [row] = rows(database)
    assert (row["customer_name"], row["phone"], row["email"]) == (None, None, None)
    assert await book.own(DANA, NOW) == []
    await booked(book, OMAR)


async def test_what_was_cancelled_can_be_booked_and_cancelled_again(database: Database) -> None:
    book = Appointments(database, hours())
    references = []
    for _ in range(3):
        done = await booked(book)
        assert not done.already
        references.append(done.appointment.reference)
        await book.cancel(DANA, done.appointment.reference, NOW)
    assert len(set(references)) == 3


async def test_cancelling_twice_is_cancelling_once(database: Database) -> None:
    book = Appointments(database, hours())
    done = await booked(book)
    await book.cancel(DANA, done.appointment.reference, NOW)
    assert await book.cancel(DANA, done.appointment.reference, NOW) == Done(done.appointment, already=True)


async def test_what_has_begun_cannot_be_cancelled(database: Database) -> None:
    book = Appointments(database, hours())
    done = await booked(book)
    assert await book.cancel(DANA, done.appointment.reference, at(27, 10)) == Refusal.PAST


@pytest.mark.parametrize(
    "stranger",
    [
        pytest.param(OMAR, id="another conversation"),
        pytest.param(Customer("other", DANA.session_id, "request"), id="the same name of a session at another tenant"),
        pytest.param(Customer("acme session", "-dana", "request"), id="names that are alike when joined"),
    ],
)
async def test_nobody_sees_or_cancels_anothers(database: Database, stranger: Customer) -> None:
    book = Appointments(database, hours())
    done = await booked(book)
    assert await book.own(stranger, NOW) == []
    assert await book.cancel(stranger, done.appointment.reference, NOW) is None
    assert await book.cancel(stranger, "TD-ZZZZZZ", NOW) is None
    assert await book.own(DANA, NOW) == [done.appointment]


# ---- listing


async def test_own_appointments_are_those_to_come_in_their_order(database: Database) -> None:
    book = Appointments(database, hours())
    late = await booked(book, wish=replace(WISH, slot=at(28, 10)))
    early = await booked(book)
    assert await book.own(DANA, NOW) == [early.appointment, late.appointment]
    assert await book.own(DANA, at(27, 10)) == [late.appointment]


async def test_free_slots_leave_out_what_is_full_and_when_the_vehicle_is_out(database: Database) -> None:
    book = Appointments(database, hours(at_once=2))
    await booked(book)
    days = [date(2026, 11, 26), FRIDAY]
    assert at(27, 10) in await book.free(days, NOW)
    assert at(27, 10) not in await book.free(days, NOW, "T1042")
    await booked(book, OMAR, replace(WISH, stock_number="K2000"))
    assert at(27, 10) not in await book.free(days, NOW)
    assert len(await book.free(days, NOW)) == 19
    assert await book.free([date(2026, 11, 26)], NOW) == []


async def test_the_next_free_slots_are_from_the_wished_one_on(database: Database) -> None:
    book = Appointments(database, hours())
    await booked(book)
    assert await book.next_free(at(27, 10), NOW) == [at(27, 10, 30), at(27, 11), at(27, 11, 30)]
    assert await book.next_free(at(28, 18, 31), NOW, at_most=1) == [at(30, 9)]
    assert await book.next_free(0, NOW, at_most=1) == [at(25, 11, 30)]


async def test_weeks_without_anything_free_are_passed_over(database: Database) -> None:
    closed = {date(2026, 11, 25) + timedelta(days=number): "Works" for number in range(20)}
    book = Appointments(database, hours().model_copy(update={"closed": closed}))
    assert await book.next_free(NOW, NOW, at_most=1) == [at(15, 9, month=12)]
    book = Appointments(database, hours(days_ahead=5).model_copy(update={"closed": closed}))
    assert await book.next_free(NOW, NOW) == []
