from __future__ import annotations

import pytest

from weir.decode.identify import NOBODY, Identifier, Nameless, listening_end
from weir.dissect.api import Probe
from weir.model.control import EndpointRecord
from weir.model.flow import Side

C, S = Side.CLIENT, Side.SERVER
BOTH = (C, S)


class Fake:
    def __init__(self, name, ports=(), transports=("tcp",), answers=None):
        self.name, self.ports, self.transports = name, frozenset(ports), frozenset(transports)
        self.answers = answers or {}

    def probe(self, side, head, transport):
        return self.answers.get(side, Probe.NO)


def ask(dissector, call, *args):
    return call(*args)


def test_the_usual_owners_of_a_port_are_asked_first():
    a, b, dns = Fake("a", {1}), Fake("b", {2}), Fake("dns", {53}, ("udp", "tcp"))
    identifier = Identifier([a, b, dns])
    assert identifier.candidates("tcp", (40000, 2), False) == [b, a, dns]
    assert identifier.candidates("tcp", (40000, 9), False) == [a, b, dns]
    assert identifier.candidates("udp", (2, 1), False) == [dns]
    assert identifier.candidates("tcp", (53, 1), True) == [dns]
    assert identifier.candidates("sctp", (1, 2), False) == []


def test_only_dns_is_read_in_outline():
    identifier = Identifier([Fake("dns", {53}, ("udp",)), Fake("http", {80})])
    assert identifier.reads_outline("udp", (40000, 53))
    assert not identifier.reads_outline("tcp", (40000, 53))
    assert not identifier.reads_outline("tcp", (40000, 80))


def test_the_first_yes_takes_it_and_maybe_waits_only_if_nobody_does():
    maybe, yes, no = Fake("m", answers={C: Probe.MAYBE}), Fake("y", answers={C: Probe.YES}), Fake("n")
    recognise = Identifier([]).recognise
    assert recognise([maybe, yes], (C,), b"x", "tcp", ask).dissector is yes
    assert recognise([maybe, no], (C,), b"x", "tcp", ask).maybe
    assert recognise([no], (C,), b"x", "tcp", ask) is NOBODY
    assert recognise([], (C,), b"x", "tcp", ask) is NOBODY


def test_the_answer_tells_the_side_where_it_is_unknown():
    recognise = Identifier([]).recognise
    assert recognise([Fake("a", answers={S: Probe.YES})], BOTH, b"x", "tcp", ask).sides == (S,)
    assert recognise([Fake("a", answers={S: Probe.YES, C: Probe.YES})], BOTH, b"x", "tcp", ask).sides == BOTH


def test_a_probe_that_fails_says_no():
    assert Identifier([]).recognise([Fake("a", answers={C: None})], (C,), b"x", "tcp", lambda *_: None) is NOBODY


@pytest.mark.parametrize(
    ("ports", "opener", "server"),
    [((40000, 8080), 0, 1), ((1024, 8080), 0, 1), ((2000, 1000), 0, 1), ((1000, 2000), 0, 0), ((9, 9), 0, 1),
     ((9, 9), 1, 0)],
)
def test_the_server_by_port(ports, opener, server):
    assert Identifier([Fake("http", {8080})]).server_by_port("tcp", ports, opener) == server


def test_the_listening_end():
    class Names(Nameless):
        def lookup(self, address, port, ts_ns):
            record = EndpointRecord(address="x", uid="x", port=80, listens=True)
            return record if port in (80, 81) else None

    assert listening_end(Names(), ((b"a", 9), (b"b", 80)), 0) == 1
    assert listening_end(Names(), ((b"a", 80), (b"b", 9)), 0) == 0
    assert listening_end(Names(), ((b"a", 80), (b"b", 80)), 0) == -1
    assert listening_end(Names(), ((b"a", 9), (b"b", 81)), 0) == -1, "the record is of another port"
    assert listening_end(Nameless(), ((b"a", 9), (b"b", 80)), 0) == -1
