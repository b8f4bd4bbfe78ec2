from pathlib import Path

import pytest

from infra.tailscale.check import ALLOWED, check, main
from infra.tailscale.policy import parse

POLICY = Path(__file__).parents[4] / "infra/tailscale/policy.hujson"
SCOUT = ["tag:scout-gateway", "tag:scout-cluster", "tag:scout-monitor", "group:ops"]


@pytest.fixture(scope="module")
def committed() -> str:
    return POLICY.read_text(encoding="utf-8")


def test_the_committed_policy_is_proven(committed: str) -> None:
    assert check(committed) == []
    assert main([str(POLICY)]) == 0


def test_only_the_gateway_reaches_nginx(committed: str) -> None:
    policy = parse(committed)
    reach = {src for src in policy.sources for port in (8080, 8081, 8082, 8083)
             if port in policy.reachable(src, "tag:scout-cluster", "tcp")}  # fmt: skip
    assert reach == {"tag:scout-gateway"}


@pytest.mark.parametrize("src", SCOUT)
@pytest.mark.parametrize("port", [8000, 8001, 8002, 8091, 8092, 8093])
def test_nobody_reaches_an_engine_past_nginx(committed: str, src: str, port: int) -> None:
    assert port not in parse(committed).reachable(src, "tag:scout-cluster", "tcp")


def test_the_cluster_reaches_nobody(committed: str) -> None:
    policy = parse(committed)
    assert [dst for dst in policy.tag_owners if policy.reachable("tag:scout-cluster", dst, "tcp")] == []


NGINX_GRANT = '"ip": ["tcp:8080-8083"]'


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param(NGINX_GRANT, '"ip": ["tcp:22-8083"]',
                     "test failed: tag:scout-gateway must not reach tag:scout-cluster:22 over tcp and does",
                     id="a test of the file fails"),
        pytest.param(NGINX_GRANT, '"ip": ["tcp:8080-8083", "tcp:9999"]',
                     "forbidden: tag:scout-gateway reaches tag:scout-cluster on tcp 9999",
                     id="wider by a port that no test thought of"),
        pytest.param(NGINX_GRANT, '"ip": ["tcp:8080-8083", "udp:400-500"]',
                     "forbidden: tag:scout-gateway reaches tag:scout-cluster on udp 400, 401, 402, 403 and 97 more",
                     id="wider by another protocol"),
        pytest.param('"src": ["tag:scout-gateway"]', '"src": ["tag:scout-gateway", "tag:scout-monitor"]',
                     "forbidden: tag:scout-monitor reaches tag:scout-cluster on tcp 8080, 8081, 8082, 8083",
                     id="one source more"),
        pytest.param('"src": ["tag:scout-gateway"]', '"src": ["tag:scout-gateway", "tag:laptop"]',
                     "forbidden: tag:laptop reaches tag:scout-cluster on tcp 8080, 8081, 8082, 8083",
                     id="a machine that is not ours"),
        pytest.param(NGINX_GRANT, '"ip": ["tcp:8080-8082"]',
                     "test failed: tag:scout-gateway must reach tag:scout-cluster:8083 over tcp and does not",
                     id="a replica lost"),
        pytest.param('"tag:scout-cluster:8082", "tag:scout-cluster:8083"]', '"tag:scout-cluster:8082"]',
                     "untested: no test expects tag:scout-gateway to reach tag:scout-cluster on tcp 8083",
                     id="a test lost"),
        pytest.param(NGINX_GRANT, '"ip": ["*"]', "refused: ", id="everything"),
    ],
)  # fmt: skip
def test_a_broken_policy_is_refused_with_the_way_it_is_broken(committed: str, old: str, new: str, said: str) -> None:
    assert committed.count(old) == 1
    text = committed.replace(old, new).replace('"tagOwners": {', '"tagOwners": { "tag:laptop": ["group:ops"],')
    assert any(problem.startswith(said) for problem in check(text)), check(text)


def test_the_tailnets_other_machines_may_talk_among_themselves(committed: str) -> None:
    text = committed.replace('"tagOwners": {', '"tagOwners": { "tag:nas": ["group:ops"], "tag:laptop": ["group:ops"],')
    other = '"grants": [ {"src": ["tag:laptop"], "dst": ["tag:nas"], "ip": ["tcp:1-65535"]},'
    assert check(text.replace('"grants": [', other)) == []


@pytest.mark.parametrize(("src", "dst"), ALLOWED)
def test_every_allowance_is_needed(committed: str, src: str, dst: str) -> None:
    assert parse(committed).reachable(src, dst, "tcp") == ALLOWED[src, dst]


def test_a_broken_file_is_named_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "broken.hujson"
    path.write_text("{", encoding="utf-8")
    assert main([str(path)]) == 1
    assert str(path) in capsys.readouterr().err


def test_wrong_usage_is_told_apart_from_a_broken_policy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
