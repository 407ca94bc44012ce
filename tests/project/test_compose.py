"""docker-compose.yml, Dockerfile and .env.example keep their promises, as far as reading them can tell.

That the services' commands work is shown in test_house_services.py.
"""

import re
from typing import Any

import pytest

from rankmill.db.runtime.settings import Settings
from tests.support.repository import ROOT
from tests.support.servers.compose_file import COMPOSE_FILE, MissingVariable, compose, interpolate

SECRETS = {"POSTGRES_PASSWORD": "pg", "REDIS_PASSWORD": "rd", "RANKMILL_FLOWER_AUTH": "ann:fl"}
ONE_OFF = {"migrate", "producer"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found = compose(SECRETS)["services"]
    assert isinstance(found, dict)
    return found


def test_variables_are_filled_in_as_compose_does() -> None:
    text = "$$A ${B} ${C:-c} ${D:-d} ${E:?why}"
    assert interpolate(text, {"B": "b", "D": "x", "E": "e"}) == "$A b c x e"
    with pytest.raises(MissingVariable, match="E: why"):
        interpolate(text, {"E": ""})


@pytest.mark.parametrize("secret", SECRETS)
def test_each_secret_must_come_from_the_environment(secret: str) -> None:
    with pytest.raises(MissingVariable, match=secret):
        compose({name: value for name, value in SECRETS.items() if name != secret})


def test_ports_are_published_on_loopback_only_and_by_flower_only(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"flower": ["127.0.0.1:5555:5555"]}
    assert not [name for name, service in services.items() if "network_mode" in service]


def test_no_service_runs_as_root_or_gains_privileges(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["user"] not in {"", "root", "0", "0:0"}, name
        assert "privileged" not in service, name
        assert "cap_add" not in service, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        mounted = [str(volume) for volume in service.get("volumes", [])]
        assert not [volume for volume in mounted if "docker.sock" in volume], name


def test_services_that_go_on_are_watched_restarted_and_given_time_to_stop(services: dict[str, Any]) -> None:
    for name in services.keys() - ONE_OFF:
        service = services[name]
        assert service["healthcheck"]["test"], name
        assert "interval" in service["healthcheck"], name
        assert service["restart"] == "unless-stopped", name
        assert "stop_grace_period" in service, name
    for name in ONE_OFF:
        assert services[name]["restart"] == "no", name


def test_redis_keeps_its_messages_and_asks_for_the_password(services: dict[str, Any]) -> None:
    config = compose(SECRETS)["configs"]["redis"]["content"].splitlines()
    assert {"requirepass rd", "appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction"} <= {
        *config
    }
    (mount,) = services["redis"]["configs"]
    assert services["redis"]["command"] == ["redis-server", mount["target"]]
    assert services["redis"]["volumes"] == ["redis:/data"]


def test_postgres_keeps_its_files_and_asks_for_the_password(services: dict[str, Any]) -> None:
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"] == "pg"
    assert "POSTGRES_HOST_AUTH_METHOD" not in services["postgres"]["environment"]
    assert services["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]


@pytest.mark.parametrize("name", ["worker", "worker-cpu", "beat", "producer"])
def test_nobody_uses_the_store_before_it_is_migrated(services: dict[str, Any], name: str) -> None:
    depends_on = services[name]["depends_on"]
    assert depends_on["migrate"] == {"condition": "service_completed_successfully"}
    assert depends_on["redis"] == {"condition": "service_healthy"}
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_one_worker_reserves_a_gpu_and_the_other_only_exists_when_asked_for(services: dict[str, Any]) -> None:
    (device,) = services["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "device_ids": ["0"], "capabilities": ["gpu"]}
    assert "profiles" not in services["worker"]
    assert services["worker-cpu"]["profiles"] == ["cpu"]
    assert "deploy" not in services["worker-cpu"]


def test_the_producer_cannot_change_what_it_reads(services: dict[str, Any]) -> None:
    (inputs,) = services["producer"]["volumes"]
    assert services["beat"]["volumes"] == [inputs]
    assert inputs == {"type": "bind", "source": "./inputs", "target": "/inputs", "read_only": True}


def test_flower_holds_no_password_of_the_store(services: dict[str, Any]) -> None:
    assert "pg" not in str(services["flower"]["environment"])


def test_every_volume_and_network_named_is_declared(services: dict[str, Any]) -> None:
    declared = compose(SECRETS)["volumes"].keys()
    used = {
        volume.split(":")[0]
        for service in services.values()
        for volume in service.get("volumes", [])
        if isinstance(volume, str)
    }
    assert used == declared


@pytest.mark.parametrize("name", ["docker-compose.yml", ".env.example", "Dockerfile"])
def test_every_setting_named_is_a_setting(name: str) -> None:
    named = set(re.findall(r"RANKMILL_(\w+)", (ROOT / name).read_text(encoding="utf-8")))
    assert named, name
    assert {setting.lower() for setting in named} <= Settings.model_fields.keys()


def test_every_variable_of_the_compose_file_is_in_the_example() -> None:
    wanted = set(re.findall(r"\$\{(\w+)", COMPOSE_FILE.read_text(encoding="utf-8")))
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert wanted == set(re.findall(r"^(?:# )?(\w+)=", example, re.MULTILINE))


def test_the_example_keeps_no_secret() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert {f"{secret}=" for secret in SECRETS} <= {*example.splitlines()}


def test_images_are_built_from_a_pinned_base_and_run_as_an_ordinary_user() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    (base,) = [line.removeprefix("ARG BASE=") for line in lines if line.startswith("ARG BASE=")]
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", base)
    stages = [line.split() for line in lines if line.startswith("FROM ")]
    parents = {stage[3]: stage[1] for stage in stages}
    assert parents["slim"] == parents["gpu"] == "runtime"
    runtime = "\n".join(lines).split(" AS runtime\n")[1]
    assert re.findall(r"^USER (.*)", runtime, re.MULTILINE) == ["10001:10001", "root", "10001:10001"]
    assert "pip install" not in runtime, "the images that run have no build step in them"
    before, gpu, slim = re.split(r"\nFROM runtime AS (?:gpu|slim)\n", runtime)
    assert "apt-get" not in before + slim
    assert re.findall(r"apt-get install (.*) \\$", gpu, re.MULTILINE) == [
        "--yes --no-install-recommends gcc libc6-dev"
    ]


def test_images_of_the_compose_file_are_targets_of_the_dockerfile(services: dict[str, Any]) -> None:
    targets = re.findall(
        r"^FROM \S+ AS (\w+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE
    )
    builds = {
        service["image"]: service["build"]["target"] for service in services.values() if "build" in service
    }
    assert builds == {"rankmill:slim": "slim", "rankmill:gpu": "gpu"}
    assert {*builds.values()} <= {*targets}
    ours = {service["image"] for service in services.values() if service["image"].startswith("rankmill")}
    assert ours == builds.keys()


def test_every_service_started_alone_has_its_image_built(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if service["image"].startswith("rankmill") and "build" not in service:
            images = [
                services[other]["image"] for other in service["depends_on"] if "build" in services[other]
            ]
            assert service["image"] in images, f"on a fresh machine nothing builds the image of {name}"


def test_nothing_but_the_wheel_s_sources_enters_an_image() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    admitted = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    sources = {
        "rankmill",
        "db",
        "producer",
        "worker",
        "LICENSE",
        "README.md",
        "constraints.txt",
        "pyproject.toml",
    }
    assert admitted == sources
