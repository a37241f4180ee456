from __future__ import annotations

from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.update
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.dissect.api import Exchange, Limits, Output, Probe
from weir.dissect.cursor import Cursor, Invalid
from weir.dissect.dns_message import RECORDS, read_message
from weir.dissect.dns_names import Names
from weir.dissect.dns_records import render
from weir.dissect.protocols.dns import Dns
from weir.testing.transcript import C, Line, Lost, S, at_points, every, exchanges, play


def query(name: str = "www.example.com", kind: str = "A", number: int = 7, **more: Any) -> dns.message.Message:
    message = dns.message.make_query(name, kind, **more)
    message.id = number
    return message


def answer(to: dns.message.Message, *records: str, rcode: str = "NOERROR", section: str = "answer") -> bytes:
    """`records` as in a master file: name, TTL, class, type, data."""
    message = dns.message.make_response(to)
    message.set_rcode(dns.rcode.from_text(rcode))
    for record in records:
        name, ttl, cls, kind, data = record.split(maxsplit=4)
        getattr(message, section).append(dns.rrset.from_text(name, int(ttl), cls, kind, data))
    return message.to_wire()


def only(outputs: list[Output]) -> Exchange:
    assert len(outputs) == 1, outputs
    assert isinstance(outputs[0], Exchange)
    return outputs[0]


def udp(*lines: Line, **more: Any) -> list[Output]:
    return play(Dns(), lines, transport="udp", **more)


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2) + message


WWW = "www.example.com. 300 IN A 10.0.0.1"


def test_query_and_response() -> None:
    asked = query()
    found = only(udp((C, asked.to_wire()), (S, answer(asked, WWW, "www.example.com. 300 IN MX 10 mail.example.com."))))
    assert (found.protocol, found.kind, found.side, found.offset) == ("dns", "exchange", C, 0)
    assert (found.fields["dns_name"], found.fields["dns_type"]) == ("www.example.com", "A")
    assert (found.fields["dns_rcode"], found.fields["dns_opcode"], found.fields["dns_id"]) == ("NOERROR", "QUERY", 7)
    assert found.fields["dns_answers"] == ["10.0.0.1", "10 mail.example.com"]
    assert found.fields["dns_records"][1] == {
        "section": "answer", "name": "www.example.com", "type": "MX", "class": "IN", "ttl": 300,
        "data": "10 mail.example.com",
    }  # fmt: skip
    assert found.fields["dns_questions"] == ["www.example.com"]
    assert found.fields["dns_flags"] == ["RD"]
    assert found.fields["dns_request"] is True
    assert found.fields["dns_response"] is True
    assert found.fields["dns_request_length"] == len(asked.to_wire())
    assert found.fields["dns_total_size"] == found.fields["dns_request_length"] + found.fields["dns_response_length"]
    assert (found.ok, found.summary) == (True, "A www.example.com → 10.0.0.1")
    assert (found.weird, found.incomplete) == ([], [])
    assert found.request is not None
    assert found.response is not None
    assert found.request.timestamp < found.response.timestamp


@pytest.mark.parametrize("rcode", ["NXDOMAIN", "SERVFAIL", "REFUSED"])
def test_failures(rcode: str) -> None:
    asked = query()
    soa = "example.com. 60 IN SOA ns.example.com. root.example.com. 1 2 3 4 5"
    found = only(udp((C, asked.to_wire()), (S, answer(asked, soa, rcode=rcode, section="authority"))))
    assert (found.fields["dns_rcode"], found.ok) == (rcode, False)
    assert found.summary == f"A www.example.com → {rcode}"
    assert found.fields["dns_answers"] == []
    assert found.fields["dns_records"][0]["data"] == "ns.example.com root.example.com 1 2 3 4 5"


def test_no_records_is_an_answer() -> None:
    asked = query(kind="AAAA")
    assert only(udp((C, asked.to_wire()), (S, answer(asked)))).summary == "AAAA www.example.com → no records"


