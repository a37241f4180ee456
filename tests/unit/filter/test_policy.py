from __future__ import annotations

from typing import Any

import msgspec
import pytest

from weir.directory import Directory
from weir.engine.api import Drop
from weir.errors import SettingsError
from weir.filter.core import excluded
from weir.filter.policy import FilterPolicy
from weir.model.control import OUTLINE, Control, EndpointRecord
from weir.model.flow import DirectedFlow
from weir.testing.packets import address

FLOW = DirectedFlow(protocol=6, src=address("10.0.0.1"), sport=40000, dst=address("10.0.0.2"), dport=80)
OUTLINED = msgspec.structs.replace(FLOW, outline=True)


def policy(directory: Directory | None = None, exclude: tuple[str, ...] = (), **control: Any) -> FilterPolicy:
    made = FilterPolicy(Directory() if directory is None else directory, excluded=excluded(exclude))
    if control:
        made.adopt(Control(**{"generation": 1, "outline": False, **control}))
    return made


def test_without_a_document_everything_is_an_outline() -> None:
    assert policy().decide(FLOW, "node", 0) == (OUTLINED, None)
    assert policy().generation == OUTLINE.generation


def test_a_targeted_conversation_is_passed_whole() -> None:
    assert policy(targets=["port:80"]).decide(FLOW, "node", 0) == (FLOW, None)


@pytest.mark.parametrize(("outline", "decision"), [(True, (OUTLINED, None)), (False, (FLOW, Drop.NOT_TARGETED))])
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
def test_only_listeners_can_be_excluded(text: str) -> None:
    with pytest.raises(SettingsError):
        excluded([text])


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
    assert policy(targets=[], outline=True, sample_rate=0.0).decide(FLOW, "node", 0) == (OUTLINED, None)


def test_the_other_vantage_has_the_outline() -> None:
    directory = Directory()
    for n, node in ((1, "east"), (2, "west")):
        directory.put(b"%d" % n, EndpointRecord(address=f"10.0.0.{n}", uid=str(n), node=node))
    it = policy(directory, targets=["all"])
    decided = [it.decide(FLOW, node, 0) for node in ("east", "west")]
    assert sorted(d.flow.outline for d in decided) == [False, True]
    assert [d.refused for d in decided] == [None, None]


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
