"""Builds and joins the parts of the conversation door; the other half of the composition root, `gateway.app`."""

from collections.abc import Sequence

from gateway.dealership import hours, prices, prompt
from gateway.dealership.answers import Answers
from gateway.dealership.appointments import Appointments
from gateway.dealership.desk import DealershipDesk
from gateway.dealership.intents import load as load_intents
from gateway.dealership.inventory import Inventory
from gateway.dealership.tools import Toolbox
from gateway.ports import Clock
from gateway.settings import Settings
from gateway.stores.database import Database


class Shop:
    """What is the dealership's: read from its folder and its database before the first request. Raises ValueError,
    naming the file, and StoreFailed."""

    def __init__(self, settings: Settings, database: Database, clock: Clock, now: Clock) -> None:
        folder = settings.dealership_dir
        opening = hours.load(folder)
        self.inventory = Inventory(database)
        toolbox = Toolbox(self.inventory, Appointments(database, opening), now)
        self.desk = DealershipDesk(
            self.inventory, toolbox, prompt.load(folder, opening), Answers.load(folder), opening, clock
        )
        self.prices = prices.load(folder)
        self._intents = load_intents(folder / "intents")

    def classify(self, message: str, earlier: Sequence[str]) -> tuple[str, str]:
        """Which route a message takes, and why."""
        found = self._intents.classify(message, earlier)
        return found.route, found.why
