"""What is missing is said before vLLM is started."""

import sys
from pathlib import Path

import pytest

from inference import launcher
from inference.errors import EngineMissing, KeyMissing, ModelMissing
from inference.nginx_keys import KeysInvalid
from inference.profile import load_profile


def _interpreter(folder: Path, exit_code: int) -> str:
    """A program in the place of a Python that answers the question for vLLM."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\nexit {exit_code}\n")
    path.chmod(0o755)
    return str(path)


def test_the_engines_interpreter_is_our_own_unless_named():
    assert launcher.engine_interpreter({}) == sys.executable
    assert launcher.engine_interpreter({"SCOUT_ENGINE_PYTHON": ""}) == sys.executable


def test_a_named_interpreter_becomes_absolute_and_stays_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # Following the link of a virtual environment would lead to a Python that knows nothing of it.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    assert launcher.engine_interpreter({"SCOUT_ENGINE_PYTHON": "bin/python"}) == str(tmp_path / "bin" / "python")


def test_an_interpreter_given_by_name_is_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _interpreter(tmp_path, 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert launcher.engine_interpreter({"SCOUT_ENGINE_PYTHON": "python"}) == str(tmp_path / "python")


def test_an_interpreter_with_vllm_is_accepted(tmp_path: Path):
    launcher.require_engine(_interpreter(tmp_path, 0))


def test_an_interpreter_without_vllm_is_refused_with_the_variable_to_set(tmp_path: Path):
    with pytest.raises(EngineMissing, match=r"has no vLLM.*SCOUT_ENGINE_PYTHON"):
        launcher.require_engine(_interpreter(tmp_path, 1))


def test_our_own_interpreter_is_really_asked_for_vllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # Put to a real Python, the question tells a package that is there from one that is not, and imports neither.
    with pytest.raises(EngineMissing):
        launcher.require_engine(sys.executable)
    (tmp_path / "vllm").mkdir()
    (tmp_path / "vllm" / "__init__.py").write_text("raise SystemExit('imported, which would take seconds')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    launcher.require_engine(sys.executable)


def test_an_interpreter_that_cannot_run_is_refused(tmp_path: Path):
    with pytest.raises(EngineMissing, match="No such file"):
        launcher.require_engine(str(tmp_path / "nothing"))


@pytest.mark.parametrize("environ", [{}, {"VLLM_API_KEY": ""}, {"VLLM_API_KEY": "  "}])
def test_no_key_is_a_refusal(environ: dict[str, str]):
    with pytest.raises(KeyMissing, match="--no-key"):
        launcher.require_key(environ)


def test_a_key_in_the_environment_is_enough():
    launcher.require_key({"VLLM_API_KEY": "k"})


def test_a_folder_with_a_checkpoint_is_accepted(tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    launcher.require_model(load_profile("standin-cpu"), tmp_path)


def test_a_missing_folder_is_answered_with_where_to_get_the_weights(tmp_path: Path):
    with pytest.raises(
        ModelMissing, match=r"does not exist.*--model-dir.*hf download nvidia/Llama-3.3-70B-Instruct-FP8 --revision"
    ):
        launcher.require_model(load_profile("llama-70b-fp8-tp2"), tmp_path / "none")


def test_a_folder_without_a_checkpoint_is_told_apart_from_no_folder(tmp_path: Path):
    with pytest.raises(ModelMissing, match=r"has no config\.json"):
        launcher.require_model(load_profile("standin-cpu"), tmp_path)


def test_a_key_in_a_file_is_put_where_vllm_reads_it(tmp_path: Path):
    file = tmp_path / "engine_key"
    file.write_text("# towards vLLM\nsk-engine-0123456789abcdef\n")
    environ = launcher.key_from_file({"VLLM_API_KEY_FILE": str(file), "HOME": "/"})
    assert (environ["VLLM_API_KEY"], environ["HOME"]) == ("sk-engine-0123456789abcdef", "/")
    launcher.require_key(environ)


def test_without_a_file_the_environment_stays_as_it_is():
    assert launcher.key_from_file({"VLLM_API_KEY": "a", "HOME": "/"}) == {"VLLM_API_KEY": "a", "HOME": "/"}


def test_a_key_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(KeyMissing, match=r"VLLM_API_KEY_FILE: .*nowhere"):
        launcher.key_from_file({"VLLM_API_KEY_FILE": str(tmp_path / "nowhere")})


def test_a_key_file_without_a_key_is_no_open_engine(tmp_path: Path):
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(KeysInvalid, match="no key in it"):
        launcher.key_from_file({"VLLM_API_KEY_FILE": str(tmp_path / "empty")})


def test_a_key_given_twice_is_a_refusal(tmp_path: Path):
    with pytest.raises(KeyMissing, match="both set"):
        launcher.key_from_file({"VLLM_API_KEY": "a", "VLLM_API_KEY_FILE": str(tmp_path)})
