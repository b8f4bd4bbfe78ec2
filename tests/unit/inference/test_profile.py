"""Profiles are refused for what is wrong in them, in words that lead to it; those we ship say what we promise."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from inference.errors import ProfileInvalid, ProfileNotFound
from inference.profile import PROFILES_DIR, Profile, Section, load_profile, profile_names

CPU_PROFILE = """
description = "a profile for tests"
device = "cpu"
[model]
path = "weights"
attention_heads = 6
[limits]
max_model_len = 4096
max_num_batched_tokens = 2048
[memory]
kv_cache_mib = 128
[cpu]
[engine]
shutdown_timeout_s = 0
"""


@pytest.fixture
def write(tmp_path: Path):
    def _write(text: str = CPU_PROFILE, name: str = "mine") -> str:
        path = tmp_path / f"{name}.toml"
        path.write_text(text)
        return str(path)

    return _write


def _sections(section: type[BaseModel] = Profile) -> list[type[BaseModel]]:
    kinds = [field.annotation for field in section.model_fields.values()]
    return [section] + [
        found for kind in kinds if isinstance(kind, type) and issubclass(kind, Section) for found in _sections(kind)
    ]


@pytest.mark.parametrize("name", profile_names())
def test_every_shipped_profile_loads_under_the_name_of_its_file(name: str):
    assert load_profile(name).name == name


@pytest.mark.parametrize("name", profile_names())
def test_every_shipped_profile_keeps_the_promised_limits(name: str):
    profile = load_profile(name)
    assert profile.limits.max_concurrent_requests == 10
    assert profile.limits.request_timeout_s == 30
    assert profile.model.served_name == "llama-70b-scout"


@pytest.mark.parametrize("name", [name for name in profile_names() if name.startswith("llama-70b")])
def test_ten_full_length_conversations_fit_into_the_cache_of_every_gpu_profile(name: str):
    # The arithmetic that each file states: 0.9 of 79 GiB a GPU, less weights and 2.5 GiB, over 320 KiB a token.
    weights_gib = {"awq": 37.0, "fp8": 67.7, "bf16": 131.4}[name.split("-")[2]]
    profile = load_profile(name)
    gpus = profile.parallelism.tensor_parallel_size
    assert profile.memory.gpu_memory_utilization is not None
    room_gib = gpus * (profile.memory.gpu_memory_utilization * 79 - 2.5) - weights_gib
    tokens = room_gib * 2**30 / (320 * 2**10)
    assert tokens >= profile.limits.max_concurrent_requests * profile.limits.max_model_len


def test_the_shipped_profiles_are_the_six_we_document():
    assert profile_names() == [
        "llama-70b-awq-tp1",
        "llama-70b-bf16-tp4",
        "llama-70b-fp8-tp2",
        "standin-cpu",
        "standin-cpu-int8",
        "standin-cpu-tp2",
    ]


def test_a_profile_is_found_by_path_as_well(write):
    assert load_profile(write(name="elsewhere")).name == "elsewhere"


def test_relative_paths_start_at_the_folder_of_the_profile(write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write(CPU_PROFILE.replace('"weights"', '"../weights"\nchat_template = "chat.jinja"'))
    monkeypatch.chdir("/")
    model = load_profile(path).model
    assert model.path == tmp_path.parent / "weights"
    assert model.chat_template == tmp_path / "chat.jinja"


def test_absolute_paths_stay_as_they_are(write):
    assert load_profile(write(CPU_PROFILE.replace('"weights"', '"/models/llama"'))).model.path == Path("/models/llama")


def test_an_unknown_name_is_answered_with_the_names_there_are():
    with pytest.raises(ProfileNotFound) as caught:
        load_profile("standin-gpu")
    assert "did you mean 'standin-cpu'" in str(caught.value)
    assert all(name in str(caught.value) for name in profile_names())


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ProfileNotFound, match=re.escape(str(tmp_path / "none.toml"))):
        load_profile(str(tmp_path / "none.toml"))


def test_text_that_is_not_toml_is_refused_with_the_line(write):
    path = write(CPU_PROFILE + "dtype = \n")
    with pytest.raises(ProfileInvalid, match=rf"{re.escape(path)}.*line 15"):
        load_profile(path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        pytest.param(
            ("max_model_len", "max_model_length"),
            "limits.max_model_length: unknown key (did you mean 'max_model_len'?)",
            id="misspelt",
        ),
        pytest.param(("max_model_len = 4096", ""), "limits.max_model_len: missing", id="missing"),
        pytest.param(
            ("4096", '"4096"'), "limits.max_model_len: Input should be a valid integer", id="text for a number"
        ),
        pytest.param(
            ("4096", "true"), "limits.max_model_len: Input should be a valid integer", id="truth for a number"
        ),
        pytest.param(
            ("4096", "0"), "limits.max_model_len: Input should be greater than or equal to 1", id="out of range"
        ),
        pytest.param(('"cpu"', '"tpu"'), "device: Input should be 'cpu' or 'cuda'", id="unknown device"),
        pytest.param(("[cpu]", "[cpu]\ncores = 2"), "cpu.cores: unknown key", id="unknown key in an optional table"),
        pytest.param(("[cpu]", "[gpu]\n[cpu]"), "gpu: unknown key (did you mean 'cpu'?)", id="unknown table"),
        pytest.param(
            ("attention_heads = 6", 'attention_heads = 6\nrevision = "main"'),
            "model.revision: String should match",
            id="branch",
        ),
        pytest.param(("device", 'name = "x"\ndevice'), "name: not a key of the file", id="name"),
        pytest.param(
            ("[cpu]", "[environment]\nDEBUG = 1\n[cpu]"),
            "environment.DEBUG: Input should be a valid string",
            id="environment",
        ),
        pytest.param(("[cpu]", ""), "a profile for cpu needs", id="no threads"),
        pytest.param(("kv_cache_mib = 128", ""), "a profile for cpu needs", id="no cache size"),
        pytest.param(('"cpu"', '"cuda"'), "a profile for cuda needs", id="cpu settings on cuda"),
        pytest.param(
            ("kv_cache_mib = 128", "kv_cache_mib = 128\ngpu_memory_utilization = 0.9"),
            "exclude each other",
            id="two sizes",
        ),
        pytest.param(
            ("[cpu]", "[parallelism]\ntensor_parallel_size = 4\n[cpu]"), "does not divide the model's 6", id="heads"
        ),
        pytest.param(
            ("[limits]", "[limits]\nmax_queued_requests = 9"), "counts running requests too", id="queue below batch"
        ),
        pytest.param(
            ("[engine]", "[engine]\nsse_keep_alive_s = 30"), "below limits.request_timeout_s", id="late keep-alive"
        ),
        pytest.param(
            ("[engine]", "[engine]\nhttp_keep_alive_s = 60"),
            "http_keep_alive_s: Input should be greater than 60",
            id="keep-alive race",
        ),
    ],
)
def test_what_is_wrong_is_refused_with_the_file_and_the_path_of_the_key(write, change: tuple[str, str], complaint: str):
    path = write(CPU_PROFILE.replace(*change, 1))
    with pytest.raises(ProfileInvalid) as caught:
        load_profile(path)
    assert f"{path}: " in str(caught.value)
    assert complaint in str(caught.value)


def test_all_complaints_come_at_once(write):
    text = CPU_PROFILE.replace("kv_cache_mib", "kv_cache_mb").replace("4096", "-1")
    with pytest.raises(ProfileInvalid) as caught:
        load_profile(write(text))
    assert len(str(caught.value).splitlines()) == 2


def test_a_profile_cannot_be_changed_after_it_was_checked(write):
    profile = load_profile(write())
    with pytest.raises(ValidationError, match="frozen"):
        profile.limits.max_model_len = 1


@pytest.mark.parametrize("section", _sections(), ids=lambda section: section.__name__)
def test_every_setting_is_described(section: type[BaseModel]):
    undescribed = [
        name
        for name, field in section.model_fields.items()
        if not field.description and not (isinstance(field.annotation, type) and issubclass(field.annotation, Section))
    ]
    assert undescribed == []


def test_profiles_lie_beside_the_module_that_reads_them():
    assert PROFILES_DIR.is_dir()
