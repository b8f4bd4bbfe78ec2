"""What is said without a model: answers to questions that come in the same words every day, and the last resort's.

`answers.toml` is the text, and {name}, {phone}, {hours} and {address} are its only placeholders. Read once at the start
and checked whole; frozen from then on. A message gets a kept answer only if it is one of the phrases, as the cache
compares messages; one that only resembles it is for a model.
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.cache import normalise
from gateway.dealership.hours import Hours
from gateway.routes import DEFAULT

FILE = "answers.toml"

_PLACEHOLDER = re.compile(r"\{(\w*)\}")

Text = Annotated[str, Field(min_length=1, max_length=600)]
Phrase = Annotated[str, Field(min_length=1, max_length=120)]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Preloaded(_Frozen):
    """One answer, and the messages that get it on this route."""

    route: str
    phrases: tuple[Phrase, ...] = Field(min_length=1)
    answer: Text


class _File(_Frozen):
    static: dict[str, Text]
    preloaded: tuple[Preloaded, ...] = ()


class Answers:
    """The kept answers of one dealership, with its name and numbers put in."""

    def __init__(self, static: Mapping[str, str], preloaded: Mapping[tuple[str, str], str]) -> None:
        self._static = static
        self._preloaded = preloaded

    @classmethod
    def load(cls, folder: Path, hours: Hours, routes: Collection[str] = ()) -> "Answers":
        """The answers in a dealership's folder. Each of `routes` must have a static one.

        Raises ValueError, naming the file and each thing that is wrong with it.
        """
        path = folder / FILE
        written = _read(path)
        values = {"name": hours.name, "phone": hours.phone, "hours": hours.week_in_words(), "address": hours.address}
        if problems := [*_problems(written, values, routes)]:
            raise ValueError("\n".join(f"{path}: {problem}" for problem in problems))

        def filled(text: str) -> str:
            return _PLACEHOLDER.sub(lambda found: values[found[1]], text)

        return cls(
            {route: filled(text) for route, text in written.static.items()},
            {
                (each.route, normalise(phrase)): filled(each.answer)
                for each in written.preloaded
                for phrase in each.phrases
            },
        )

    def preloaded(self, route: str, message: str) -> str | None:
        """The answer that is kept for this message, which is normalised, as the first of a conversation.

        Further on the same words may mean something that was said before.
        """
        return self._preloaded.get((route, message))

    def static(self, route: str) -> str:
        """What is said when nobody else has an answer: the route's own words, or the default's."""
        return self._static.get(route) or self._static[DEFAULT]


def _read(path: Path) -> _File:
    try:
        return _File.model_validate(tomllib.loads(path.read_text("utf-8")))
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ValueError("\n".join(f"{path}: {problem}" for problem in problems)) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path}: {error}") from error


def _problems(written: _File, names: Collection[str], routes: Collection[str]) -> Iterator[str]:
    for route in sorted({DEFAULT, *routes} - written.static.keys()):
        yield f"static: there is no answer for the route {route}"
    texts = {f"static.{route}": text for route, text in written.static.items()}
    texts |= {f"preloaded.{number}.answer": each.answer for number, each in enumerate(written.preloaded)}
    for where, text in texts.items():
        for name in sorted(set(_PLACEHOLDER.findall(text)) - set(names)):
            yield f"{where}: there is no {{{name}}} to put in"
    seen: set[tuple[str, str]] = set()
    for number, each in enumerate(written.preloaded):
        for phrase in each.phrases:
            place = each.route, normalise(phrase)
            if not place[1]:
                yield f"preloaded.{number}.phrases: nothing is left of {phrase!r}"
            elif place in seen:
                yield f"preloaded.{number}.phrases: {phrase!r} stands there twice for {each.route}"
            seen.add(place)
