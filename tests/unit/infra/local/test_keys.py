import stat
from pathlib import Path

import pytest

from infra.local.keys import ensure_keys, first_key
from infra.local.plan import key_files


def test_keys_are_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    files = key_files(tmp_path)
    ensure_keys(files)
    paths = (files.clients, files.admin, files.onprem, files.engine)
    keys = [first_key(path) for path in paths]
    assert len(set(keys)) == 4 and all(len(key) >= 32 for key in keys)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").iterdir()} == {0o600}
    ensure_keys(files)
    assert [first_key(path) for path in paths] == keys


def test_first_key_skips_comments_and_names(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# rotated in May\n\ngateway sk-first\nsk-second\n")
    assert first_key(path) == "sk-first"


def test_file_without_a_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# nothing\n")
    with pytest.raises(ValueError, match="holds no key"):
        first_key(path)