def test_an_alias_is_followed_in_the_summary() -> None:
    asked = query()
    alias = [f"a.example.com. 1 IN A 10.0.0.{n}" for n in range(5)]
    found = only(udp((C, asked.to_wire()), (S, answer(asked, "www.example.com. 1 IN CNAME a.example.com.", *alias))))
    assert found.summary.endswith(" +2")
    assert found.summary.startswith("A www.example.com → 10.0.0.")


def test_answers_in_any_order_and_names_in_any_case() -> None:
    first, second = query("a.test", number=1), query("B.test", number=2)
    reply = answer(query("b.tEST", number=2), "b.tEST. 1 IN A 1.1.1.1")
    one, two = exchanges(udp((C, first.to_wire()), (C, second.to_wire()), (S, reply), (S, answer(first))))
    assert (one.fields["dns_name"], one.fields["dns_answers"], one.offset) == ("B.test", ["1.1.1.1"], 1)
    assert (two.fields["dns_name"], two.offset) == ("a.test", 0)


def test_one_id_for_two_questions() -> None:
    """glibc asks for A and AAAA at once; nothing forbids equal ids."""
    v4, v6 = query("a.test"), query("a.test", "AAAA")
    lines = [(C, v4.to_wire()), (C, v6.to_wire()), (S, answer(v6)), (S, answer(v4))]
    assert [e.fields["dns_type"] for e in exchanges(udp(*lines))] == ["AAAA", "A"]


def test_a_query_that_is_sent_again() -> None:
    asked = query()
    wire = asked.to_wire()
    pair, again = exchanges(udp((C, wire), (C, wire), (C, wire), (S, answer(asked, WWW)), (S, answer(asked, WWW))))
    assert (pair.fields["dns_tries"], pair.weird, pair.offset) == (3, ["query sent again"], 0)
    assert pair.request is not None
    assert pair.response is not None
    assert pair.response.timestamp - pair.request.timestamp == 3_000_000
    assert (again.kind, again.request, again.weird) == ("message", None, ["second response to one query"])


def test_a_query_may_come_again_after_its_answer() -> None:
    asked = query()
    lines = [(C, asked.to_wire()), (S, answer(asked, WWW))] * 3
    found = exchanges(udp(*lines))
    assert [(e.offset, e.weird) for e in found] == [(0, []), (1, []), (2, [])]


def test_unanswered_and_unasked() -> None:
    unanswered, unasked = query("a.test"), query("b.test", number=8)
    one, two = exchanges(udp((C, unanswered.to_wire()), (S, answer(unasked))))
    assert (one.summary, one.incomplete, one.ok) == ("A a.test", ["response not seen"], None)
    assert (two.summary, two.incomplete, two.side) == ("A b.test → no records", ["request not seen"], S)
    assert two.request is None


def test_an_answer_without_the_question() -> None:
    asked = query(number=77)
    reply = dns.message.Message(id=77)
    reply.flags = dns.flags.QR
    reply.set_rcode(dns.rcode.FORMERR)
    found = only(udp((C, asked.to_wire()), (S, reply.to_wire())))
    assert (found.fields["dns_rcode"], found.fields["dns_name"], found.incomplete) == ("FORMERR", "www.example.com", [])


def test_edns() -> None:
    options = [dns.edns.ECSOption("10.1.2.0", 24), dns.edns.GenericOption(10, b"\1\2\3\4\5\6\7\x08")]
    asked = query(use_edns=0, payload=1232, want_dnssec=True, options=options)
    found = only(udp((C, asked.to_wire())))
    assert found.fields["dns_edns"] == {
        "version": 0, "udp_size": 1232, "do": True, "ECS": "10.1.2.0/24", "COOKIE": "0102030405060708",
    }  # fmt: skip
    reply = dns.message.make_response(asked)
    reply.use_edns(0, options=[dns.edns.EDEOption(15, "blocked")])
    reply.set_rcode(dns.rcode.BADVERS)
    found = only(udp((C, asked.to_wire()), (S, reply.to_wire())))
    assert found.fields["dns_rcode"] == "BADVERS"
    assert found.fields["dns_edns"]["EDE"] == "15 blocked"


