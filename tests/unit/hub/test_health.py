from __future__ import annotations

from typing import Any

from weir.hub.health import OUTLINE, Targeted, health, target_of
from weir.model.control import Control
from weir.model.health import Heartbeat

SECOND = 10**9
NOW = 1000 * SECOND


def beat(process: str = "node-1", **more: Any) -> Heartbeat:
    values: dict[str, Any] = {
        "process": process, "stages": ["capture"], "started_ns": NOW - 60 * SECOND, "sent_ns": NOW - SECOND
    }
    return Heartbeat(**values | more)


def test_all_is_well() -> None:
    found = health([beat("b"), beat("a")], Control(generation=1, outline=False, targets=["all"]), NOW)
    assert found.verdict == "ok"
    assert found.says == []
    assert found.losses == []
    assert [one.process for one in found.processes] == ["a", "b"]
    assert found.processes[0].uptime_s == 60
    assert found.target.says == ""


def test_nobody_reports() -> None:
    assert health([], None, NOW).verdict == "down"
    assert health([beat(sent_ns=NOW - 60 * SECOND)], None, NOW).verdict == "down"


def test_one_process_is_gone() -> None:
    found = health([beat("a"), beat("b", sent_ns=NOW - 7 * SECOND)], None, NOW)
    assert found.verdict == "degraded"
    assert found.says == ["b has not reported for 7 s"]
    assert [one.state for one in found.processes] == ["up", "gone"]


def test_a_hub_that_hears_nobody_blames_its_bus_alone() -> None:
    found = health([beat(sent_ns=NOW - 60 * SECOND)], None, NOW, trouble=["the bus is away: refused"])
    assert found.verdict == "down"
    assert found.says == ["the bus is away: refused"]


def test_losses_are_told_and_those_of_now_count_against_it() -> None:
    past = health([beat(lost={"capture.ring": 5000})], None, NOW)
    assert past.verdict == "ok"
    assert past.losses[0].says == "node-1 lost 5,000 (capture.ring), none now"
    now = health([beat(lost={"capture.ring": 5000}, rates={"lost.capture.ring": 12.0})], None, NOW)
    assert now.verdict == "degraded"
    assert now.losses[0].says == "node-1 lost 5,000 (capture.ring), 12 a second now"


def test_notes_lag_and_own_trouble_are_said() -> None:
    found = health(
        [beat(notes=["store: archive away"], lag={"entries/0": 9000, "entries/1": 9000})], None, NOW,
        trouble=["the bus is away: refused"],
    )
    assert found.verdict == "degraded"
    assert found.says == [
        "the bus is away: refused", "node-1: store: archive away",
        "node-1 is 18,000 records behind: what it shows is not the newest",
    ]


def test_the_outline_is_explained() -> None:
    assert OUTLINE in target_of(None).says
    assert target_of(Control(generation=1)).says == OUTLINE
    assert "nothing is kept" in target_of(Control(generation=1, outline=False)).says
    assert target_of(Control(generation=1, targets=["all"])).says == ""
    assert target_of(Control(generation=1, targets=["all"])).now == "all"
    assert target_of(Control(generation=1, outline=False, capture=False)).says == "capture is switched off"


def test_clocks_that_differ_give_no_negative_ages() -> None:
    assert health([beat(sent_ns=NOW + 5 * SECOND)], None, NOW).processes[0].age_s == 0


def test_where_pods_are_known_the_outline_says_how_to_see_one() -> None:
    quiet = target_of(Control(generation=1), Targeted(pods=3))
    assert quiet.outline
    assert "weir tap POD" in quiet.says
    assert "rules select no pod now" in target_of(Control(generation=1, pods=True), Targeted(pods=3)).says
    some = target_of(Control(generation=1, pods=True), Targeted(pods=30, targeted=2, nodes=["a", "b"], rules=["web"]))
    assert (some.outline, some.says) == (False, "")
    assert some.now == "2 of 30 pods on 2 nodes by web"


def test_a_leak_is_an_alert_with_or_without_its_note() -> None:
    leaking = beat(counters={"decode.leaked{flow}": 7, "decode.entries": 9}, rates={"decode.leaked{flow}": 0.5})
    found = health([leaking], None, NOW)
    assert found.verdict == "degraded"
    assert found.says == [
        "LEAK found by node-1: filter let through what nobody asked for; decode stopped it: 7 (flow), 0.5 a second now"
    ]
    noted = health([beat(counters={"filter.leaked": 1}, notes=["filter.leaked: the kernel filter is open"])], None, NOW)
    assert noted.says == ["LEAK found by node-1: the kernel filter is open: 1, none now"]
    assert [leak.stage for leak in noted.leaks] == ["filter"]
    alone = health([beat(notes=["store.leaked: something came"])], None, NOW)
    assert alone.says == ["LEAK found by node-1: something came"]
    assert health([beat(counters={"filter.leaked": 0})], None, NOW).leaks == []


def test_what_nodes_send_is_told_and_the_ceiling_is_said() -> None:
    beats = [
        beat("a", node="n1", rates={"capture.bytes": 1_500_000.0}),
        beat("b", node="n1", rates={"capture.bytes": 500_000.0}),
        beat("c", node="n2", rates={"capture.bytes": 25_000_000.0}),
        beat("d", node="n3", stages=["decode"]),
        beat("e", node="n4", sent_ns=NOW - 60 * SECOND),
    ]
    found = health(beats, None, NOW)
    assert [(one.node, one.mb_per_s, one.above) for one in found.nodes] == [("n1", 2.0, False), ("n2", 25.0, True)]
    assert found.nodes[0].gb_per_day == 172.8
    assert any("n2 is at its ceiling of 20 MB/s" in text for text in found.says)
