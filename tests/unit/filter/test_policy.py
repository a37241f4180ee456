from __future__ import annotations

from typing import Any

import msgspec
import pytest

from weir.directory import Directory
from weir.engine.api import Decision, Drop
from weir.errors import SettingsError
from weir.filter.core import own_ends
from weir.filter.policy import FilterPolicy
from weir.model.control import OUTLINE, Control, EndpointRecord
from weir.model.flow import DirectedFlow
from weir.testing.packets import address

FLOW = DirectedFlow(protocol=6, src=address("10.0.0.1"), sport=40000, dst=address("10.0.0.2"), dport=80)
OUTLINED = msgspec.structs.replace(FLOW, outline=True)


def policy(directory: Directory | None = None, exclude: tuple[str, ...] = (), **control: Any) -> FilterPolicy:
    made = FilterPolicy(Directory() if directory is None else directory, own=own_ends(exclude))
    if control:
        made.adopt(Control(**{"generation": 1, "outline": False, **control}))
    return made


def test_without_a_document_everything_is_an_outline() -> None:
    assert policy().decide(FLOW, "node", 0) == Decision(OUTLINED)
    assert policy().generation == OUTLINE.generation


def test_a_targeted_conversation_is_passed_whole() -> None:
    assert policy(targets=["port:80"]).decide(FLOW, "node", 0) == Decision(FLOW)


@pytest.mark.parametrize(
    ("outline", "decision"), [(True, Decision(OUTLINED)), (False, Decision(FLOW, Drop.NOT_TARGETED))]
)
def test_what_is_not_targeted(outline: bool, decision: object) -> None:
    assert policy(targets=["port:81"], outline=outline).decide(FLOW, "node", 0) == decision


def test_an_endpoint_may_be_targeted() -> None:
    directory = Directory()
    directory.put(b"1", EndpointRecord(address="10.0.0.2", uid="1", targeted=True, since_ns=10))
    it = policy(directory, targets=[], outline=False)
    assert it.decide(FLOW, "node", 20).refused is None
    assert it.decide(FLOW.reversed(), "node", 20).refused is None
    assert it.decide(FLOW, "node", 5).refused is Drop.NOT_TARGETED


def test_own_traffic_is_dropped_before_anything_else() -> None:
    it = policy(exclude=("10.0.0.2:80",), targets=["all"])
    assert it.decide(FLOW, "node", 0).refused is Drop.OWN_TRAFFIC
    assert it.decide(FLOW.reversed(), "node", 0).refused is Drop.OWN_TRAFFIC
    other = msgspec.structs.replace(FLOW, dport=81)
    assert it.decide(other, "node", 0).refused is None


@pytest.mark.parametrize("text", ["all", "port:80", "10.0.0.1", "10.0.0.0/8:80", "hub:80", ""])
def test_only_listeners_can_be_own(text: str) -> None:
    with pytest.raises(SettingsError):
        own_ends([text])


def test_sampling() -> None:
    it = policy(targets=["all"], sample_rate=0.5)
    flows = [msgspec.structs.replace(FLOW, sport=port) for port in range(1, 400)]
    decisions = [it.decide(flow, "node", 0) for flow in flows]
    kept = [d for d in decisions if d.refused is None]
    assert 120 < len(kept) < 280
    assert {d.flow.sample_rate for d in kept} == {0.5}
    assert {d.refused for d in decisions} == {None, Drop.SAMPLED_OUT}
    assert [it.decide(f.reversed(), "node", 0).refused for f in flows] == [d.refused for d in decisions]


def test_an_outline_is_not_sampled() -> None:
    assert policy(targets=[], outline=True, sample_rate=0.0).decide(FLOW, "node", 0) == Decision(OUTLINED)


def two_nodes(**fields: Any) -> Directory:
    directory = Directory()
    for n, node in ((1, "east"), (2, "west")):
        record = EndpointRecord(address=f"10.0.0.{n}", uid=str(n), node=node, captured=True, **fields)
        directory.put(b"%d" % n, record)
    return directory


@pytest.mark.parametrize("targets", [["all"], []])
def test_the_other_vantage_has_only_totals(targets: list[str]) -> None:
    it = policy(two_nodes(), targets=targets, outline=True)
    decided = [it.decide(FLOW, node, 0) for node in ("east", "west")]
    assert sorted(d.flow.bare for d in decided) == [False, True]
    assert all(d.flow.outline for d in decided if d.flow.bare)
    assert [d.flow.outline for d in decided if not d.flow.bare] == [not targets]
    assert [d.refused for d in decided] == [None, None]
    assert [d.elsewhere for d in decided] == [bool(targets) and d.flow.bare for d in decided]


def test_a_bare_view_of_what_nobody_wants_is_not_kept() -> None:
    it = policy(two_nodes(), targets=[], outline=False)
    assert {it.decide(FLOW, node, 0).refused for node in ("east", "west")} == {Drop.NOT_TARGETED}


def test_in_front_of_a_service_only_totals_are_kept() -> None:
    directory = Directory()
    directory.put(b"1", EndpointRecord(address="10.0.0.2", uid="1", role="service", front=True, targeted=True))
    decided = policy(directory, targets=["all"]).decide(FLOW, "node", 0)
    assert decided.flow.bare
    assert not decided.elsewhere, "the other view has other addresses: nothing folds the two"


def test_what_is_excluded_is_not_targeted() -> None:
    directory = Directory()
    directory.put(b"1", EndpointRecord(address="10.0.0.2", uid="1", targeted=True))
    it = policy(directory, targets=["all"], excluded=["10.0.0.1"], outline=True)
    assert it.decide(FLOW, "node", 0).flow.outline
    other = msgspec.structs.replace(FLOW, src=address("10.0.0.9"))
    assert not it.decide(other, "node", 0).flow.outline


