"""Reading the settings: every bad key is named, all at once, and no secret is ever repeated."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gateway.configuration import ENVIRONMENT, SettingsError, describe, load
from gateway.settings import Topology

ROOT = Path(__file__).parents[3]
CLIENT_KEY, ONPREM_KEY, ADMIN_KEY = "client-key-0123456789", "onprem-key-0123456789", "admin-key-0123456789"
IN_FILES = {f"{name}_FILE" for name in ("SCOUT_API_KEYS", "SCOUT_ADMIN_KEYS", "SCOUT_ONPREM_KEY", "SCOUT_OPENAI_KEY")}
EVERY_FIELD = [
    (section, field) for section, slice_ in Topology() if section != "routes" for field in type(slice_).model_fields
]


class Environment(Mapping[str, str]):
    """A host's environment that notes what is looked up in it."""

    def __init__(self, config: Path, **changes: str | None) -> None:
        good = {
            "SCOUT_CONFIG": str(config),
            "SCOUT_REPLICA_URLS": "http://100.64.0.7:8081,http://100.64.0.7:8082",
            "SCOUT_API_KEYS": CLIENT_KEY,
            "SCOUT_ONPREM_KEY": ONPREM_KEY,
        }
        self._values = {name: value for name, value in {**good, **changes}.items() if value is not None}
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.touch()
    return path


def problems(environ: Environment) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        load(environ)
    return str(refused.value).splitlines()


# ---- what is read


def test_an_empty_file_and_the_least_environment_are_enough(config: Path) -> None:
    settings = load(Environment(config))
    assert Topology(**{section: getattr(settings, section) for section in Topology.model_fields}) == Topology()
    assert (settings.listen.host, settings.listen.port) == ("127.0.0.1", 8000)
    assert settings.replica_urls == ("http://100.64.0.7:8081", "http://100.64.0.7:8082")
    assert [key.get_secret_value() for key in settings.api_keys] == [CLIENT_KEY]
    assert settings.onprem_key.get_secret_value() == ONPREM_KEY


def test_the_repositorys_file_is_the_default_one(monkeypatch: pytest.MonkeyPatch, config: Path) -> None:
    monkeypatch.chdir(config.parent)
    config.write_text("[attempts]\nmax_attempts = 3\n", "utf-8")
    assert load(Environment(config, SCOUT_CONFIG=None)).attempts.max_attempts == 3


def test_what_the_file_says_arrives(config: Path) -> None:
    config.write_text(
        '[health]\ntimeout_s = 7\n[cors]\nallow_origins = ["https://a"]\nallow_origin_regex = "b+"', "utf-8"
    )
    settings = load(Environment(config))
    assert settings.health.timeout_s == 7
    assert settings.cors.allow_origins == ("https://a",)
    assert settings.cors.allow_origin_regex == "b+"


def test_what_the_environment_says_arrives(config: Path) -> None:
    environ = Environment(
        config,
        SCOUT_HOST="0.0.0.0",
        SCOUT_PORT="9000",
        SCOUT_API_KEYS=f" {CLIENT_KEY} , {ONPREM_KEY},",
        SCOUT_REPLICA_URLS=" http://a:1/ ,HTTPS://B:2,, http://[::1]:3",
    )
    settings = load(environ)
    assert (settings.listen.host, settings.listen.port) == ("0.0.0.0", 9000)
    assert [key.get_secret_value() for key in settings.api_keys] == [CLIENT_KEY, ONPREM_KEY]
    assert settings.replica_urls == ("http://a:1", "https://b:2", "http://[::1]:3")


def test_keys_may_stand_in_files_with_comments_and_blank_lines(config: Path, tmp_path: Path) -> None:
    clients, onprem = tmp_path / "clients", tmp_path / "onprem"
    clients.write_text(f"# the web site\n{CLIENT_KEY}\n\n  # the second\n{ONPREM_KEY}\n", "utf-8")
    onprem.write_text(f"{ONPREM_KEY}\n", "utf-8")
    environ = Environment(
        config,
        SCOUT_API_KEYS=None,
        SCOUT_API_KEYS_FILE=str(clients),
        SCOUT_ONPREM_KEY=None,
        SCOUT_ONPREM_KEY_FILE=str(onprem),
    )
    settings = load(environ)
    assert [key.get_secret_value() for key in settings.api_keys] == [CLIENT_KEY, ONPREM_KEY]
    assert settings.onprem_key.get_secret_value() == ONPREM_KEY


# ---- what is refused


