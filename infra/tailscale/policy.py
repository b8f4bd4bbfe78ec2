"""The tailnet policy file as data: what it may say, and whether one machine may reach another under it.

Only the forms whose meaning can be computed here are accepted: sources are declared tags and groups, destinations are
declared tags, ports name their protocol. Wildcards, device postures, routes and the older `acls` are refused instead of
being guessed at, so that "allowed" and "denied" below are what Tailscale itself would decide.
"""

import json
import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Protocol = Literal["tcp", "udp"]
Tag = Annotated[str, StringConstraints(pattern=r"^tag:[a-z][a-z0-9-]*$")]
Group = Annotated[str, StringConstraints(pattern=r"^group:[a-z][a-z0-9-]*$")]
Source = Annotated[str, StringConstraints(pattern=r"^(tag|group):[a-z][a-z0-9-]*$")]
PortRange = Annotated[str, StringConstraints(pattern=r"^(tcp|udp):\d{1,5}(-\d{1,5})?$")]
HostPort = Annotated[str, StringConstraints(pattern=r"^tag:[a-z][a-z0-9-]*:\d{1,5}$")]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s:]+@[^@\s:]+$")]

# A string is matched first, so that "//" inside one is not taken for a comment.
_COMMENT = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])')


class PolicyError(Exception):
    """The policy cannot be read, or says something that is refused. The text is for the person who edits the file."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Grant(_Section):
    """Every source may reach every destination on every listed port. Grants only ever add."""

    src: tuple[Source, ...] = Field(min_length=1)
    dst: tuple[Tag, ...] = Field(min_length=1)
    ip: tuple[PortRange, ...] = Field(min_length=1)

    def ports(self, proto: Protocol) -> Iterator[range]:
        """The granted port ranges of one protocol."""
        for entry in self.ip:
            name, _, ports = entry.partition(":")
            first, _, last = ports.partition("-")
            if name == proto:
                yield range(int(first), int(last or first) + 1)


class Expectation(_Section):
    """What one source must and must not reach, as Tailscale evaluates it when the file is saved."""

    src: Source
    proto: Protocol
    accept: tuple[HostPort, ...] = ()
    deny: tuple[HostPort, ...] = ()


class Policy(_Section):
    """A whole policy file. `grants` has no default: without it Tailscale allows everything."""

    groups: dict[Group, tuple[Email, ...]]
    tag_owners: dict[Tag, tuple[Source, ...]] = Field(alias="tagOwners")
    grants: tuple[Grant, ...]
    tests: tuple[Expectation, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_declared(self) -> Self:
        for where, name in self._mentioned():
            if name not in self.tag_owners and name not in self.groups:
                raise ValueError(f"{where} names {name}, which neither tagOwners nor groups declares")
        for grant in self.grants:
            for ports in [*grant.ports("tcp"), *grant.ports("udp")]:
                if not ports or ports.start < 1 or ports.stop > 65536:
                    raise ValueError(f"grants: {', '.join(grant.ip)} is not a range of ports within 1-65535")
        return self

    def _mentioned(self) -> Iterator[tuple[str, str]]:
        for tag, owners in self.tag_owners.items():
            yield from ((f"tagOwners.{tag}", owner) for owner in owners)
        for grant in self.grants:
            yield from (("grants", name) for name in (*grant.src, *grant.dst))
        for test in self.tests:
            yield "tests", test.src
            yield from (("tests", split_port(target)[0]) for target in (*test.accept, *test.deny))

    @property
    def sources(self) -> tuple[str, ...]:
        """Everybody who can open a connection: machines by tag, people by group."""
        return (*self.tag_owners, *self.groups)

    def reachable(self, src: str, dst: str, proto: Protocol) -> frozenset[int]:
        """The ports of `dst` that `src` may open a connection to."""
        granted = (grant for grant in self.grants if src in grant.src and dst in grant.dst)
        return frozenset(port for grant in granted for ports in grant.ports(proto) for port in ports)


def split_port(target: str) -> tuple[str, int]:
    """`tag:scout-cluster:8080` as its tag and its port."""
    tag, _, port = target.rpartition(":")
    return tag, int(port)


def parse(text: str) -> Policy:
    """Read a HuJSON policy: JSON plus comments and trailing commas, nothing else.

    JSON5 would be the nearest format with a library, but it is wider (bare keys, single quotes) and lets a key be given
    twice, the last one winning in silence: a second "grants" must not hide the first from a reader.

    Raises:
        PolicyError: not HuJSON, an unknown or repeated key, or a form that is not understood here.
    """
    without_comments = _COMMENT.sub(lambda match: match[1] or " ", text)
    try:
        tree = json.loads(
            _TRAILING_COMMA.sub(lambda match: match[1] or "", without_comments), object_pairs_hook=_no_repeated_key
        )
        return Policy.model_validate(tree)
    except ValueError as exc:
        raise PolicyError(str(exc)) from exc


def _no_repeated_key(pairs: list[tuple[str, object]]) -> dict[str, object]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is given twice")
    return tree
