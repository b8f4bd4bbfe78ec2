"""The command says what the profile says, and what is printed is what is executed."""

import json
import re
import shlex
from pathlib import Path

import pytest

from inference.command import ENTRY_POINT, Command, Placement, build_command, render
from inference.errors import ProfileInvalid
from inference.profile import Profile, load_profile, profile_names

PLACE = Placement(interpreter="/opt/engine/bin/python", host="127.0.0.1", port=8092)


def _changed(profile: Profile, **sections: dict[str, object]) -> Profile:
    data = profile.model_dump()
    for name, changes in sections.items():
        data[name] |= changes
    return Profile.model_validate(data)


def _option(command: Command, name: str) -> str:
    return command.argv[command.argv.index(name) + 1]


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_becomes_vllms_entry_point(name: str):
    command = build_command(load_profile(name), PLACE)
    assert command.argv[:3] == ("/opt/engine/bin/python", "-m", ENTRY_POINT)


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_keeps_the_engine_silent_towards_the_outside(name: str):
    environment = build_command(load_profile(name), PLACE).environment
    assert {environment[key] for key in ("HF_HUB_OFFLINE", "VLLM_NO_USAGE_STATS", "VLLM_DO_NOT_TRACK")} == {"1"}


def test_limits_become_admission_arguments():
    limits = {
        "max_concurrent_requests": 7,
        "max_queued_requests": 21,
        "max_model_len": 2048,
        "max_num_batched_tokens": 512,
    }
    command = build_command(_changed(load_profile("standin-cpu"), limits=limits), PLACE)
    assert _option(command, "--max-num-seqs") == "7"
    assert _option(command, "--max-num-queued-reqs") == "21"
    assert _option(command, "--max-model-len") == "2048"
    assert _option(command, "--max-num-batched-tokens") == "512"


def test_the_server_settings_that_others_rely_on_are_there():
    command = build_command(load_profile("llama-70b-fp8-tp2"), PLACE)
    flags = {
        "--enable-prompt-tokens-details",
        "--enable-request-id-headers",
        "--disable-fastapi-docs",
        "--enable-auto-tool-choice",
    }
    assert flags <= set(command.argv)
    assert _option(command, "--tool-call-parser") == "llama3_json"
    assert _option(command, "--scheduling-policy") == "priority"
    assert _option(command, "--fingerprint-mode") == "hash"
    assert _option(command, "--sse-keep-alive-interval") == "15"
    assert _option(command, "--stream-interval") == "1"
    assert _option(command, "--disable-access-log-for-endpoints") == "/health,/metrics,/ping"
    assert command.environment["VLLM_HTTP_TIMEOUT_KEEP_ALIVE"] == "75"
    assert command.environment["VLLM_MAX_N_SEQUENCES"] == "8"


def test_a_cpu_profile_fixes_cache_and_threads():
    command = build_command(load_profile("standin-cpu"), PLACE)
    assert _option(command, "--kv-cache-memory-bytes") == str(128 * 1024 * 1024)
    assert command.environment["OMP_NUM_THREADS"] == "1"
    assert command.environment["VLLM_CPU_OMP_THREADS_BIND"] == "nobind"
    assert "--gpu-memory-utilization" not in command.argv


def test_eager_cpu_replicas_compile_nothing_not_even_the_sampler():
    profile = load_profile("standin-cpu")
    assert build_command(profile, PLACE).environment["TORCHDYNAMO_DISABLE"] == "1"
    compiled = _changed(profile, engine={"enforce_eager": False})
    assert "TORCHDYNAMO_DISABLE" not in build_command(compiled, PLACE).environment
    assert "TORCHDYNAMO_DISABLE" not in build_command(load_profile("llama-70b-awq-tp1"), PLACE).environment


@pytest.mark.parametrize("name", profile_names())
def test_structured_answers_have_no_room_for_endless_blanks(name: str):
    config = json.loads(_option(build_command(load_profile(name), PLACE), "--structured-outputs-config"))
    assert config == {"backend": "xgrammar", "disable_any_whitespace": True}


def test_tools_that_may_not_be_called_are_kept_from_the_model():
    profile = load_profile("standin-cpu")
    assert "--exclude-tools-when-tool-choice-none" in build_command(profile, PLACE).argv
    without = _changed(profile, engine={"tool_call_parser": None})
    assert "--exclude-tools-when-tool-choice-none" not in build_command(without, PLACE).argv


