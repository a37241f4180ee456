from __future__ import annotations

import ipaddress

import pytest

from weir.capture.bpf.layout import WORD, End, Mode, end_fields, end_key, net_key, port_key
from weir.capture.bpf.selection import Selection
from weir.directory.vantage import node_number
from weir.model.control import Control, EndpointRecord
from weir.net.target import parse_target


def packed(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def record(address: str, **fields: object) -> EndpointRecord:
    return EndpointRecord(**({"address": address, "uid": address} | fields))  # type: ignore[arg-type]


def adopted(**fields: object) -> Selection:
    selection = Selection()
    selection.adopt(Control(generation=1, **fields))  # type: ignore[arg-type]
    return selection


def flags(value: bytes | None) -> End:
    assert value is not None
    return End(end_fields(value)[0])


def test_static_targets_go_where_they_are_looked_up() -> None:
    told = adopted(
        targets=["10.0.0.1", "[fd00::1]:443", "10.1.0.0/16", "port:80"], excluded=["10.0.0.1:22"]
    ).changes()
    assert {key: flags(value) for key, value in told.ends.items()} == {
        end_key(packed("10.0.0.1"), 0): End.CHOSEN, end_key(packed("fd00::1"), 443): End.CHOSEN,
        end_key(packed("10.0.0.1"), 22): End.EXCLUDED,
    }
    assert {key: flags(value) for key, value in told.nets.items()} == {net_key(packed("10.1.0.0"), 16, 0): End.CHOSEN}
    assert told.ports == {port_key(80): WORD.pack(End.CHOSEN)}
    assert told.mode == Mode.OUTLINE | Mode.NETS | Mode.PORTS
    assert told.addresses == 2


def test_only_differences_are_told() -> None:
    selection = adopted(targets=["10.0.0.1", "10.0.0.2", "10.1.0.0/16", "port:80"])
    selection.changes()
    selection.adopt(Control(generation=2, targets=["10.0.0.2", "10.0.0.3", "10.2.0.0/16", "port:81"]))
    told = selection.changes()
    assert {key: value is None for key, value in told.ends.items()} == {
        end_key(packed("10.0.0.1"), 0): True, end_key(packed("10.0.0.3"), 0): False,
    }
    assert {key: value is None for key, value in told.nets.items()} == {
        net_key(packed("10.1.0.0"), 16, 0): True, net_key(packed("10.2.0.0"), 16, 0): False,
    }
    assert {key: value is None for key, value in told.ports.items()} == {port_key(80): True, port_key(81): False}
    again = selection.changes()
    assert (again.ends, again.nets, again.ports) == ({}, {}, {})


def test_an_endpoint_tells_what_the_vantage_needs() -> None:
    selection = adopted(pods=True)
    selection.learn([
        (b"a", record("10.0.0.1", targeted=True, captured=True, node="n1", revision=7)),
        (b"b", record("10.0.0.2", captured=True)),
        (b"c", record("10.9.0.1", front=True, port=80)),
    ])
    told = selection.changes()
    assert end_fields(told.ends[end_key(packed("10.0.0.1"), 0)] or b"") == (
        End.KNOWN | End.TARGETED | End.CAPTURED, node_number("n1"),
    )
    assert flags(told.ends[end_key(packed("10.0.0.2"), 0)]) == End.KNOWN
    assert flags(told.ends[end_key(packed("10.9.0.1"), 80)]) == End.KNOWN | End.FRONT
    assert (told.revision, told.addresses) == (7, 1)


def test_an_address_that_changes_hands_is_its_newest_holders() -> None:
    selection, place = adopted(pods=True), end_key(packed("10.0.0.1"), 0)
    selection.learn([(b"old", record("10.0.0.1", targeted=True, since_ns=1))])
    assert End.TARGETED in flags(selection.changes().ends[place])
    selection.learn([(b"new", record("10.0.0.1", since_ns=2))])
    assert flags(selection.changes().ends[place]) == End.KNOWN
    selection.learn([(b"old", record("10.0.0.1", targeted=True, since_ns=1, until_ns=2))])
    assert place not in selection.changes().ends
    selection.learn([(b"new", None)])
    assert selection.changes().ends == {place: None}
    selection.learn([(b"old", None), (b"never", None)])
    assert not selection.changes().ends


def test_a_network_has_what_those_around_it_say() -> None:
    selection = adopted(
        targets=["10.0.0.0/8"], excluded=["10.1.0.0/16"], pods=True, pod_ranges=["10.1.2.0/24", "10.3.3.3"]
    )
    selection.learn([(b"n", record("10.1.0.0/16", targeted=True)), (b"p", record("10.0.0.0/8", port=80, front=True))])
    told = selection.changes()
    assert {key: flags(value) for key, value in told.nets.items()} == {
        net_key(packed("10.0.0.0"), 8, 0): End.CHOSEN,
        net_key(packed("10.0.0.0"), 8, 80): End.KNOWN | End.FRONT,
        net_key(packed("10.1.0.0"), 16, 0): End.CHOSEN | End.EXCLUDED | End.KNOWN | End.TARGETED,
        net_key(packed("10.1.0.0"), 16, 80): End.KNOWN | End.TARGETED,
        net_key(packed("10.1.2.0"), 24, 0): End.CHOSEN | End.EXCLUDED | End.UNSURE | End.KNOWN | End.TARGETED,
        net_key(packed("10.1.2.0"), 24, 80): End.KNOWN | End.TARGETED,
    }, "the longest prefix decides before the port does"
    assert flags(told.ends[end_key(packed("10.3.3.3"), 0)]) == End.UNSURE


def test_own_ends_stay_whatever_the_document_says() -> None:
    selection = Selection([parse_target("0.0.0.0:8899"), parse_target("10.0.0.5:9092")])
    for targets in ([], ["all"], ["10.0.0.5"]):
        selection.adopt(Control(generation=1, targets=targets))
        told = selection.changes()
    assert selection.changes().mode & Mode.PORTS
    assert told.ends == {end_key(packed("10.0.0.5"), 0): told.ends[end_key(packed("10.0.0.5"), 0)]}
    fresh = Selection([parse_target("0.0.0.0:8899"), parse_target("10.0.0.5:9092")]).changes()
    assert flags(fresh.ends[end_key(packed("10.0.0.5"), 9092)]) == End.OWN
    assert fresh.ports == {port_key(8899): WORD.pack(End.OWN)}


def test_this_nodes_addresses_are_no_new_pods() -> None:
    selection = adopted(pods=True, pod_ranges=["10.244.1.0/24"])
    selection.changes()
    assert selection.stay([packed("10.244.1.1")])
    assert not selection.stay([packed("10.244.1.1")])
    told = selection.changes()
    assert {key: flags(value) for key, value in told.ends.items()} == {end_key(packed("10.244.1.1"), 0): End.LOCAL}
    assert told.addresses == 0


@pytest.mark.parametrize(
    ("fields", "mode"),
    [
        ({}, Mode.OUTLINE), ({"capture": False}, Mode.OUTLINE | Mode.CLOSED), ({"outline": False}, Mode(0)),
        ({"pods": True}, Mode.OUTLINE | Mode.PODS), ({"targets": ["all"]}, Mode.OUTLINE | Mode.EVERYTHING),
    ],
)
def test_modes(fields: dict[str, object], mode: Mode) -> None:
    assert adopted(**fields).changes().mode == mode


def test_what_cannot_be_understood_is_told_and_the_rest_holds() -> None:
    selection = adopted(targets=["nonsense", "10.0.0.1"])
    assert len(selection.wrong) == 1
    assert selection.changes().addresses == 1
    selection.learn([(b"x", record("not an address")), (b"y", record("fe80::1%eth0"))])
    assert not selection.changes().ends


def test_everything_excluded_leaves_nothing_targeted() -> None:
    told = adopted(targets=["all"], excluded=["all"]).changes()
    assert {flags(value) for value in told.nets.values()} == {End.EXCLUDED}
    assert len(told.nets) == 2


def test_interfaces_aside_come_and_go() -> None:
    selection = Selection()
    assert Mode.ASIDES not in selection.changes().mode
    assert selection.set_aside([3, 5])
    assert not selection.set_aside([3, 5])
    told = selection.changes()
    assert Mode.ASIDES in told.mode
    assert set(told.asides) == {WORD.pack(3), WORD.pack(5)}
    assert selection.set_aside([5])
    assert selection.changes().asides == {WORD.pack(3): None}
    assert selection.set_aside([])
    assert Mode.ASIDES not in selection.changes().mode
