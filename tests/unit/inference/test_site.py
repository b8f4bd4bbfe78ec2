import re
import stat
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from inference.errors import InferenceError, ProfileNotFound
from inference.nginx_keys import KeysInvalid
from inference.site import STATIC_FILES, Site, SiteInvalid, main, prepare_prefix, render_site

THREE = ("replica-0:8000", "replica-1:8000", "replica-2:8000")
ON_PREM = [
    *(word for engine in THREE for word in ("--engine", engine)),
    *("--host", "0.0.0.0"),
    *("--monitor", "100.64.0.0/10", "--monitor", "fd7a:115c:a1e0::/48"),
    *("--profile", "llama-70b-awq-tp1"),
]
KEY = "sk-0123456789abcdef"


def _directives(text: str) -> list[str]:
    """The lines that nginx reads, each once blanks are evened out."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def test_each_replica_has_its_port_and_all_share_the_balanced_one() -> None:
    lines = _directives(render_site(Site(engines=THREE, listen_port=9000, replica_port=9100)))
    assert lines[:4] == ["upstream balanced {", "zone balanced 256k;", "least_conn;", "include marks/balanced.conf;"]
    for index, engine in enumerate(THREE):
        at = lines.index(f"upstream replica_{index} {{")
        assert lines[at + 1] == f"server {engine};"
        assert f"{9100 + index} replica_{index};" in lines
    assert "9000 balanced;" in lines
    listens = [line.split()[1] for line in lines if line.startswith("listen ")]
    assert listens == ["127.0.0.1:9000", "127.0.0.1:9100", "127.0.0.1:9101", "127.0.0.1:9102"]


def test_limits_and_networks_come_from_the_site() -> None:
    site = Site.model_validate(
        {"engines": THREE, "read_timeout_s": 7, "max_body": "512k", "monitors": ("10.1.2.0/24", "fd00::/8")}
    )
    lines = _directives(render_site(site))
    assert {"proxy_read_timeout 7s;", "client_max_body_size 512k;", "client_body_buffer_size 512k;"} <= set(lines)
    at = lines.index("geo $monitoring_network {")
    assert lines[at + 1 : at + 5] == ["default 0;", "10.1.2.0/24 1;", "fd00::/8 1;", "}"]


def test_an_ipv6_address_is_put_in_brackets() -> None:
    assert "listen [::1]:8080 " in render_site(Site(engines=("[::1]:8000",), host=IPv6Address("::1")))


def test_the_default_listens_on_loopback_alone_and_opens_metrics_to_nobody() -> None:
    site = Site(engines=THREE)
    assert (site.host, site.monitors) == (IPv4Address("127.0.0.1"), ())
    assert (site.listen_port, list(site.replica_ports)) == (8080, [8081, 8082, 8083])


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        pytest.param({"engines": ()}, "at least 1", id="no replica"),
        pytest.param({"engines": ("replica-0",)}, "not HOST:PORT", id="no port"),
        pytest.param({"engines": ("replica-0:0",)}, "not HOST:PORT", id="port 0"),
        pytest.param({"engines": ("replica-0:70000",)}, "not HOST:PORT", id="port 70000"),
        pytest.param({"engines": ("a:80; } server { listen 1",)}, "not HOST:PORT", id="nginx inside"),
        pytest.param({"engines": ("a:80\n",)}, "not HOST:PORT", id="line end"),
        pytest.param({"engines": ("$host:80",)}, "not HOST:PORT", id="variable"),
        pytest.param({"engines": ("a:80", "a:80")}, "twice the load", id="same replica twice"),
        pytest.param({"listen_port": 8082}, "also the port of a replica", id="ports collide"),
        pytest.param({"replica_port": 65534}, "leaves no port", id="ports run out"),
        pytest.param({"listen_port": 0}, "greater than or equal to 1", id="listen on 0"),
        pytest.param({"host": "localhost"}, "not a valid IPv", id="name as address"),
        pytest.param({"monitors": ("100.64.0.1/10",)}, "not a valid IPv", id="network with host bits"),
        pytest.param({"monitors": ("10.0.0.0/8", "10.0.0.0/8")}, "stands there twice", id="network twice"),
        pytest.param({"max_body": "16M; deny all"}, "should match pattern", id="size with more"),
        pytest.param({"max_body": "0k"}, "should match pattern", id="size 0, which nginx takes for no limit"),
        pytest.param({"read_timeout_s": 0}, "greater than or equal to 1", id="no time"),
        pytest.param({"colour": "red"}, "Extra inputs", id="unknown key"),
    ],
)
def test_a_site_that_could_not_work_is_refused(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(complaint)):
        Site.model_validate({"engines": THREE, **given})


def test_the_committed_site_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(ON_PREM) == 0
    assert capsys.readouterr().out == (STATIC_FILES / "site.onprem.conf").read_text()


def test_the_read_timeout_comes_from_the_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (STATIC_FILES.parent / "profiles" / "standin-cpu.toml").read_text()
    changed = tmp_path / "patient.toml"
    changed.write_text(re.sub(r"(?m)^request_timeout_s = \d+", "request_timeout_s = 77", text))
    assert main(["--engine", "a:1", "--profile", str(changed)]) == 0
    assert "proxy_read_timeout 77s;" in capsys.readouterr().out


def test_one_command_writes_a_whole_prefix(tmp_path: Path) -> None:
    (tmp_path / "clients").write_text(f"gateway {KEY}\n")
    (tmp_path / "engine").write_text(f"{KEY[::-1]}\n")
    out = tmp_path / "deep" / "prefix"
    keys = ["--keys-file", str(tmp_path / "clients"), "--engine-key-file", str(tmp_path / "engine")]
    assert main(["--out", str(out), "--engine", "127.0.0.1:8091", *keys]) == 0
    assert (out / "site.conf").read_text() == render_site(Site(engines=("127.0.0.1:8091",)))
    assert (out / "nginx.conf").read_text() == (STATIC_FILES / "nginx.conf").read_text()
    assert (out / "conf.d" / "server" / "paths.conf").is_file()
    assert f"{KEY}$" in (out / "keys" / "keys.map").read_text()
    assert f"Bearer {KEY[::-1]}" in (out / "keys" / "engine-key.conf").read_text()
    assert stat.S_IMODE((out / "keys").stat().st_mode) == 0o700
    assert "server 127.0.0.1:8091 " in (out / "marks" / "balanced.conf").read_text()
    assert (out / "runtime").is_dir()


def test_without_the_site_only_the_servers_of_the_balanced_port_and_the_keys_are_written(tmp_path: Path) -> None:
    (tmp_path / "clients").write_text(f"gateway {KEY}\n")
    out = tmp_path / "prefix"
    argv = ["--out", str(out), "--no-site", "--engine", "a:1", "--engine", "b:1"]
    assert main([*argv, "--keys-file", str(tmp_path / "clients")]) == 0
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()) == [
        "keys/keys.map",
        "marks/balanced.conf",
    ]


def test_keys_alone_are_replaced_without_touching_the_site(tmp_path: Path) -> None:
    prepare_prefix(tmp_path / "prefix", Site(engines=THREE, listen_port=9999))
    before = (tmp_path / "prefix" / "site.conf").read_text()
    (tmp_path / "clients").write_text(KEY)
    assert main(["--out", str(tmp_path / "prefix"), "--keys-file", str(tmp_path / "clients")]) == 0
    assert (tmp_path / "prefix" / "site.conf").read_text() == before
    assert KEY in (tmp_path / "prefix" / "keys" / "keys.map").read_text()


def test_preparing_again_keeps_keys_and_removes_files_of_an_earlier_version(tmp_path: Path) -> None:
    prepare_prefix(tmp_path, Site(engines=THREE))
    (tmp_path / "keys" / "keys.map").write_text("kept")
    stale = tmp_path / "conf.d" / "http" / "removed-since.conf"
    stale.write_text("proxy_buffering on;")
    prepare_prefix(tmp_path, Site(engines=THREE[:1]))
    assert not stale.exists()
    assert (tmp_path / "keys" / "keys.map").read_text() == "kept"
    assert "replica_1" not in (tmp_path / "site.conf").read_text()


@pytest.mark.parametrize(
    ("argv", "error", "complaint"),
    [
        pytest.param([], SiteInvalid, "without --out", id="nothing"),
        pytest.param(["--out", "{tmp}/p"], SiteInvalid, "nothing to write", id="out alone"),
        pytest.param(["--engine", "a:1", "--keys-file", "{tmp}/keys"], SiteInvalid, "without --out", id="keys, no out"),
        pytest.param(["--engine", "a"], SiteInvalid, "engines.0: ", id="bad engine"),
        pytest.param(["--engine", "a:1", "--listen-port", "8081"], SiteInvalid, "also the port", id="ports collide"),
        pytest.param(["--engine", "a:1", "--profile", "no-such"], ProfileNotFound, "no-such", id="no such profile"),
        pytest.param(["--out", "{tmp}/p", "--no-site"], SiteInvalid, "is for --engine", id="no site of nothing"),
        pytest.param(["--out", "{tmp}/p", "--keys-file", "{tmp}/none"], SiteInvalid, "cannot be read", id="no file"),
        pytest.param(["--out", "{tmp}/p", "--keys-file", "{tmp}/bad"], KeysInvalid, "bad, line 1", id="bad key"),
    ],
)
def test_a_mistake_is_one_error_and_changes_nothing(
    tmp_path: Path, argv: list[str], error: type[InferenceError], complaint: str
) -> None:
    (tmp_path / "keys").write_text(KEY)
    (tmp_path / "bad").write_text("short")
    with pytest.raises(error, match=complaint):
        main([word.format(tmp=tmp_path) for word in argv])
    assert not (tmp_path / "p").exists()
