from __future__ import annotations

import hashlib

import msgspec
import pytest

from weir.decode.entries import EntryMaker, flow_entry_id
from weir.decode.flows import new_flow
from weir.decode.identify import Nameless
from weir.decode.redact import Redactor
from weir.dissect.api import Exchange
from weir.dissect.flow_fields import FLOW_FIELDS
from weir.model.control import EndpointRecord, Redaction
from weir.model.entry import Body, Entry, Message, Named, Peer
from weir.model.flow import UDP, Side, community_id, flow_id
from weir.testing.segments import NS, START, directed

RECORD = EndpointRecord(
    address="10.0.0.2", uid="u", port=8080, listens=True, name="checkout-1", namespace="shop",
    pod=Named("checkout-1", "shop"), service=Named("checkout", "shop"), workload="deployment/checkout", node="n1",
    labels={"app": "checkout"}, targeted=True, rules=["r"],
)


class Names:
    def __init__(self, **records):
        self.version = 1
        self.records = {bytes([10, 0, 0, int(last)]): record for last, record in records.items()}

    def lookup(self, address, port, ts_ns):
        return self.records.get(address)


def a_flow(wire=None, client=0, direction="syn"):
    wire = wire or directed()
    flow = new_flow(wire.key(), wire, "node-a/0", "node-a", 0, START)
    flow.client, flow.direction = client, direction
    flow.low.isn, flow.low.seq = 1000, 1001
    flow.high.isn, flow.high.seq = 5000, 5001
    return flow


NO_MASKS = Redaction(headers=(), query=())
EXCHANGES = [
    Exchange(protocol="toy", offset=0),
    Exchange(protocol="toy", offset=5, side=Side.SERVER, kind="message", response=Message(timestamp=7, size=1)),
    Exchange(
        protocol="grpc", offset=5, stream_id=3, ok=False, summary="x", weird=["a"], incomplete=["b"],
        fields={"method": "GET", "status_code": 0, "query_string": {"a": "b"}},
        request=Message(
            timestamp=START, end=START + 5, size=10, headers={"a": "b"}, trailers={"c": "d"},
            body=Body(size=3, text="abc"),
        ),
        response=Message(
            timestamp=START + 1_500_000, headers={"grpc-status": "0"},
            body=Body(size=9, data=b"\xff", truncated=True, encoding="gzip"),
        ),
    ),
    Exchange(protocol="toy", offset=0, request=Message(), response=Message(body=Body())),
]


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("sample_rate", [1.0, 0.25])
@pytest.mark.parametrize("protocol", [6, UDP])
def test_the_map_is_that_of_the_entry(exchange, sample_rate, protocol):
    wire = directed(protocol=protocol, sample_rate=sample_rate)
    flow = msgspec.structs.replace(a_flow(wire), source="pcap")
    maker = EntryMaker(Names(**{"2": RECORD}), instance="weir", cluster="east")
    maker.redactor = Redactor(NO_MASKS)
    maker.naming.configure(["*"], cluster=False)
    made = maker.exchange(flow, exchange)
    request, response = exchange.request, exchange.response
    first = request or response
    entry = Entry(
        id=made["id"], version=0 if exchange.incomplete else 1, instance="weir", cluster="east", node_name="node-a",
        timestamp=(first.timestamp if first else 0) or START,
        elapsed_time=(response.timestamp - request.timestamp) // 1000 if request and response else 0,
        protocol=exchange.protocol, kind=exchange.kind, flow_id=flow_id(wire.key()), community_id=community_id(wire),
        transport="udp" if protocol == UDP else "tcp", stream_id=exchange.stream_id,
        src=Peer(ip="10.0.0.1", port=40000),
        dst=Peer(
            ip="10.0.0.2", port=8080, name="checkout-1", namespace="shop", pod=RECORD.pod, service=RECORD.service,
            workload="deployment/checkout", node="n1", labels={"app": "checkout"},
        ),
        direction="syn", request=request, response=response, ok=exchange.ok, summary=exchange.summary,
        fields=exchange.fields, source="pcap", weird=exchange.weird, incomplete=exchange.incomplete,
        # msgspec leaves out what *is* the default, so an equal float of another origin would stay.
        **({"sample_rate": sample_rate} if sample_rate != 1.0 else {}),
    )
    assert made == entry.to_map()


def test_what_is_published_does_not_share_with_the_dissector():
    exchange = msgspec.structs.replace(EXCHANGES[2], request=Message(headers={"authorization": "Bearer x"}))
    made = EntryMaker(Nameless()).exchange(a_flow(), exchange)
    assert made["request"]["headers"] != exchange.request.headers
    assert exchange.request.headers == {"authorization": "Bearer x"}


