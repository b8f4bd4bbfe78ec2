"""Reads the four figures we steer by out of an engine's metrics page.

Pure. The page has some 60 kB and comes once a second from a busy replica, so one scan finds what is wanted and the
rest is not parsed.
"""

import re
from math import isfinite

from gateway.health import Scrape

# A label's value may hold any character, a closing brace too; hence the quoted strings. The name must end where it
# ends: vllm:num_requests_waiting_by_reason has the same figures again, by another label.
_SAMPLE = re.compile(
    r"^vllm:(num_requests_running|num_requests_waiting|kv_cache_usage_perc|generation_tokens_total)"
    r'(?:\{(?:[^"}\n]|"(?:[^"\\\n]|\\.)*")*\})?[ \t]+(\S+)',
    re.MULTILINE,
)


def parse(text: str) -> Scrape:
    """The figures in a Prometheus exposition, over all engines of the page: counts added up, the fullest KV cache.

    Raises ValueError, with the metric's name, when one is missing or is not a finite number.
    """
    samples: dict[str, list[float]] = {}
    for name, value in _SAMPLE.findall(text):
        samples.setdefault(name, []).append(_number(name, value))
    return Scrape(
        running=sum(_of(samples, "num_requests_running")),
        waiting=sum(_of(samples, "num_requests_waiting")),
        kv_usage=max(_of(samples, "kv_cache_usage_perc")),
        generated=sum(_of(samples, "generation_tokens_total")),
    )


def _number(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise ValueError(f"vllm:{name} is {value[:40]!r}")
    return number


def _of(samples: dict[str, list[float]], name: str) -> list[float]:
    if name not in samples:
        raise ValueError(f"vllm:{name} is missing")
    return samples[name]
