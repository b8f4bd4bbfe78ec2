import socket
from pathlib import Path

from infra.checks.stack import free_ports, own_place
from infra.local.settings import from_environment


def test_ranges_are_free_whole_and_apart() -> None:
    starts = free_ports(1, 3, 3)
    ports = [start + i for start, length in zip(starts, (1, 3, 3), strict=True) for i in range(length)]
    assert len(set(ports)) == 7
    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()


def test_own_place_makes_valid_settings_elsewhere(tmp_path: Path) -> None:
    settings = from_environment(own_place(tmp_path), Path("/project"))
    assert settings.state_dir == tmp_path
    assert not set(settings.ports()) & {8000, 8080, 8081, 8082, 8083, 8091, 8092, 8093}
