import os
from pathlib import Path

import pytest

from inference.marks import NginxEdge
from infra.local.keys import ensure_keys
from infra.local.nginx_prefix import PrefixFailed, account_for, prepare
from infra.local.plan import NOBODY, nginx_prefix
from infra.local.settings import NginxAccount, StackSettings
from infra.local.state import StateDir
from tests.unit.infra.local.supervised import ROOT

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give its rights up")


@pytest.fixture
def settings(tmp_path: Path) -> StackSettings:
    state = StateDir(tmp_path / "state")
    state.prepare()
    ensure_keys(state.keys)
    return StackSettings(root=ROOT, state_dir=state.path, engine_python=ROOT)


def test_prefix_has_the_configuration_the_site_and_the_keys(settings: StackSettings) -> None:
    prepare(settings)
    prefix = nginx_prefix(settings.state_dir)
    assert (prefix / "nginx.conf").exists()
    assert "listen 127.0.0.1:8083" in (prefix / "site.conf").read_text()
    assert settings.state_dir.joinpath("keys/onprem-keys").read_text().strip() in (prefix / "keys/keys.map").read_text()


def test_a_new_stack_has_no_mark_of_an_earlier_one(settings: StackSettings) -> None:
    prepare(settings)
    NginxEdge(nginx_prefix(settings.state_dir)).mark(1)
    prepare(settings)
    assert " down;" not in (nginx_prefix(settings.state_dir) / "marks/balanced.conf").read_text()


def test_what_nginx_refuses_is_told_in_its_own_words(settings: StackSettings) -> None:
    StateDir(settings.state_dir).keys.onprem.write_text("short\n")
    with pytest.raises(PrefixFailed, match="onprem-keys, line 1"):
        prepare(settings)


@as_root
def test_prefix_of_nobody_belongs_to_nobody(settings: StackSettings) -> None:
    prepare(settings.model_copy(update={"nginx_account": NginxAccount.NOBODY}))
    prefix = nginx_prefix(settings.state_dir)
    assert {path.stat().st_uid for path in [prefix, *prefix.rglob("*")]} == {NOBODY}
    assert StateDir(settings.state_dir).log("nginx").stat().st_uid == NOBODY


@as_root
def test_root_becomes_nobody_only_where_nobody_may_enter(tmp_path: Path) -> None:
    # pytest's own directory is closed to others.
    assert account_for(tmp_path) is NginxAccount.ROOT
    assert account_for(Path("/tmp")) is NginxAccount.NOBODY  # noqa: S108


def test_others_keep_their_own_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert account_for(tmp_path) is NginxAccount.SAME
