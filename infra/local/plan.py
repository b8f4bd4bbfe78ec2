"""Which processes make up a local stack: command, environment, secrets and proof of readiness of each.

Pure: the same settings give the same plan, so that a test can compare it with the compose files. Secrets are named
by the file that holds them and read only when a process starts.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from infra.local.settings import HOST, NginxAccount, StackSettings

REPLICA_PREFIX = "replica-"
NGINX = "nginx"
GATEWAY = "gateway"

NOBODY = 65534

# Every process of a stack carries its state directory in this variable: what is left over can be found again.
MARKER = "SCOUT_STACK"


class KeyFiles(BaseModel):
    """Where the keys of a stack lie, one a line in each file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clients: Path
    admin: Path
    onprem: Path
    engine: Path


class Service(BaseModel):
    """One process. It is ready when `ready_url`, asked with the key of `ready_key`, answers `ready_status`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    # Variables whose value is the first key of a file.
    secrets: Mapping[str, Path] = {}
    url: str
    ready_url: str
    ready_key: Path
    ready_status: int = 200
    # Whether its answer lists `replicas` which all have to be ready before the stack is called so.
    lists_replicas: bool = False


def key_files(state_dir: Path) -> KeyFiles:
    keys = state_dir / "keys"
    return KeyFiles(
        clients=keys / "api-keys", admin=keys / "admin-keys", onprem=keys / "onprem-keys", engine=keys / "engine-key"
    )


def nginx_prefix(state_dir: Path) -> Path:
    return state_dir / "nginx"


def plan(settings: StackSettings) -> list[Service]:
    """The services in the order they are started and shown."""
    keys = key_files(settings.state_dir)
    replicas = [_replica(settings, keys, i) for i in range(settings.replicas)]
    return [*replicas, _nginx(settings, keys), _gateway(settings, keys)]


def _replica(settings: StackSettings, keys: KeyFiles, index: int) -> Service:
    serve = ("-m", "inference", "serve", "--profile", settings.profile, "--replica", str(index))
    where = ("--port-base", str(settings.engine_port), "--host", HOST)
    weights = ("--model-dir", str(settings.model_dir)) if settings.model_dir else ()
    return Service(
        name=f"{REPLICA_PREFIX}{index}",
        argv=(str(settings.engine_python), *serve, *where, *weights),
        env=_env(settings, SCOUT_ENGINE_PYTHON=str(settings.engine_python)),
        # In the environment, not in an argument: arguments are for all to see in `ps`.
        secrets={"VLLM_API_KEY": keys.engine},
        url=settings.engine_urls[index],
        # Through nginx, because that is the way of every request.
        ready_url=f"{settings.replica_urls[index]}/health",
        ready_key=keys.onprem,
    )


def nginx_site(settings: StackSettings) -> tuple[str, ...]:
    """The command that makes nginx's prefix: configuration, site and keys."""
    keys = key_files(settings.state_dir)
    engines = [word for url in settings.engine_urls for word in ("--engine", url.removeprefix("http://"))]
    return (
        *(str(tools_python(settings)), "-m", "inference", "nginx", "--out", str(nginx_prefix(settings.state_dir))),
        *engines,
        *("--host", HOST, "--listen-port", str(settings.balanced_port), "--replica-port", str(settings.replica_port)),
        # Here the monitoring network is the machine itself: a Prometheus beside the stack needs no key.
        *("--monitor", f"{HOST}/32"),
        *("--profile", settings.profile, "--keys-file", str(keys.onprem), "--engine-key-file", str(keys.engine)),
    )


def tools_python(settings: StackSettings) -> Path:
    return settings.root / ".venv" / "bin" / "python"


def _nginx(settings: StackSettings, keys: KeyFiles) -> Service:
    # Root gives its rights up for good. Where nobody may not enter the directory (a clone in /root), the workers keep
    # root's, or they could not read what the master read.
    lower = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--")
    directives = "daemon off; user root;" if settings.nginx_account is NginxAccount.ROOT else "daemon off;"
    return Service(
        name=NGINX,
        argv=(
            *(lower if settings.nginx_account is NginxAccount.NOBODY else ()),
            *("nginx", "-p", f"{nginx_prefix(settings.state_dir)}/", "-c", "nginx.conf", "-e", "stderr"),
            *("-g", directives),
        ),
        env=_env(settings),
        url=settings.balanced_url,
        # A path that nginx answers by itself: it is ready before any replica is.
        ready_url=f"{settings.balanced_url}/",
        ready_key=keys.onprem,
        ready_status=404,
    )


def _gateway(settings: StackSettings, keys: KeyFiles) -> Service:
    return Service(
        name=GATEWAY,
        argv=(str(tools_python(settings)), "-m", "gateway", "serve"),
        env=_env(
            settings,
            SCOUT_HOST=HOST,
            SCOUT_PORT=str(settings.gateway_port),
            SCOUT_REPLICA_URLS=",".join(settings.replica_urls),
            SCOUT_API_KEYS_FILE=str(keys.clients),
            SCOUT_ADMIN_KEYS_FILE=str(keys.admin),
        ),
        # nginx may accept two keys while they are being changed; the gateway sends one.
        secrets={"SCOUT_ONPREM_KEY": keys.onprem},
        url=settings.gateway_url,
        ready_url=f"{settings.gateway_url}/readyz",
        ready_key=keys.clients,
        lists_replicas=True,
    )


def _env(settings: StackSettings, **own: str) -> dict[str, str]:
    # Unbuffered, so that a log ends with what the process said last, also when it was killed.
    return {MARKER: str(settings.state_dir), "PYTHONUNBUFFERED": "1", **own}
