import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import crossplane
import pytest

from inference.site import STATIC_FILES
from tests.contract.nginx.conftest import start_cluster
from tests.contract.nginx.edge import GATEWAY_KEY, prepared_edge, running_edge
from tests.contract.nginx.upstream import Upstream

Block = list[dict[str, Any]]

ENGINES = ("127.0.0.1:8091", "127.0.0.1:8092", "127.0.0.1:8093")


@pytest.fixture(scope="module")
def directives() -> Iterator[Block]:
    """The whole configuration, includes and all, as nginx reads it; every file of it is known to be valid."""
    with prepared_edge(engines=ENGINES, monitors=("100.64.0.0/10", "fd7a:115c:a1e0::/48")) as edge:
        parsed = crossplane.parse(str(edge.prefix / "nginx.conf"), combine=True)
        assert parsed["errors"] == []
        (config,) = parsed["config"]
        yield config["parsed"]


def _walk(block: Block, inherited: dict[str, list[str]]) -> Iterator[tuple[dict[str, Any], dict[str, list[str]]]]:
    """Every directive, with what holds at its level: its own block's settings, else those of the blocks around."""
    here = {**inherited, **{each["directive"]: each["args"] for each in block if "block" not in each}}
    for each in block:
        yield each, here
        yield from _walk(each.get("block", []), here)


def _all(directives: Block, name: str) -> list[tuple[dict[str, Any], dict[str, list[str]]]]:
    return [(each, here) for each, here in _walk(directives, {}) if each["directive"] == name]


def _proxied(directives: Block) -> dict[str, dict[str, list[str]]]:
    """For each path that is passed on: what holds in its location."""
    return {
        location["args"][-1]: here
        for location, around in _all(directives, "location")
        for each, here in _walk(location["block"], around)
        if each["directive"] == "proxy_pass"
    }


def test_every_proxied_location_streams(directives: Block) -> None:
    proxied = _proxied(directives)
    assert len(proxied) == len(_all(directives, "proxy_pass")) == 5
    for here in proxied.values():
        assert here["proxy_pass"] == ["http://$replicas"]
        assert here["proxy_buffering"] == ["off"]
        assert here["proxy_cache"] == ["off"]
        assert here["proxy_http_version"] == ["1.1"]
        assert here["proxy_ignore_client_abort"] == ["off"]
        assert here["proxy_intercept_errors"] == ["off"]
        assert here["proxy_next_upstream"] == ["error", "timeout"]
        assert here["proxy_read_timeout"] == ["30s"]


def test_nothing_but_the_metrics_is_compressed(directives: Block) -> None:
    assert {path: here["gzip"] for path, here in _proxied(directives).items() if here["gzip"] != ["off"]} == {
        "/metrics": ["on"]
    }


def test_headers_to_the_engine_are_set_at_one_level_only(directives: Block) -> None:
    (http,) = [each for each in directives if each["directive"] == "http"]
    at_http_level = [each["args"] for each in http["block"] if each["directive"] == "proxy_set_header"]
    assert [each["args"] for each, _ in _all(directives, "proxy_set_header")] == at_http_level
    assert [args[0] for args in at_http_level].count("Authorization") == 1


def test_only_five_exact_paths_are_proxied(directives: Block) -> None:
    locations = {tuple(each["args"]): each["block"] for each, _ in _all(directives, "location")}
    proxied = {args for args, block in locations.items() if any(each["directive"] == "proxy_pass" for each in block)}
    paths = ("/v1/chat/completions", "/v1/completions", "/v1/models", "/health", "/metrics")
    assert proxied == {("=", path) for path in paths}
    assert set(locations) - proxied == {("/",), ("=", "/_error")}


def test_idle_connections_to_the_engine_are_dropped_before_the_engine_drops_them(
    directives: Block,
) -> None:
    groups = [each for each in directives[-1]["block"] if each["directive"] == "upstream"]
    assert [each["args"] for each in groups] == [["balanced"], ["replica_0"], ["replica_1"], ["replica_2"]]
    for group in groups:
        settings = {each["directive"]: each["args"] for each in group["block"]}
        assert settings["keepalive_timeout"] == ["60s"]  # profiles: engine.http_keep_alive_s > 60
        assert settings["keepalive"] == ["64"]