def test_a_rule_for_a_port_targets_that_port_alone() -> None:
    directory = Directory()
    directory.put(b"1", EndpointRecord(address="10.0.0.2", uid="1"))
    directory.put(b"2", EndpointRecord(address="10.0.0.2", uid="1", port=80, targeted=True))
    it = policy(directory, targets=[], outline=True)
    assert not it.decide(FLOW, "node", 0).flow.outline
    assert it.decide(msgspec.structs.replace(FLOW, dport=81), "node", 0).flow.outline


RANGES = ["10.0.0.0/24"]


def test_an_unknown_address_of_a_pod_range_is_worth_waiting_for() -> None:
    directory = Directory()
    it = policy(directory, pod_ranges=RANGES)
    assert it.unsettled(FLOW, 5)
    it.learn([(b"1", EndpointRecord(address="10.0.0.1", uid="1", since_ns=3))])
    assert it.unsettled(FLOW, 5)
    it.learn([(b"2", EndpointRecord(address="10.0.0.2", uid="2", since_ns=3))])
    assert not it.unsettled(FLOW, 5)
    assert it.unsettled(FLOW, 2)
    elsewhere = msgspec.structs.replace(FLOW, src=address("10.1.0.1"))
    assert not it.unsettled(elsewhere, 5)
    assert not policy(Directory()).unsettled(FLOW, 5)


def test_own_traffic_and_local_addresses_do_not_wait() -> None:
    assert not policy(exclude=("10.0.0.2:80",), pod_ranges=RANGES).unsettled(FLOW, 5)
    assert not policy(pod_ranges=RANGES).unsettled(msgspec.structs.replace(FLOW, scope="node"), 5)


def test_what_was_waited_for_in_vain_is_not_waited_for_again_for_a_while() -> None:
    it = policy(pod_ranges=RANGES)
    it.settle(FLOW, 0)
    minute = 60_000_000_000
    assert [it.unsettled(FLOW, ts) for ts in (0, 4 * minute, 8 * minute)] == [False] * 3
    assert it.unsettled(FLOW, 14 * minute)


def test_who_becomes_known_after_all_is_waited_for_the_next_time() -> None:
    it = policy(pod_ranges=["10.0.0.1/32"])
    it.settle(FLOW, 5)
    it.learn([(b"1", EndpointRecord(address="10.0.0.1", uid="1", since_ns=0, until_ns=10))])
    assert it.unsettled(FLOW, 11)


SECOND = 1_000_000_000


def test_a_source_is_excused_for_a_while_after_a_change() -> None:
    it = policy()
    assert not it.excused(FLOW, "exact", 100 * SECOND)
    it.adopt(Control(generation=2), 100 * SECOND)
    assert [it.excused(FLOW, "exact", at * SECOND) for at in (90, 101, 104, 105)] == [True, True, True, False]


def test_only_a_change_that_matters_excuses_and_only_its_address() -> None:
    it = policy()
    record = EndpointRecord(address="10.0.0.2", uid="1", targeted=True)
    it.learn([(b"1", record)], 100 * SECOND)
    assert it.excused(FLOW, "exact", 101 * SECOND)
    assert not it.excused(FLOW, "exact", 110 * SECOND)
    it.learn([(b"1", msgspec.structs.replace(record, name="new", revision=7))], 120 * SECOND)
    assert not it.excused(FLOW, "exact", 121 * SECOND)
    it.learn([(b"1", msgspec.structs.replace(record, targeted=False, revision=8))], 120 * SECOND)
    assert it.excused(FLOW, "exact", 121 * SECOND)
    assert not it.excused(msgspec.structs.replace(FLOW, dst=address("10.0.0.3")), "exact", 121 * SECOND)
    it.learn([(b"1", None)], 130 * SECOND)
    assert it.excused(FLOW, "exact", 131 * SECOND)
    it.learn([(b"2", EndpointRecord(address="10.0.0.0/8", uid="2"))], 140 * SECOND)
    assert it.excused(msgspec.structs.replace(FLOW, dst=address("10.0.0.3")), "exact", 141 * SECOND)
    assert it.revision == 8


def test_many_changes_at_once_excuse_everything() -> None:
    it = policy()
    it.learn(
        ((b"%d" % n, EndpointRecord(address=f"10.1.{n // 250}.{n % 250}", uid="1")) for n in range(5000)), 100 * SECOND
    )
    assert it.excused(FLOW, "exact", 101 * SECOND)
    assert not it.excused(FLOW, "exact", 106 * SECOND)


def test_a_classic_filter_knows_static_targets_alone_and_no_filter_knows_a_new_pod() -> None:
    it = policy(targets=["port:80"], excluded=["10.0.0.1"])
    assert it.excused(FLOW, "outline", 100 * SECOND)
    assert not it.excused(FLOW, "exact", 100 * SECOND)
    it = policy(pod_ranges=["10.0.0.2/32"])
    assert it.excused(FLOW, "exact", 100 * SECOND)


def test_a_change_is_a_new_version() -> None:
    directory = Directory()
    it = policy(directory, targets=["all"])
    versions = [it.version]
    it.adopt(Control(generation=1, outline=False, targets=["all"]))
    assert it.version == versions[0]
    it.adopt(Control(generation=2, outline=False, targets=["port:1", "nonsense"]))
    versions.append(it.version)
    directory.put(b"1", EndpointRecord(address="10.0.0.1", uid="1"))
    versions.append(it.version)
    assert versions == sorted(set(versions))
    assert (it.generation, it.wrong) == (2, ["not a target: 'nonsense'"])
    it.adopt(Control(generation=3, excluded=["bad"], pod_ranges=["pods"]))
    assert it.wrong == ["not a target: 'bad'", "not a network: 'pods'"]
