"""Proves the tailnet policy before it is put in force: `python -m infra.tailscale.check infra/tailscale/policy.hujson`.

Three proofs. The file's own `tests` hold. Nothing of Scout can be reached, and nothing of Scout can reach out, beyond
`ALLOWED`, port by port: so a grant that is too wide is refused even where nobody thought of a test. And every allowance
has an accept test, so that one that is too narrow is noticed as well.

Tailscale's own evaluation has the last word when the file is saved; this one needs no account and no network.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

from infra.tailscale.policy import Policy, PolicyError, Protocol, parse, split_port

# The second opinion on the policy: whoever opens a way must say so here too, in a change that somebody reads. All TCP.
ALLOWED: Final[dict[tuple[str, str], frozenset[int]]] = {
    ("tag:scout-gateway", "tag:scout-cluster"): frozenset(range(8080, 8084)),
    ("tag:scout-monitor", "tag:scout-cluster"): frozenset({9090, 9400}),
    ("tag:scout-monitor", "tag:scout-gateway"): frozenset({8000}),
    ("group:ops", "tag:scout-cluster"): frozenset({22}),
    ("group:ops", "tag:scout-gateway"): frozenset({22}),
    ("group:ops", "tag:scout-monitor"): frozenset({22}),
}
PROTOCOLS: Final[tuple[Protocol, ...]] = get_args(Protocol)


def failed_tests(policy: Policy) -> Iterator[str]:
    """One sentence for each line of the file's `tests` that the grants do not satisfy."""
    for test in policy.tests:
        for target in test.accept:
            if not _reaches(policy, test.src, target, test.proto):
                yield f"test failed: {test.src} must reach {target} over {test.proto} and does not"
        for target in test.deny:
            if _reaches(policy, test.src, target, test.proto):
                yield f"test failed: {test.src} must not reach {target} over {test.proto} and does"


def forbidden_ways(policy: Policy) -> Iterator[str]:
    """One sentence for each pair with a Scout machine at either end that is open beyond `ALLOWED`."""
    for src in policy.sources:
        for dst in policy.tag_owners:
            if not any(end.startswith("tag:scout-") for end in (src, dst)):
                continue  # the tailnet's other machines are their owners' business
            for proto in PROTOCOLS:
                allowed = ALLOWED.get((src, dst), frozenset()) if proto == "tcp" else frozenset()
                if excess := policy.reachable(src, dst, proto) - allowed:
                    yield f"forbidden: {src} reaches {dst} on {proto} {_shorten(excess)}"


def untested_ways(policy: Policy) -> Iterator[str]:
    """One sentence for each port of `ALLOWED` that no accept test of the file asks for."""
    for (src, dst), ports in ALLOWED.items():
        asked = {split_port(target) for test in policy.tests if test.src == src for target in test.accept}
        if missing := {port for port in ports if (dst, port) not in asked}:
            yield f"untested: no test expects {src} to reach {dst} on tcp {_shorten(missing)}"


def check(text: str) -> list[str]:
    """Everything that is wrong with a policy file, as sentences; empty when it is proven."""
    try:
        policy = parse(text)
    except PolicyError as exc:
        return [f"refused: {exc}"]
    return [*failed_tests(policy), *forbidden_ways(policy), *untested_ways(policy)]


def main(arguments: list[str]) -> int:
    """Check one file, print what is wrong to stderr; 0 when proven, 1 when not, 2 when used wrongly."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m infra.tailscale.check POLICY.hujson\n")
        return 2
    path = Path(arguments[0])
    problems = check(path.read_text(encoding="utf-8"))
    for problem in problems:
        sys.stderr.write(f"{path}: {problem}\n")
    return 1 if problems else 0


def _reaches(policy: Policy, src: str, target: str, proto: Protocol) -> bool:
    tag, port = split_port(target)
    return port in policy.reachable(src, tag, proto)


def _shorten(ports: set[int] | frozenset[int]) -> str:
    shown = ", ".join(str(port) for port in sorted(ports)[:4])
    return shown if len(ports) <= 4 else f"{shown} and {len(ports) - 4} more"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