@pytest.mark.parametrize(("section", "field"), EVERY_FIELD)
def test_a_value_of_the_wrong_type_is_named_whatever_the_setting(section: str, field: str, config: Path) -> None:
    config.write_text(f"[{section}.{field}]\nno = 'table'\n", "utf-8")
    (problem,) = problems(Environment(config))
    assert problem.startswith(f"{config}: {section}.{field}: Input should be")


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("[on_perm]\nmodel = 'x'", "on_perm: there is no such setting"),
        ("[attempts]\nmax_atempts = 2", "attempts.max_atempts: there is no such setting"),
        ("listen = {port = 1}", "listen: there is no such setting"),
        ("onprem_key = 'in the wrong place'", "onprem_key: there is no such setting"),
        ("[attempts]\nmax_attempts = 0", "attempts.max_attempts: Input should be greater than or equal to 1"),
        ("[attempts]\nretry_ratio = 1.1", "attempts.retry_ratio: Input should be less than or equal to 1"),
        ("[chat]\npriority = 'urgent'", "chat.priority: Input should be 'interactive' or 'batch'"),
        ("[on_prem]\nconnect_timeout_s = 0", "on_prem.connect_timeout_s: Input should be greater than 0"),
        ("[on_prem]\nconnect_timeout_s = nan", "on_prem.connect_timeout_s: Input should be"),
        ("[on_prem]\nconnect_timeout_s = inf", "on_prem.connect_timeout_s: Input should be less than or equal to 3600"),
        ("[health]\nfailures_before_failed = 0", "health.failures_before_failed: Input should be greater than"),
        ("[chat]\ntemperature = 2.1", "chat.temperature: Input should be less than or equal to 2"),
        ("[cors]\nallow_origins = 'https://a'", "cors.allow_origins: Input should be"),
        ("[cors]\nallow_origin_regex = '('", "cors.allow_origin_regex: Value error, not a regular expression"),
        ("[on_prem]\nidle_timeout_s = 301", "on_prem.idle_timeout_s is longer than on_prem.total_timeout_s"),
        ("[on_prem", "Expected ']' at the end of a table declaration"),
    ],
)
def test_a_bad_setting_is_named_with_its_file(toml: str, problem: str, config: Path) -> None:
    config.write_text(toml, "utf-8")
    (told,) = problems(Environment(config))
    assert told.startswith(f"{config}: ")
    assert problem in told


def test_a_file_that_is_not_there_says_how_to_name_another(tmp_path: Path) -> None:
    assert problems(Environment(tmp_path / "no.toml")) == [
        f"{tmp_path}/no.toml: there is no such file; name the configuration with SCOUT_CONFIG"
    ]


def test_a_file_that_is_no_text_is_refused(config: Path) -> None:
    config.write_bytes(b"\xff\xfe")
    (problem,) = problems(Environment(config))
    assert problem.startswith(f"{config}: 'utf-8' codec can't decode")


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("SCOUT_PORT", "0", "'0' is not a port"),
        ("SCOUT_PORT", "65536", "'65536' is not a port"),
        ("SCOUT_PORT", "http", "'http' is not a port"),
        ("SCOUT_PORT", "80²", "'80²' is not a port"),
        ("SCOUT_REPLICA_URLS", None, "not set; nginx's per-replica addresses"),
        ("SCOUT_REPLICA_URLS", " , ", "not set; nginx's per-replica addresses"),
        ("SCOUT_REPLICA_URLS", "100.64.0.7:8081", "'100.64.0.7:8081' is not an http address"),
        ("SCOUT_REPLICA_URLS", "ftp://a:1", "'ftp://a:1' is not an http address"),
        ("SCOUT_REPLICA_URLS", "http://a:1/v1", "'http://a:1/v1' must be scheme, host and port only"),
        ("SCOUT_REPLICA_URLS", "http://a:1?", "'http://a:1?' must be scheme, host and port only"),
        ("SCOUT_REPLICA_URLS", "http://a:1/#x", "'http://a:1/#x' must be scheme, host and port only"),
        ("SCOUT_REPLICA_URLS", "http://u@a:1", "'http://u@a:1' must be scheme, host and port only"),
        ("SCOUT_REPLICA_URLS", "http://:p@a:1", "'http://:p@a:1' must be scheme, host and port only"),
        ("SCOUT_REPLICA_URLS", "http://a:1,http://A:1/", "the same address stands there twice"),
        ("SCOUT_API_KEYS", None, "not set; the keys that let clients in"),
        ("SCOUT_API_KEYS", f"{CLIENT_KEY},short", "key 2 must be 16 or more visible ASCII characters"),
        ("SCOUT_API_KEYS", "key with a space in it", "key 1 must be 16 or more visible ASCII characters"),
        ("SCOUT_API_KEYS", "schlüssel-0123456789", "key 1 must be 16 or more visible ASCII characters"),
        ("SCOUT_API_KEYS", "key\x00-0123456789abcdef", "key 1 must be 16 or more visible ASCII characters"),
        ("SCOUT_ADMIN_KEYS", "short", "key 1 must be 16 or more visible ASCII characters"),
        ("SCOUT_ONPREM_KEY", None, "not set; the key towards nginx on-prem"),
        ("SCOUT_ONPREM_KEY", f"{ONPREM_KEY},{CLIENT_KEY}", "one key is wanted"),
    ],
)
def test_a_bad_variable_is_named(name: str, value: str | None, problem: str, config: Path) -> None:
    (told,) = problems(Environment(config, **{name: value}))
    assert told.startswith(f"{name}: {problem}")