def test_a_gpu_profile_carries_no_cpu_settings():
    command = build_command(load_profile("llama-70b-awq-tp1"), PLACE)
    assert _option(command, "--gpu-memory-utilization") == "0.9"
    assert "--kv-cache-memory-bytes" not in command.argv
    assert "--distributed-executor-backend" not in command.argv
    assert not {"OMP_NUM_THREADS", "VLLM_CPU_OMP_THREADS_BIND"} & set(command.environment)


def test_only_an_undivided_cpu_replica_computes_in_the_engine_core():
    assert "--distributed-executor-backend" in build_command(load_profile("standin-cpu"), PLACE).argv
    divided = build_command(load_profile("standin-cpu-tp2"), PLACE)
    assert "--distributed-executor-backend" not in divided.argv
    assert _option(divided, "--tensor-parallel-size") == "2"


@pytest.mark.parametrize("name", ["llama-70b-awq-tp1", "llama-70b-fp8-tp2", "standin-cpu-int8"])
def test_quantized_checkpoints_say_themselves_how(name: str):
    assert "--quantization" not in build_command(load_profile(name), PLACE).argv


def test_optional_arguments_appear_when_they_are_set_and_not_otherwise():
    base = load_profile("standin-cpu")
    without = {"enforce_eager": False, "tool_call_parser": None}
    bare = build_command(_changed(base, engine=without), PLACE).argv
    absent = {"--enforce-eager", "--enable-auto-tool-choice", "--tool-call-parser", "--chat-template", "--quantization"}
    assert not absent & set(bare)
    template = {"chat_template": Path("/etc/scout/chat.jinja")}
    full = build_command(_changed(base, engine={"quantization": "fp8"}, model=template), PLACE)
    assert _option(full, "--quantization") == "fp8"
    assert _option(full, "--chat-template") == "/etc/scout/chat.jinja"
    assert "--enforce-eager" in full.argv


def test_the_placement_decides_address_and_weights():
    place = Placement("/usr/bin/python3", "0.0.0.0", 8000, Path("/mnt/weights"))
    command = build_command(load_profile("llama-70b-bf16-tp4"), place)
    assert command.argv[0] == "/usr/bin/python3"
    assert (_option(command, "--host"), _option(command, "--port")) == ("0.0.0.0", "8000")
    assert _option(command, "--model") == "/mnt/weights"


def test_further_environment_of_a_profile_is_passed_on():
    profile = _changed(load_profile("standin-cpu"), environment={"VLLM_LOGGING_LEVEL": "DEBUG"})
    assert build_command(profile, PLACE).environment["VLLM_LOGGING_LEVEL"] == "DEBUG"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("VLLM_API_KEY", "secret"),
        ("VLLM_SERVER_DEV_MODE", "run code"),
        ("HF_HUB_OFFLINE", "decides it"),
        ("OMP_NUM_THREADS", "decides it"),
    ],
)
def test_environment_that_would_undo_a_promise_is_refused(name: str, reason: str):
    profile = _changed(load_profile("standin-cpu"), environment={name: "0"})
    with pytest.raises(ProfileInvalid, match=rf"environment\.{name}.*{reason}"):
        build_command(profile, PLACE)


@pytest.mark.parametrize("name", profile_names())
def test_what_is_printed_reads_back_as_what_is_executed(name: str):
    # A folder that needs quoting: the words have to survive a shell.
    command = build_command(
        load_profile(name), Placement("/opt/my engine/python", "127.0.0.1", 8091, Path("/mnt/it's $HOME"))
    )
    words = shlex.split(render(command).replace("\\\n", " "))
    assignments = [word for word in words if re.match(r"[A-Z][A-Z0-9_]*=", word)]
    assert dict(word.split("=", 1) for word in assignments) == {"VLLM_API_KEY": "$VLLM_API_KEY", **command.environment}
    assert words[: len(assignments)] == assignments
    assert tuple(words[len(assignments) :]) == command.argv


def test_one_option_stands_on_each_line():
    lines = render(build_command(load_profile("standin-cpu"), PLACE)).splitlines()
    assert all(line.endswith(" \\") for line in lines[:-1])
    assert all(line.count(" --") <= 1 for line in lines)
