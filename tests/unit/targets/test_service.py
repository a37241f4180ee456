from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from weir.bus.api import Record, Table
from weir.bus.memory import MemoryBroker, MemoryBus
from weir.bus.topics import CONTROL, ENDPOINTS, RULES
from weir.errors import SettingsError
from weir.model.control import Control, EndpointRecord, Rule
from weir.runtime.clock import SystemClock
from weir.runtime.service import Context
from weir.targets.service import TargetsService
from weir.targets.settings import TargetsSettings
from weir.testing.kubefake import FakeKube

PATIENCE_S = 30.0
NODE = {
    "metadata": {"name": "n1", "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"podCIDRs": ["10.1.0.0/24"]},
    "status": {"addresses": [{"type": "InternalIP", "address": "192.168.0.1"}]},
}  # fmt: skip


def pod(name: str, address: str, **labels: str) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name, "namespace": "prod", "uid": f"u-{name}", "labels": labels,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"nodeName": "n1"},
        "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
    }  # fmt: skip


class Hasty(SystemClock):
    """Long waits are short: those of the Lease, above all."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(min(seconds, 0.2))


class Run:
    """One replica, with what stands on the topics."""

    def __init__(self, context: Context, endpoints: Table, control: Table, rules: Table) -> None:
        self.context = context
        self._endpoints, self._control, self._rules = endpoints, control, rules

    @property
    def control(self) -> Control | None:
        return self._control.get(b"weir")

    @property
    def rules(self) -> dict[str, Rule]:
        return {key.decode(): rule for key, rule in self._rules.items()}

    @property
    def open(self) -> dict[str, EndpointRecord]:
        return {r.address: r for r in self.records if not r.until_ns}

    @property
    def records(self) -> list[EndpointRecord]:
        return [record for _, record in self._endpoints.items()]

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.005)

    async def rule(self, name: str, **fields: Any) -> None:
        value = Rule(name=name, **fields) if fields else None
        await self.context.bus.publish(RULES, [Record(name.encode(), value)])


@asynccontextmanager
async def running(
    broker: MemoryBroker, process: str = "targets-0", clock: Any = None, **settings: Any
) -> AsyncIterator[Run]:
    bus = MemoryBus("weir", broker=broker)
    await bus.start()
    context = Context(bus=bus, clock=clock or SystemClock(), process=process)
    service = TargetsService(TargetsSettings(debounce_s=0.01, **settings), context)
    run = Run(context, *[await bus.table(topic) for topic in (ENDPOINTS, CONTROL, RULES)])
    task = asyncio.ensure_future(service.run())
    try:
        yield run
    finally:
        context.stop.set()
        async with asyncio.timeout(PATIENCE_S):
            await task
        await bus.stop()


@pytest.fixture
async def kube(tmp_path: Path) -> AsyncIterator[tuple[FakeKube, dict[str, Any]]]:
    async with FakeKube() as fake:
        fake.put("nodes", NODE)
        fake.put("namespaces", {"metadata": {"name": "prod"}})
        fake.put("pods", pod("web", "10.1.0.5", app="web"))
        yield fake, {"source": "kubernetes", "kubeconfig": str(fake.kubeconfig(tmp_path))}


async def test_without_kubernetes_rules_come_from_settings_and_from_people() -> None:
    async with running(MemoryBroker(), static=["port:80"], names=["10.0.0.1=db.prod"]) as run:
        await run.until(lambda: run.control)
        assert run.control is not None
        assert (run.control.targets, run.control.outline) == (["port:80"], False)
        assert run.rules["static/0"].read_only
        assert run.open["10.0.0.1"].name == "db"
        await run.rule("mine", target="10.0.0.0/8")
        await run.until(lambda: run.control and run.control.targets == ["port:80", "10.0.0.0/8"])
        await run.rule("pods", pod="x")
        await run.until(lambda: "Kubernetes is not watched" in run.context.notes.get("targets.rule pods", ""))
        await run.rule("mine")
        await run.until(lambda: run.control and run.control.targets == ["port:80"])


async def test_a_rule_takes_effect_and_expires(kube: Any) -> None:
    _, settings = kube
    clock = SystemClock()
    async with running(MemoryBroker(), clock=clock, **settings) as run:
        await run.until(lambda: "10.1.0.5" in run.open)
        assert not run.open["10.1.0.5"].targeted
        await run.until(lambda: run.control)
        assert run.control is not None
        assert (run.control.outline, run.control.pods) == (True, False)
        assert run.control.pod_ranges == ["10.1.0.0/24"]
        await run.rule("tap", labels="app=web", until_ns=clock.now_ns() + 1_500_000_000)
        await run.until(lambda: run.open["10.1.0.5"].targeted and run.control and run.control.pods)
        assert run.open["10.1.0.5"].rules == ["tap"]
        await run.until(lambda: not run.open["10.1.0.5"].targeted and run.control and not run.control.pods)
        assert run.rules == {}


async def test_a_bad_rule_is_told_and_the_others_stay(kube: Any) -> None:
    _, settings = kube
    async with running(MemoryBroker(), **settings) as run:
        await run.rule("web", labels="app=web")
        await run.until(lambda: "10.1.0.5" in run.open and run.open["10.1.0.5"].targeted)
        await run.rule("bad", pod="(")
        await run.rule("nowhere", namespaces=["prdo"])
        await run.until(lambda: "missing )" in run.context.notes.get("targets.rule bad", ""))
        await run.until(lambda: run.context.notes.get("targets.rule nowhere") == "no such namespace: prdo")
        assert run.open["10.1.0.5"].rules == ["web"]
        await run.rule("bad")
        await run.until(lambda: "targets.rule bad" not in run.context.notes)


async def test_an_api_that_goes_away_takes_nothing_with_it_and_a_restart_tells_only_what_differs(kube: Any) -> None:
    fake, settings = kube
    broker = MemoryBroker()
    async with running(broker, **settings) as run:
        await run.until(lambda: "10.1.0.5" in run.open)
        await fake.stop(forget=True)
        await run.until(lambda: "away" in run.context.notes.get("targets.kubernetes", ""))
        assert "10.1.0.5" in run.open
    async with running(broker, **settings) as run:
        await run.until(lambda: "away" in run.context.notes.get("targets.kubernetes", ""))
        before = {r.uid: r for r in run.records}
        fake.delete("pods", "web", "prod")
        fake.put("pods", pod("db", "10.1.0.6"))
        await fake.start()
        await run.until(lambda: "10.1.0.6" in run.open and "10.1.0.5" not in run.open)
        after = {r.uid: r for r in run.records}
        assert after["node/n1"] == before["node/n1"]
        await run.until(lambda: "targets.kubernetes" not in run.context.notes)
        assert run.context.modes["targets.kubernetes"].startswith("watches endpointslices, namespaces, nodes")


async def test_one_of_two_replicas_publishes_and_the_other_goes_on_where_it_ends(kube: Any) -> None:
    fake, settings = kube
    broker = MemoryBroker()
    async with running(broker, "a", Hasty(), lease="on", **settings) as first:
        await first.until(lambda: "10.1.0.5" in first.open)
        async with running(broker, "b", Hasty(), lease="on", **settings) as second:
            await second.until(lambda: "held by a" in second.context.modes.get("targets", ""))
            fake.put("pods", pod("db", "10.1.0.6"))
            await second.until(lambda: "10.1.0.6" in second.open)
            assert second.context.counts.get("targets.published", 0) == 0
            first.context.stop.set()
            await second.until(lambda: not second.context.modes["targets"].startswith("standby"))
            known = {r.uid: r.revision for r in second.records}
            fake.put("pods", pod("cache", "10.1.0.7"))
            await second.until(lambda: "10.1.0.7" in second.open)
            assert second.context.counts.get("targets.published", 0) == 1
            assert second.open["10.1.0.7"].revision > max(known.values())


async def test_a_file_of_rules_is_read_again_when_it_changes(kube: Any, tmp_path: Path) -> None:
    _, settings = kube
    file = tmp_path / "rules.yaml"
    file.write_text("- {name: web, labels: app=web}")
    async with running(MemoryBroker(), rules_file=str(file), rules_poll_s=0.01, **settings) as run:
        await run.until(lambda: "10.1.0.5" in run.open and run.open["10.1.0.5"].targeted)
        assert (run.rules["web"].source, run.rules["web"].read_only) == ("file", True)
        file.write_text("- {name: web, label: app=db}")
        await run.until(lambda: "'label' is no field" in run.context.notes.get("targets.rules_file", ""))
        assert run.open["10.1.0.5"].targeted
        file.write_text("- {name: db, labels: app=db}")
        await run.until(lambda: not run.open["10.1.0.5"].targeted and set(run.rules) == {"db"})
        assert "targets.rules_file" not in run.context.notes


def test_a_wrong_file_is_an_error_at_the_start(tmp_path: Path) -> None:
    context = Context(bus=MemoryBus("weir"))
    with pytest.raises(SettingsError, match="cannot read"):
        TargetsService(TargetsSettings(rules_file=str(tmp_path / "none.yaml")), context)
    (tmp_path / "rules.yaml").write_text("- {name: x, pod: (}")
    with pytest.raises(SettingsError, match=r"rules.yaml"):
        TargetsService(TargetsSettings(rules_file=str(tmp_path / "rules.yaml")), context)
