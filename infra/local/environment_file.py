"""`.scout/env`: where the running stack is and with which keys, for scripts and tests (`. .scout/env`).

`python -m inference drain` reads it too, so that beside a local stack it needs no options.
"""

import shlex

from infra.local.settings import MODEL_NAME, StackSettings


def render(settings: StackSettings, client_key: str, admin_key: str, onprem_key: str, engine_key: str) -> str:
    """The file's text, in shell syntax; exported, so that children of the shell see it too."""
    values = {
        "SCOUT_URL": settings.gateway_url,
        "SCOUT_KEY": client_key,
        "SCOUT_ADMIN_KEY": admin_key,
        "ONPREM_URL": settings.balanced_url,
        "ONPREM_KEY": onprem_key,
        "REPLICA_URLS": ",".join(settings.replica_urls),
        "ENGINE_URLS": ",".join(settings.engine_urls),
        "ENGINE_KEY": engine_key,
        "SCOUT_MODEL": MODEL_NAME,
        "SCOUT_ENGINE_PYTHON": str(settings.engine_python),
    }
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())


def parse(text: str) -> dict[str, str]:
    """What `render` wrote, as a mapping."""
    words = shlex.split(text)
    return dict(word.split("=", 1) for word in words if word != "export")