def test_update_and_notify() -> None:
    update = dns.update.UpdateMessage("example.com")
    update.add("host", 300, "A", "10.0.0.9")
    update.delete("gone", "A")
    found = only(udp((C, update.to_wire()), (S, dns.message.make_response(update).to_wire())))
    assert (found.fields["dns_opcode"], found.summary) == ("UPDATE", "UPDATE example.com → NOERROR")
    assert (found.fields["dns_type"], found.weird) == ("SOA", [])


def test_multicast_is_not_paired() -> None:
    asked = dns.message.make_query("_http._tcp.local", "PTR")
    asked.id, asked.flags = 0, dns.flags.Flag(0)
    told = dns.message.Message(id=0)
    told.flags = dns.flags.QR | dns.flags.AA
    told.answer.append(dns.rrset.from_text("_http._tcp.local.", 10, "IN", "PTR", "My\\032Printer._http._tcp.local."))
    one, two = exchanges(udp((C, asked.to_wire()), (C, told.to_wire()), close=False))
    assert (one.kind, one.summary, one.response, one.incomplete) == ("message", "PTR _http._tcp.local", None, [])
    assert (two.kind, two.request, two.summary) == ("message", None, "My\\032Printer._http._tcp.local")
    assert two.response is not None


@pytest.mark.parametrize("snapshot", [False, True])
@pytest.mark.parametrize("size", [1, 3, 11, 1000])
def test_over_tcp(size: int, snapshot: bool) -> None:
    asked = [query(f"{n}.test", number=n) for n in range(4)]
    lines: list[Line] = [
        (C, b"".join(framed(one.to_wire()) for one in asked)),
        (S, b"".join(framed(answer(one, f"{n}.test. 1 IN A 10.0.0.{n}")) for n, one in enumerate(asked))),
    ]
    found = exchanges(play(Dns(), lines, split=every(size), snapshot=snapshot))
    assert [e.fields["dns_answers"] for e in found] == [[f"10.0.0.{n}"] for n in range(4)]
    assert found[1].offset == len(framed(asked[0].to_wire()))
    assert found[1].request is not None
    assert found[1].request.size == len(framed(asked[1].to_wire()))


def test_over_tcp_with_bytes_lost() -> None:
    asked = [framed(query(f"{n}.test", number=n).to_wire()) for n in range(1, 5)]
    lines: list[Line] = [(C, asked[0] + asked[1][:9]), Lost(C, len(asked[1]) - 9 + 4), (C, asked[2][4:] + asked[3])]
    for size in (1, 5, 1000):
        names = [e.fields["dns_name"] for e in exchanges(play(Dns(), lines, split=every(size)))]
        assert names == ["1.test", "4.test"]


def test_a_message_that_was_cut() -> None:
    asked = query()
    reply = answer(asked, WWW, "www.example.com. 300 IN A 10.0.0.2")
    found = only(udp((C, asked.to_wire()), (S, reply[:-5])))
    assert found.fields["dns_answers"] in (["10.0.0.1"], ["10.0.0.2"])
    assert found.incomplete == ["message cannot be read to its end: ends early"]


def test_a_broken_record_keeps_the_others() -> None:
    asked = query()
    reply = bytearray(answer(asked, "www.example.com. 1 IN TXT hi"))
    reply[7] += 1
    reply += bytes.fromhex("c00c 0001 0001 00000001 0003 0a0b0c")
    found = only(udp((C, asked.to_wire()), (S, bytes(reply))))
    assert found.fields["dns_answers"] == ['"hi"', "\\# 3 0a0b0c"]
    assert found.weird == ["malformed A record"]


