"""Scout's instructions to the model: a text that is data, with today's date and the opening hours put in.

`prompt.md` is the text, and {name}, {today}, {hours}, {address} and {phone} are its only placeholders. Nothing of a
customer ever becomes part of it.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from gateway.dealership import calendar
from gateway.dealership.hours import Hours

FILE = "prompt.md"

_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_REQUIRED = frozenset({"today", "hours"})
"""Without the date a model cannot say what "tomorrow" is, and without the hours it makes some up."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """`template` is the text with its placeholders."""

    template: str
    hours: Hours

    @property
    def version(self) -> str:
        """Changes with the text and with what is put into it, but not with the day."""
        return hashlib.sha256(self._filled("").encode()).hexdigest()[:12]

    def system_message(self, now: float) -> str:
        """The instructions on this day; `now` is in epoch seconds."""
        return self._filled(calendar.day_in_words(calendar.today(self.hours, now)))

    def _filled(self, today: str) -> str:
        values = _values(self.hours) | {"today": today}
        return _PLACEHOLDER.sub(lambda found: values[found[1]], self.template)


def load(folder: Path, hours: Hours) -> Prompt:
    """The instructions in a dealership's folder. Raises ValueError, naming the file and what is wrong with it."""
    path = folder / FILE
    try:
        template = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}") from error
    names = set(_PLACEHOLDER.findall(template))
    problems = [f"there is no {{{name}}} to put in" for name in sorted(names - _values(hours).keys() - _REQUIRED)]
    problems += [f"{{{name}}} is missing" for name in sorted(_REQUIRED - names)]
    if problems:
        raise ValueError(f"{path}: {'; '.join(problems)}")
    return Prompt(template, hours)


def _values(hours: Hours) -> dict[str, str]:
    return {"name": hours.name, "hours": hours.week_in_words(), "address": hours.address, "phone": hours.phone}
