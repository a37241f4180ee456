from __future__ import annotations

from typing import Any

from weir.archive.api import Statistics
from weir.hub.why import Seen, Situation, Why, seen_of, why
from weir.model.control import Control, EndpointRecord, Rule
from weir.model.entry import Named
from weir.model.health import Heartbeat

NAMES = ("prod", "web-1")


def record(namespace: str = "prod", name: str = "web-1", **more: Any) -> EndpointRecord:
    values: dict[str, Any] = {
        "address": "10.1.0.1", "uid": f"{namespace}/{name}", "namespace": namespace, "node": "n1", "role": "pod",
        "pod": Named(name, namespace), "workload": "deployment/web", "labels": {"app": "web"}, "captured": True,
    }
    return EndpointRecord(**values | more)


def beat(**more: Any) -> Heartbeat:
    values: dict[str, Any] = {"process": "cap", "stages": ["capture"], "node": "n1", "started_ns": 1, "sent_ns": 2}
    return Heartbeat(**values | more)


def ask(
    *, rules: list[Rule] | None = None, control: Control | None = None, beats: list[Heartbeat] | None = None,
    records: list[EndpointRecord] | None = None, name: str = "web-1", seen: dict[str, Any] | None = None, **more: Any,
) -> Why:
    return why(Situation(
        namespace="prod", name=name, records=[record(**more)] if records is None else records, rules=rules or [],
        control=control or Control(generation=1), beats=[beat()] if beats is None else beats,
        seen=Seen(since_s=600, **(seen or {})),
    ))


def group(kind: str, protocol: str = "http", src: str = "web-1", dst: str = "db", errors: float = 0) -> Statistics:
    return Statistics(
        key=(protocol, kind, "prod", src, "prod", dst), count=3, entries=3, errors=errors, p50_us=0, p95_us=0, p99_us=0,
        bytes=0,
    )


def test_a_pod_that_nobody_knows() -> None:
    told = ask(name="web", records=[record(), record("test", "web")])
    assert (told.verdict, told.hint) == ("unknown", "similar: test/web, prod/web-1")
    assert "network" in ask(name="other").hint
    assert "knows no pods" in ask(name="other", records=[]).hint
    assert ask(until_ns=5).verdict == "ended"


def test_capture_that_is_off() -> None:
    assert ask(control=Control(generation=1, capture=False), targeted=True).verdict == "off"


def test_not_targeted_and_what_would_do_it() -> None:
    told = ask()
    assert (told.verdict, told.targeted) == ("not_targeted", False)
    assert "weir targets add -n prod --workload deployment/web" in told.hint
    assert "weir tap web-1 -n prod" in ask(workload="").hint
    nearly = ask(rules=[
        Rule(name="r1", namespaces=["test"], pod="web.*"), Rule(name="r2", pod="cart.*"),
        Rule(name="r3", namespaces=["test"], pod="cart.*"), Rule(name="r4", target="all", exclude=True),
    ][:3])
    assert "rule r1 would, but for its namespaces (test)" in nearly.says
    assert "rule r2 would, but for its pod (cart.*)" in nearly.says
    assert "r3" not in nearly.says
    assert "rule r5 selects it, and has not been applied yet" in ask(rules=[Rule(name="r5", pod="web.*")]).says
    assert "port:80" in ask(control=Control(generation=1, targets=["port:80"])).says


def test_a_target_without_pods_that_fits() -> None:
    for text in ("all", "10.1.0.1", "10.0.0.0/8"):
        told = ask(control=Control(generation=1, targets=[text]), seen={"exchanges": 1, "protocols": {"http": 1}})
        assert (told.verdict, told.targeted, told.rules) == ("ok", True, [text])
    assert ask(control=Control(generation=1, targets=["10.2.0.0/16"])).verdict == "not_targeted"


def test_excluded_wins_over_targeted() -> None:
    no = Rule(name="no", labels="app=web", exclude=True)
    told = ask(rules=[no, Rule(name="yes", pod="web.*")])
    assert (told.verdict, told.hint) == ("excluded", "`weir targets remove no`")
    assert ask(rules=[Rule(name="net", target="10.1.0.0/16", exclude=True)]).verdict == "excluded"
    assert ask(control=Control(generation=1, excluded=["10.1.0.1"])).verdict == "excluded"


def test_its_calls_are_shown_with_what_else_is_to_know() -> None:
    told = ask(
        targeted=True, rules=[], seen={"exchanges": 5, "failed": 2, "protocols": {"http": 4, "dns": 1}},
        control=Control(generation=1, sample_rate=0.25),
        beats=[beat(rates={"lost.capture.ring": 3.0}, lost={"capture.ring": 9}, lag={"x/0": 20_000})],
    )
    assert told.verdict == "ok"
    assert told.says == "its calls are shown: 1 dns, 4 http in the last 10 minutes, 2 of them failed"
    assert told.also == [
        "some of it is missing: cap loses 3 a second (capture.ring)", "25.0% of all conversations are kept",
        "cap lost 9 (capture.ring) since it started", "cap is 20,000 records behind",
    ]


def test_what_keeps_a_targeted_pod_from_being_seen() -> None:
    assert ask(targeted=True, captured=False, beats=[]).verdict == "unseen"
    assert ask(targeted=True, captured=False, beats=[beat(node="n2")]).verdict == "unseen"
    assert ask(targeted=True, beats=[beat(notes=["capture.filter: no eBPF"])]).verdict == "unseen"
    assert ask(targeted=True, beats=[beat(rates={"lost.capture.bus": 1.0})]).verdict == "lost"
    assert ask(targeted=True, beats=[beat(rates={"lost.capture.ceiling": 1.0})]).verdict == "sampled"
    assert ask(targeted=True, seen={"handshakes": 2}).verdict == "encrypted"
    assert ask(targeted=True, control=Control(generation=1, sample_rate=0.01)).verdict == "sampled"
    assert ask(targeted=True, seen={"flows": 2}).verdict == "undecoded"
    silent = ask(targeted=True, seen={"hidden": 3})
    assert silent.verdict == "silent"
    assert "3 probes" in silent.says


def test_what_the_archive_counted() -> None:
    seen = seen_of(
        [group("exchange", errors=1), group("flow", "tcp"), group("handshake", "tls", src="x", dst="web-1"),
         group("exchange", src="x", dst="y"), group("message", "dns")], *NAMES, 600, 20,
    )
    assert seen == Seen(
        since_s=600, exchanges=6, failed=1, handshakes=3, flows=3, hidden=8,
        protocols={"http": 3, "tls": 3, "dns": 3},
    )