def test_there_is_no_user_directive_and_nothing_is_written_outside_the_prefix(directives: Block) -> None:
    assert _all(directives, "user") == []
    paths = (
        "pid",
        "client_body_temp_path",
        "proxy_temp_path",
        "fastcgi_temp_path",
        "uwsgi_temp_path",
        "scgi_temp_path",
    )
    written = [each["args"][0] for name in paths for each, _ in _all(directives, name)]
    assert len(written) == 6
    assert all(path.startswith("runtime/") for path in written)


@pytest.mark.parametrize(
    "site",
    [
        pytest.param({"engines": ENGINES[:1]}, id="one replica"),
        pytest.param({"engines": ENGINES, "host": "0.0.0.0", "monitors": ("100.64.0.0/10",)}, id="all interfaces"),
        pytest.param({"engines": ("[::1]:8091",), "host": "::1"}, id="IPv6"),
        pytest.param({"engines": tuple(f"localhost:{port}" for port in range(9000, 9040))}, id="forty replicas"),
    ],
)
def test_nginx_accepts_every_kind_of_site_without_a_warning(site: dict[str, Any]) -> None:
    with prepared_edge(**site) as edge:
        edge.hand_over()
        (edge.prefix.parent / "out").touch()
        with (edge.prefix.parent / "out").open("w") as out:
            os.fchown(out.fileno(), *(edge.prefix.stat().st_uid, -1))
            tested = subprocess.run(edge.command("-t"), stdout=out, stderr=subprocess.PIPE, text=True, check=False)
    assert (tested.returncode, tested.stderr.count("\n")) == (0, 2), tested.stderr
    assert "[warn]" not in tested.stderr


def test_nginx_runs_as_nobody_in_particular(stack: ExitStack) -> None:
    edge = start_cluster(stack).edge
    assert edge.ask(edge.balanced, body=b"x" * 100_000).status == 200
    users = {(process.uids().effective, process.gids().effective) for process in edge.processes()}
    assert len(edge.processes()) == 3
    assert all(user != 0 and group != 0 for user, group in users)
    assert "[warn]" not in edge.error_log.read_text()


def test_nginx_writes_nowhere_but_in_runtime(stack: ExitStack) -> None:
    replica = Upstream()
    stack.callback(replica.stop)
    edge = stack.enter_context(prepared_edge(engines=(replica.address,)))
    edge.hand_over()
    folders = [path for path in (edge.prefix, *edge.prefix.rglob("*")) if path.is_dir() and path.name != "runtime"]
    for folder in folders:
        folder.chmod(0o500)
    stack.callback(_make_writable, folders)
    _start_as_it_is(stack, edge)
    assert edge.ask(edge.balanced, body=b"x" * 1_000_000).status == 200


def test_two_stacks_run_side_by_side(stack: ExitStack) -> None:
    first, second = start_cluster(stack), start_cluster(stack)
    for cluster in (first, second):
        assert cluster.edge.ask(cluster.edge.balanced).status == 200
    assert (first.received(), second.received()) == (1, 1)


def test_without_its_keys_nginx_does_not_start() -> None:
    for name in ("keys.map", "engine-key.conf"):
        with prepared_edge(engines=ENGINES) as edge:
            (edge.prefix / "keys" / name).unlink()
            edge.hand_over()
            tested = subprocess.run(edge.command("-t"), capture_output=True, text=True, check=False)
        assert tested.returncode != 0
        assert name in tested.stderr


def test_a_prefix_is_complete_and_its_secrets_are_its_owners_alone() -> None:
    with running_edge(engines=ENGINES) as edge:
        copied = {path.relative_to(edge.prefix) for path in edge.prefix.rglob("*.conf")}
        static = {path.relative_to(STATIC_FILES) for path in STATIC_FILES.rglob("*.conf")}
        assert copied == static - {Path("site.onprem.conf")} | {Path("site.conf"), Path("keys/engine-key.conf")} | {
            Path("marks/balanced.conf")
        }
        assert stat.S_IMODE((edge.prefix / "keys").stat().st_mode) == 0o700
        for secret in (edge.prefix / "keys").iterdir():
            assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        assert GATEWAY_KEY.key not in "".join(path.read_text() for path in edge.prefix.glob("*.conf"))


def _start_as_it_is(stack: ExitStack, edge: Any) -> None:
    edge.start()
    stack.callback(edge.stop)


def _make_writable(folders: list[Path]) -> None:
    for folder in folders:
        folder.chmod(0o700)
