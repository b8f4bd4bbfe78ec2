"""The names that are in the stock, and what a customer's words can mean by them.

Pure. Made from the rows, so that a word is a model because we have one, and what is imported tomorrow is understood
tomorrow. Makes that have a synonym are known too, in stock or not: who asks for one is told that there is none.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from gateway.dealership import synonyms
from gateway.dealership.spelling import key, squash

Kind = tuple[str, str, str | None, str]
"""A make, a model, a trim and an exterior colour that are in one row together."""

Field = Literal["make", "model", "body_style", "fuel_type", "color", "condition", "features", "sort"]

AMBIGUOUS = frozenset(
    {"element", "edge", "fit", "focus", "grand", "journey", "kicks", "note", "model", "soul", "spark", "up", "limited"}
)
"""Models that are common words as well: they count beside their make only, as do bare digits and letters."""

SORTS = {
    "price": "cheapest,cheaper,least expensive,less expensive,lowest price,lowest priced,most affordable,cheap",
    "mileage": "lowest mileage,low mileage,lower mileage,fewest miles,low miles,least miles",
    "year": "newest,most recent",
}

_VARIANTS = frozenset({"hybrid", "electric", "ev", "prime", "phev"})
"""Words behind a model's name that customers leave out, as they do numbers such as that of the Silverado 1500."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a phrase stands for: the value of a field of SearchQuery. A model brings its make."""

    field: Field
    value: str
    make: str | None = None


@dataclass(frozen=True)
class Vocabulary:
    """`models` has each model with its make. Tuples are sorted, so that the same stock reads the same."""

    makes: tuple[str, ...] = ()
    models: tuple[tuple[str, str], ...] = ()
    trims: tuple[str, ...] = ()
    colors: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    stock_numbers: frozenset[str] = frozenset()

    @classmethod
    def of(cls, rows: Iterable[Kind], features: Iterable[str], stock_numbers: Iterable[str]) -> "Vocabulary":
        """From the rows of the stock, repeated or not."""
        kinds = list(rows)
        return cls(
            makes=tuple(sorted({make for make, *_ in kinds})),
            models=tuple(sorted({(make, model) for make, model, *_ in kinds})),
            trims=tuple(sorted({trim for _, _, trim, _ in kinds if trim})),
            colors=tuple(sorted({color for *_, color in kinds})),
            features=tuple(sorted(set(features))),
            stock_numbers=frozenset(stock_numbers),
        )

    @cached_property
    def phrases(self) -> Mapping[str, Meaning]:
        """Every phrase that means something, as its key. Where one means two things, the model goes before the make."""
        table: dict[str, Meaning] = {}
        for phrase, meaning in (*self._models(), *self._makes(), *_of_the_trade(), *self._looks()):
            if phrase:
                table.setdefault(phrase, meaning)
        return table

    @cached_property
    def names(self) -> Mapping[str, Meaning]:
        """The makes and models of five letters or more, which are known even with one slip. Nicknames are not."""
        return {
            phrase: meaning
            for phrase, meaning in self.phrases.items()
            if meaning.field in ("make", "model")
            and len(phrase) >= 5
            and phrase.isalpha()
            and phrase == squash(meaning.value)
        }

    @cached_property
    def trim_keys(self) -> Mapping[str, str]:
        """Each trim by its key: it is looked for behind a model only, since many are common words."""
        return {key(trim): trim for trim in self.trims}

    def _models(self) -> Iterator[tuple[str, Meaning]]:
        for make, model in self.models:
            calls = [word for word, name in synonyms.MAKES.items() if name == make]
            for name in _short_forms(model):
                meaning = Meaning("model", name, make)
                for call in (key(make), *calls):
                    yield f"{call} {key(name)}", meaning
                    yield f"{call} {squash(name)}", meaning
                if _telling(name):
                    yield key(name), meaning
                    yield squash(name), meaning

    def _makes(self) -> Iterator[tuple[str, Meaning]]:
        for make in self.makes:
            yield key(make), Meaning("make", make)
        for word, make in synonyms.MAKES.items():
            yield word, Meaning("make", make)

    def _looks(self) -> Iterator[tuple[str, Meaning]]:
        for color in self.colors:
            yield key(color), Meaning("color", synonyms.color_family(color) or color)
        for feature in self.features:
            yield key(feature), Meaning("features", feature)


def _of_the_trade() -> Iterator[tuple[str, Meaning]]:
    """The words that need no stock."""
    tables: tuple[tuple[Field, synonyms.Table], ...] = (
        ("body_style", synonyms.BODY_STYLES),
        ("fuel_type", synonyms.FUEL_TYPES),
        ("condition", synonyms.CONDITIONS),
        ("color", synonyms.COLORS),
        *(("features", table) for table in synonyms.FEATURE_TABLES),
    )
    for field, table in tables:
        for word, name in table.items():
            yield word, Meaning(field, name)
    for sort, words in SORTS.items():
        for word in words.split(","):
            yield word, Meaning("sort", sort)


def _short_forms(model: str) -> Iterator[str]:
    """The model's name, and without a last word that customers leave out ("Silverado 1500", "Kona Electric")."""
    yield model
    first, _, last = model.rpartition(" ")
    if first and (last.lower() in _VARIANTS or (last.isdigit() and len(last) >= 3)):
        yield first


def _telling(name: str) -> bool:
    """Whether the name alone tells that a model is meant."""
    squashed = squash(name)
    return len(squashed) > 2 and not squashed.isdigit() and key(name) not in AMBIGUOUS
