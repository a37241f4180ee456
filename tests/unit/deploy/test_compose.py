"""docker-compose.yml against what the stages declare."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from weir.bus.topics import TOPICS
from weir.cli.demo.places import ROLES
from weir.cli.stages import STAGES
from weir.runtime.process import ALIASES, load_settings
from weir.settings import Loaded
from weir.testing.engine.standins import BASE, KAFKA

ROOT = Path(__file__).resolve().parents[3]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
STAGE_SERVICES = {name: s for name, s in SERVICES.items() if s.get("command", [""])[0] == "run"}
SHOP = {name: s for name, s in SERVICES.items() if name.startswith("shop-")}

MADE_ELSEWHERE = {"health", "rules"}
"""By every process, and by people."""


def environment(service: dict[str, Any]) -> dict[str, str]:
    """With the defaults of compose's variables."""
    given = service.get("environment", {})
    return {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value)) for name, value in given.items()}


def settings(name: str) -> Loaded:
    return load_settings([STAGES[name]], environ=environment(SERVICES[name]))


def test_each_stage_has_a_container_of_its_name() -> None:
    assert {name: s["command"][1:] for name, s in STAGE_SERVICES.items()} == {name: [name] for name in STAGES}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_told_nothing_that_it_does_not_know(name: str) -> None:
    loaded = settings(name)
    known = {setting.env for setting in loaded.settings.values()} | set(ALIASES)
    told = environment(SERVICES[name])
    assert set(told) <= known


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_waits_for_its_topics_on_the_bus(name: str) -> None:
    assert SERVICES[name]["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}
    assert settings(name)["bus"].url
    assert SERVICES["topics"]["command"] == ["topics", "--create"]
    assert SERVICES["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}


def test_every_topic_that_a_stage_takes_is_made_by_another_container() -> None:
    made = {topic.name for name in STAGE_SERVICES for topic in STAGES[name].produces}
    for name in STAGE_SERVICES:
        for topic in (*STAGES[name].consumes, *STAGES[name].reads):
            assert topic in TOPICS
            assert topic.name in made | MADE_ELSEWHERE, f"{name} takes {topic.name}, which nobody makes"


def test_containers_have_the_least_privilege() -> None:
    for name, service in (STAGE_SERVICES | SHOP | {"topics": SERVICES["topics"]}).items():
        assert service["cap_drop"] == ["ALL"], name
        assert not service.get("privileged"), name
        if name != "capture":
            assert "cap_add" not in service, name
            assert "user" not in service, name
            assert "network_mode" not in service, name
    capture = SERVICES["capture"]
    assert (capture["cap_add"], capture["user"], capture["network_mode"]) == (["NET_RAW"], "0:0", "host")


def test_ports_are_published_on_loopback_alone() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_capture_reaches_the_bus_by_a_published_port_and_never_captures_it() -> None:
    kafka = environment(SERVICES["kafka"])
    listeners = dict(re.findall(r"(\w+)://[^:,]*:(\d+)", kafka["KAFKA_LISTENERS"]))
    advertised = dict(re.findall(r"(\w+)://([^,]+)", kafka["KAFKA_ADVERTISED_LISTENERS"]))
    capture = settings("capture")
    assert capture["bus"].url == advertised["HOST"]
    assert SERVICES["kafka"]["ports"] == [f"127.0.0.1:{listeners['HOST']}:{listeners['HOST']}"]
    excluded = {f"port:{port}" for listener, port in listeners.items() if listener != "CONTROLLER"}
    assert set(capture["capture"].exclude) == excluded
    assert settings("decode")["bus"].url == advertised["WEIR"]


def test_the_shop_is_whole_and_its_addresses_are_targeted_and_named() -> None:
    assert {role for s in SHOP.values() for role in s["command"]} == set(ROLES)
    addresses = {s["command"][0]: s["networks"]["shop"]["ipv4_address"] for s in SHOP.values()}
    told = environment(SERVICES["shop-dns"])
    assert {role: told[f"WEIR_DEMO_{role.upper()}"] for role in ROLES} == addresses
    assert all(environment(s)["WEIR_DEMO_DNS"] == addresses["dns"] for s in SHOP.values())
    targets = settings("targets")["targets"]
    network = ipaddress.ip_network(COMPOSE["networks"]["shop"]["ipam"]["config"][0]["subnet"])
    assert targets.static == [str(network)]
    assert all(ipaddress.ip_address(address) in network for address in addresses.values())
    assert set(targets.names) == {f"{address}={role}.demo" for role, address in addresses.items()}


def test_store_and_hub_use_one_archive() -> None:
    assert settings("store")["store"].archive == settings("hub")["hub"].archive
    assert "@clickhouse:" in settings("hub")["hub"].archive


def test_volumes_are_declared_and_used() -> None:
    used = {volume.split(":")[0] for s in SERVICES.values() for volume in s.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])


def test_one_service_builds_the_image_that_all_use() -> None:
    own = {name for name, s in SERVICES.items() if s["image"] == "weir:dev"}
    assert own == set(STAGE_SERVICES) | set(SHOP) | {"topics"}
    assert [name for name, s in SERVICES.items() if "build" in s] == ["topics"]


def test_the_override_for_chdb_changes_what_exists() -> None:
    override = yaml.safe_load((ROOT / "deploy/compose/chdb.yml").read_text())["services"]
    assert set(override) <= set(SERVICES)
    store = load_settings([STAGES["store"]], environ=environment(SERVICES["store"]) | environment(override["store"]))
    hub = load_settings([STAGES["hub"]], environ=environment(SERVICES["hub"]) | environment(override["hub"]))
    assert (store["store"].archive, hub["hub"].archive) == ("chdb", "chdb")
    assert SERVICES["store"]["volumes"] == override["hub"]["volumes"]


def test_stand_ins_are_of_the_images_that_are_named() -> None:
    assert SERVICES["kafka"]["image"] == KAFKA
    dockerfile = (ROOT / "deploy/docker/Dockerfile").read_text()
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {BASE, "needs"}


def test_every_builder_reads_the_dockerfile() -> None:
    dockerfile = (ROOT / "deploy/docker/Dockerfile").read_text()
    assert "--mount" not in dockerfile
    assert "<<" not in dockerfile
    assert re.findall(r"^USER (\S+)", dockerfile, re.MULTILINE) == ["weir"]