def test_names() -> None:
    def read(raw: bytes, at: int = 0) -> str:
        cursor = Cursor(raw, closed=True)
        cursor.pos = at
        return Names().read(cursor)

    assert read(b"\0") == "."
    assert read(b"\3www\7example\3com\0") == "www.example.com"
    assert read(b"\4a.b\\\0") == "a\\.b\\\\"
    assert read(b"\7Z\xc3\xbcrich\0") == "Zürich"
    assert read(b"\2\xff\1\0") == "\\255\\001"
    assert read(b"\3com\0\3www\xc0\0", 5) == "www.com"
    assert read(b"\1c\0\1b\xc0\0\1a\xc0\3", 7) == "a.b.c"
    for raw in (b"", b"\3ww", b"\xc0\0", b"\1a\xc0\0", b"\x40aaa\0", b"\x80\0", b"\xc0", b"\x3f" + b"a" * 62):
        with pytest.raises(Invalid):
            read(raw)
    with pytest.raises(Invalid):
        read((b"\x3f" + b"a" * 63) * 4 + b"\0")


def test_pointers_cannot_be_made_expensive() -> None:
    """Each record's name points to the one before: without memory of what was read that is a square."""
    raw = bytearray(b"\0\7\x81\0\0\1\x27\x10\0\0\0\0" + b"\1a" * 60 + b"\0\0\1\0\1")
    place = 12
    while len(raw) < 16_000:
        pointer = (0xC000 | place).to_bytes(2)
        place = len(raw)
        raw += pointer + b"\0\1\0\1\0\0\0\0\0\0"
    message = read_message(bytes(raw))
    assert "point back" in message.cut or len(message.records) <= RECORDS
    assert len(message.records) > 100


RDATA = [
    ("A", "10.0.0.1"), ("AAAA", "2001:db8::1"), ("NS", "ns.test."), ("CNAME", "."), ("PTR", "a.b.test."),
    ("MX", "10 mail.test."), ("TXT", '"one" "two \\"x\\" \\001"'), ("SOA", "ns.test. root.test. 1 2 3 4 5"),
    ("SRV", "1 2 443 svc.test."), ("CAA", '0 issue "ca.test; x=1"'), ("NAPTR", '1 2 "u" "E2U+sip" "!^.*$!sip:a@b!" .'),
    ("DS", "60485 5 1 2bb183af5f22588179a53b0a98631fad1a292118"), ("DNSKEY", "256 3 5 AQPSKmynfzW4kyBv015MUG2DeIQ3"),
    ("RRSIG", "A 5 3 86400 20300322173103 20300220173103 2642 test. oJB1W6WNGv+ldvQ3WDG0MQkg5IEhjRip8WTr"),
    ("NSEC", "host.test. A MX RRSIG NSEC TYPE1234"), ("NSEC3PARAM", "1 0 12 aabbccdd"), ("NSEC3PARAM", "1 0 0 -"),
    ("NSEC3", "1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX DNSKEY NS"), ("HINFO", '"cpu" "os"'),
    ("TLSA", "3 1 0 0123456789abcdef"), ("SSHFP", "2 1 123456789abcdef67890123456789abcdef67890"),
    ("URI", '10 1 "https://a.test/"'), ("DNAME", "x.test."), ("RP", "a.test. b.test."), ("AFSDB", "1 a.test."),
    ("SVCB", '1 svc.test. alpn="h2,h3" port="8443" ipv4hint="10.0.0.1,10.0.0.2"'), ("HTTPS", "0 other.test."),
    ("HTTPS", '1 . mandatory="alpn,ipv6hint" alpn="h2" no-default-alpn ipv6hint="2001:db8::1" key600="x"'),
    ("CERT", "1 2 3 AAAA"), ("OPENPGPKEY", "AAAAAA=="), ("EUI48", "01-02-03-04-05-06"), ("SMIMEA", "3 1 0 00ff"),
    ("CDS", "1 8 1 2bb183af5f22588179a53b0a98631fad1a292118"), ("KX", "1 a.test."), ("TYPE65280", "\\# 3 010203"),
]  # fmt: skip