@pytest.mark.parametrize("name", ["SCOUT_API_KEYS", "SCOUT_ONPREM_KEY"])
class TestASecretInAFile:
    def test_that_is_not_there_is_named(self, name: str, config: Path, tmp_path: Path) -> None:
        (told,) = problems(Environment(config, **{name: None, f"{name}_FILE": str(tmp_path / "no")}))
        assert told.startswith(f"{name}_FILE: ")
        assert str(tmp_path / "no") in told

    def test_that_is_no_text_is_named(self, name: str, config: Path, tmp_path: Path) -> None:
        (tmp_path / "keys").write_bytes(b"\xff\xfe")
        (told,) = problems(Environment(config, **{name: None, f"{name}_FILE": str(tmp_path / "keys")}))
        assert told.startswith(f"{name}_FILE: ")

    def test_with_nothing_but_comments_is_as_good_as_not_set(self, name: str, config: Path, tmp_path: Path) -> None:
        (tmp_path / "keys").write_text("# none yet\n", "utf-8")
        (told,) = problems(Environment(config, **{name: None, f"{name}_FILE": str(tmp_path / "keys")}))
        assert told.startswith(f"{name}: not set")

    def test_and_by_itself_too_is_refused(self, name: str, config: Path, tmp_path: Path) -> None:
        (tmp_path / "keys").write_text(CLIENT_KEY, "utf-8")
        (told,) = problems(Environment(config, **{f"{name}_FILE": str(tmp_path / "keys")}))
        assert told == f"{name}: set both by itself and as {name}_FILE; keep one"


def test_everything_that_is_wrong_is_told_at_once(config: Path) -> None:
    config.write_text("[on_prem]\nconnect_timeout_s = 0\nmodle = 'x'\n[limits]\nmax_body_bytes = 1\n", "utf-8")
    environ = Environment(
        config, SCOUT_PORT="x", SCOUT_REPLICA_URLS="http://a:1/b,c", SCOUT_API_KEYS="short", SCOUT_ONPREM_KEY=None
    )
    named = [" ".join(problem.split(": ")[:2]).replace(str(config), "file") for problem in problems(environ)]
    assert named == [
        "file on_prem.connect_timeout_s",
        "file on_prem.modle",
        "file limits.max_body_bytes",
        "SCOUT_PORT 'x' is not a port",
        "SCOUT_REPLICA_URLS 'http://a:1/b' must be scheme, host and port only",
        "SCOUT_REPLICA_URLS 'c' is not an http address such as http://100.64.0.7:8081",
        "SCOUT_API_KEYS key 1 must be 16 or more visible ASCII characters",
        "SCOUT_ONPREM_KEY not set; the key towards nginx on-prem; or SCOUT_ONPREM_KEY_FILE",
    ]


# ---- what is told


def test_a_bad_key_is_not_repeated(config: Path) -> None:
    secret = "secret with spaces in it"
    for name in ("SCOUT_API_KEYS", "SCOUT_ADMIN_KEYS", "SCOUT_ONPREM_KEY"):
        assert secret not in "\n".join(problems(Environment(config, **{name: secret})))


def test_described_settings_show_everything_but_the_secrets(config: Path) -> None:
    settings = load(Environment(config, SCOUT_ADMIN_KEYS=ADMIN_KEY))
    told = json.dumps(describe(settings))
    assert CLIENT_KEY not in told + repr(settings) + str(settings)
    assert ONPREM_KEY not in told + repr(settings) + str(settings)
    assert ADMIN_KEY not in told + repr(settings) + str(settings)
    assert json.loads(told) == {
        **Topology().model_dump(mode="json"),
        "listen": {"host": "127.0.0.1", "port": 8000},
        "replica_urls": ["http://100.64.0.7:8081", "http://100.64.0.7:8082"],
        "api_keys": ["**********"],
        "admin_keys": ["**********"],
        "tailscale_socket": "",
        "openai_key": None,
        "openai_url": "https://api.openai.com/v1",
        "database_url": "sqlite:///.scout/gateway.db",
        "dealership_dir": str(ROOT / "gateway" / "dealership"),
        "tokenizer": None,
        "onprem_key": "**********",
    }


def test_the_list_of_variables_is_exactly_what_is_read(config: Path) -> None:
    environ = Environment(config)
    load(environ)
    assert environ.asked == set(ENVIRONMENT) | IN_FILES
    for name in IN_FILES:
        assert name in ENVIRONMENT[name.removesuffix("_FILE")]


def test_no_other_variable_is_named_anywhere_in_the_gateway() -> None:
    sources = (ROOT / "gateway").rglob("*.py")
    named = {name for source in sources for name in re.findall(r"\bSCOUT_[A-Z_]+\b", source.read_text("utf-8"))}
    assert named == set(ENVIRONMENT) | IN_FILES


def test_the_example_environment_explains_every_variable() -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    for name in set(ENVIRONMENT) | IN_FILES:
        assert re.search(rf"^(# ?)?{name}=", example, re.MULTILINE), f"{name} is not in .env.example"
