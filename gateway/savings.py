"""What the GPUs have saved in a month, or have cost: sums of the usage ledger against the cloud's prices. Pure.

Every figure is told with the assumption behind it. GPUs cost money when they are idle too, so all hours count; what a
kept or canned answer would have cost in the cloud is not claimed. The saving may be a loss, and is then called one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from textwrap import wrap

from gateway.costs import MICROS_PER_DOLLAR, PriceTable

MODELS = ("on-prem", "openai")
"""The tiers that generate."""

HOUR_S = 3600.0
LINE_CHARS = 100
INDENT = "    "


@dataclass(frozen=True, slots=True)
class Answers:
    """Sums of rows. `estimated` is how many of them have estimated tokens."""

    count: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_micros: int = 0
    estimated: int = 0


@dataclass(frozen=True, slots=True)
class Month:
    """What the ledger has of a month: requests by the tier that had the last word, and all answers by tier and tenant.

    `began_at` is the time of the ledger's very first row, in whatever month, in epoch seconds; None if it has none.
    """

    month: str
    began_at: float | None
    requests: Mapping[str, int] = field(default_factory=dict)
    tiers: Mapping[str, Answers] = field(default_factory=dict)
    tenants: Mapping[str, Answers] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report: what it is, its value, and what it assumes ("" for what was simply counted)."""

    name: str
    value: str
    assumption: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A month in figures. Money in micro-dollars; `net_micros` below 0 is a loss."""

    month: str
    requests: int
    on_prem_share: float
    cloud_micros: int
    counterfactual_micros: int
    gpu_micros: int
    net_micros: int
    figures: tuple[Figure, ...]


def report(month: Month, prices: PriceTable, *, hours: float) -> Report:
    """The month's report. `hours` are what `hours_passed` says, idle ones among them."""
    requests = sum(month.requests.values())
    on_prem_share = month.requests.get("on-prem", 0) / requests if requests else 0.0
    generated = [month.tiers.get(tier, Answers()) for tier in MODELS]
    cloud = sum(answers.cost_micros for answers in month.tiers.values())
    counterfactual = prices.price_of(prices.counterfactual).micros(
        sum(answers.prompt_tokens for answers in generated), 0, sum(answers.completion_tokens for answers in generated)
    )
    gpu = round(prices.gpus.count * prices.gpus.dollars_per_hour * Decimal(hours) * MICROS_PER_DOLLAR)
    net = counterfactual - cloud - gpu
    figures = (
        *_of_requests(month, requests, on_prem_share),
        *_of_tiers(month),
        *_of_tenants(month),
        *_of_money(prices, cloud, counterfactual, gpu, hours),
        Figure("net saving" if net >= 0 else "net LOSS", dollars(abs(net)), "the cloud's price less spend and GPUs"),
    )
    return Report(month.month, requests, on_prem_share, cloud, counterfactual, gpu, net, figures)


def render(made: Report) -> str:
    """The report as text: a line for each figure, its assumption beneath it."""
    width = max(len(figure.name) for figure in made.figures)
    lines = [f"Scout in {made.month} (UTC)", ""]
    for figure in made.figures:
        lines.append(f"{figure.name:<{width}}  {figure.value:>16}")
        lines += wrap(figure.assumption, LINE_CHARS, initial_indent=INDENT, subsequent_indent=INDENT)
    return "\n".join(lines) + "\n"


def hours_passed(first: float, after: float, began_at: float | None, now: float) -> float:
    """Of a month's hours those that the GPUs have stood there for us, busy or idle, until `now` or the month's end.

    They count from `began_at`, the ledger's very first row, at the earliest. All times are in epoch seconds.
    """
    if began_at is None:
        return 0.0
    return max(0.0, (min(after, now) - max(first, began_at)) / HOUR_S)


def dollars(micros: int) -> str:
    """As money is written; to a hundredth of a cent where it is little."""
    value = micros / MICROS_PER_DOLLAR
    return f"${value:,.4f}" if 0 < value < 1 else f"${value:,.2f}"


def _of_requests(month: Month, requests: int, on_prem_share: float) -> list[Figure]:
    once = "each counted once, by the tier that had the last word; failed ones are among them"
    return [
        Figure("requests", f"{requests:,}", once),
        *(Figure(f"  {tier}", f"{number:,}") for tier, number in sorted(month.requests.items())),
        Figure("share on-prem", f"{on_prem_share:.1%}", "of all requests, whatever answered them"),
    ]


def _of_tiers(month: Month) -> list[Figure]:
    return [
        Figure(
            f"tokens, {tier}",
            f"{answers.prompt_tokens:,} + {answers.completion_tokens:,}",
            f"prompt + answer, in {answers.count:,} answers" + _estimated(answers),
        )
        for tier, answers in sorted(month.tiers.items())
        if answers.prompt_tokens or answers.completion_tokens
    ]


def _of_tenants(month: Month) -> list[Figure]:
    return [
        Figure(
            f"tenant {tenant}",
            dollars(answers.cost_micros),
            f"cloud spend; {answers.prompt_tokens:,} + {answers.completion_tokens:,} tokens of all tiers",
        )
        for tenant, answers in sorted(month.tenants.items())
    ]


def _of_money(prices: PriceTable, cloud: int, counterfactual: int, gpu: int, hours: float) -> list[Figure]:
    charged = f"prices as of {prices.as_of} ({prices.source}); broken answers are charged too"
    same = (
        f"all generated tokens at the price of {prices.counterfactual}, none of them cached; the cloud's tokenizer "
        "would count somewhat other numbers; answers that broke or lost a race are in it, which flatters the GPUs; "
        "answers from the cache or the database and canned ones are counted at nothing"
    )
    gpus = prices.gpus
    stood = (
        f"{gpus.count} GPUs at ${gpus.dollars_per_hour:.2f} an hour for all of {hours:,.1f} hours since the month "
        f"began, or the ledger if that was later, idle ones included: {gpus.assumption}"
    )
    return [
        Figure("cloud spend", dollars(cloud), charged),
        Figure("the same in the cloud", dollars(counterfactual), same),
        Figure("GPUs", dollars(gpu), stood),
    ]


def _estimated(answers: Answers) -> str:
    if not answers.estimated:
        return ""
    return (
        f"; in {answers.estimated:,} of them estimated, because they broke off or lost a race before they were counted"
    )