def test_a_flow_entry_fits_the_contract_and_its_declared_fields():
    maker = EntryMaker(Nameless())
    flow = a_flow()
    flow.heads = [b"\x16\x03", b""]
    made = maker.flow(flow, "idle")
    types = {f.name: f.type for f in FLOW_FIELDS}
    fields = {name: made.pop(name) for name in list(made) if name in types}
    assert all(type(value) is types[name] for name, value in fields.items())
    msgspec.convert(made, Entry)
    assert fields["first_bytes_client"] == "1603"
    maker.show_bytes = False
    assert "first_bytes_client" not in maker.flow(flow, "idle")


def test_field_names_are_declared_once():
    assert len({f.name for f in FLOW_FIELDS}) == len(FLOW_FIELDS)


def ids(flow, *exchanges):
    maker = EntryMaker(Nameless())
    return [maker.exchange(flow, e)["id"] for e in exchanges]


def test_an_id_is_the_place_of_a_byte_on_the_wire():
    first = Exchange(protocol="toy", offset=10)
    (here,) = ids(a_flow(), first)
    assert len(here) == 28
    assert int(here, 16) >= 0
    digest = hashlib.blake2b(directed().key(), digest_size=14)
    digest.update(b"0" + (1011).to_bytes(4, "big") + b"0/toy")
    assert here == digest.hexdigest()
    others = [
        Exchange(protocol="toy", offset=11),
        Exchange(protocol="toy", offset=10, stream_id=1),
        Exchange(protocol="http", offset=10),
        Exchange(protocol="toy", offset=10, side=Side.SERVER),
    ]
    assert len({here, *ids(a_flow(), *others)}) == 5
    assert ids(a_flow(directed(scope="n/1")), first) != [here]


def test_an_id_does_not_depend_on_where_reading_began():
    joined = a_flow()
    joined.low.seq, joined.low.offset = 1001 + 50, 43  # joined at the 7th byte
    assert ids(joined, Exchange(protocol="toy", offset=3)) == ids(a_flow(), Exchange(protocol="toy", offset=10))


def test_an_id_does_not_depend_on_who_is_thought_to_be_the_client():
    turned = a_flow(client=1, direction="port")
    assert ids(turned, Exchange(protocol="toy", offset=10, side=Side.SERVER)) == ids(
        a_flow(), Exchange(protocol="toy", offset=10)
    )


def test_an_id_of_a_datagram_is_its_digest_and_minute():
    wire = directed(protocol=UDP)
    exchange = Exchange(protocol="dns", offset=0, request=Message(timestamp=START))
    first, again, later, other = (a_flow(wire) for _ in range(4))
    first.digests, again.digests, later.digests, other.digests = {0: b"a"}, {2: b"a"}, {0: b"a"}, {0: b"b"}
    at_one = msgspec.structs.replace(exchange, offset=1)
    next_minute = msgspec.structs.replace(exchange, request=Message(timestamp=START + 60 * NS))
    assert ids(first, exchange) == ids(again, at_one)
    assert len({*ids(first, exchange), *ids(later, next_minute), *ids(other, exchange)}) == 3


def test_a_flows_id_is_that_of_its_opening_or_else_of_its_minute():
    flow, late, other, joined, minute = (a_flow() for _ in range(5))
    late.first += 300 * NS
    other.low.isn += 1
    for unopened in (joined, minute):
        unopened.direction = "port"
    minute.first += 60 * NS
    assert flow_entry_id(flow) == flow_entry_id(late)
    assert len({flow_entry_id(f) for f in (flow, other, joined, minute)}) == 4


def test_names_are_asked_again_when_they_change():
    names = Names()
    maker = EntryMaker(names)
    flow = a_flow()
    assert "name" not in maker.exchange(flow, EXCHANGES[0])["dst"]
    names.records[bytes([10, 0, 0, 2])] = RECORD
    assert "name" not in maker.exchange(flow, EXCHANGES[0])["dst"]
    names.version = 2
    assert maker.exchange(flow, EXCHANGES[0])["dst"]["name"] == "checkout-1"


@pytest.mark.parametrize(
    ("how", "answered", "ok"), [("fin", True, True), ("rst", True, False), ("idle", True, None), ("idle", False, False)]
)
def test_how_well_a_connection_went(how, answered, ok):
    flow = a_flow()
    flow.syn_at, flow.answered = START, answered
    assert EntryMaker(Nameless()).flow(flow, how).get("ok") is ok