def normal(text: str) -> list[str]:
    """Without what differs on purpose: final dots, and the spaces that dnspython puts into base64."""
    words = [word if word == "." else word.rstrip(".") for word in text.split(" ")]
    return [*words[:8], "".join(words[8:])]


@pytest.mark.parametrize(("kind", "text"), RDATA, ids=[f"{kind}-{i}" for i, (kind, _) in enumerate(RDATA)])
def test_records_read_as_dnspython_reads_them(kind: str, text: str) -> None:
    number = dns.rdatatype.from_text(kind)
    wire = dns.rdata.from_text(dns.rdataclass.IN, number, text).to_wire()
    theirs = dns.rdata.from_wire(dns.rdataclass.IN, number, wire, 0, len(wire)).to_text()
    ours, fits = render(int(number), Cursor(wire, closed=True), Names())
    assert fits
    if kind == "CERT":
        assert (ours, theirs) == ("1 2 3 AAAA", "PKIX 2 DSA AAAA")
        return
    assert normal(ours) == normal(theirs)
    for end in range(len(wire)):
        render(int(number), Cursor(wire[:end], closed=True), Names())


def test_probe_over_udp() -> None:
    probe = Dns().probe
    asked = query()
    assert probe(C, asked.to_wire(), "udp") is Probe.YES
    assert probe(S, answer(asked, WWW), "udp") is Probe.YES
    assert probe(S, asked.to_wire(), "udp") is Probe.NO
    assert probe(C, answer(asked, WWW), "udp") is Probe.NO
    assert probe(C, asked.to_wire() + b"x", "udp") is Probe.NO
    assert probe(C, asked.to_wire()[:-1], "udp") is Probe.NO
    assert probe(C, b"", "udp") is Probe.NO


def test_probe_over_tcp() -> None:
    probe = Dns().probe
    asked, reply = framed(query().to_wire()), framed(answer(query(), WWW))
    for side, whole in ((C, asked), (S, reply)):
        answers = [probe(side, whole[:n]) for n in range(1, len(whole) + 1)]
        assert answers[0] is Probe.MAYBE
        assert answers[-1] is Probe.YES
        assert Probe.NO not in answers
    assert probe(S, asked) is Probe.NO


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        bytes.fromhex("1603010200010001fc0303") + bytes(60),
        bytes.fromhex("b0c001000001000000000000 20") + b"CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" + b"\0\0\x21\0\1",  # NetBIOS
        bytes.fromhex("230206ea") + bytes(44),  # NTP
        bytes(64),
        b"\xff" * 64,
    ],
)
def test_probe_of_others(head: bytes) -> None:
    for side in (C, S):
        assert Dns().probe(side, head, "udp") is Probe.NO
        assert Dns().probe(side, head, "tcp") is not Probe.YES


@given(st.binary(max_size=300))
def test_any_bytes(raw: bytes) -> None:
    for side in (C, S):
        Dns().probe(side, raw, "udp")
        Dns().probe(side, raw)
    udp((C, raw), (S, raw))
    play(Dns(Limits(head=200)), [(C, framed(raw)), (S, raw)])


HEADERS = st.tuples(st.integers(0, 3), st.sampled_from([0, 0x0100, 0x8180]), *[st.integers(0, 3)] * 4)


MADE = st.tuples(st.sampled_from([C, S]), HEADERS, st.binary(max_size=60))


@given(st.lists(MADE, max_size=6), st.lists(st.integers(0, 90), max_size=5))
def test_any_messages_in_any_split(made: list[tuple[Any, Any, bytes]], points: list[int]) -> None:
    lines: list[Line] = [
        (side, framed(b"".join(n.to_bytes(2) for n in head) + b"\1a\0\0\1\0\1" + rest)) for side, head, rest in made
    ]
    assert play(Dns(), lines, split=at_points(points), snapshot=True) == play(Dns(), lines)
