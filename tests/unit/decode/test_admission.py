"""Whether decode itself knows a reason to read a conversation."""

from __future__ import annotations

from typing import Any

import pytest

from weir.decode.admission import GRACE_NS, Admission, Answer
from weir.decode.core import Decoder
from weir.decode.settings import DecodeSettings
from weir.decode.snapshot import restore, save
from weir.directory import Directory
from weir.model.control import Control, EndpointRecord
from weir.model.entry import EntryMap
from weir.model.flow import DirectedFlow, Side
from weir.testing.segments import NS, START, Connection, Segment, block, directed
from weir.testing.toy import Toy

C, S = Side.CLIENT, Side.SERVER
ASK, ANSWER = b"TOY 1 hello\n", b"TOY 1 world\n"
FLOW = directed()
LONG_AGO = START - 3600 * NS


class Known:
    """Endpoints and documents, and what they admit."""

    def __init__(self, control: Control | None = None, revision: int = 0, at: int = LONG_AGO) -> None:
        self.names = Directory()
        self.admission = Admission(self.names)
        if control is not None:
            self.learn(control, revision, at)

    def learn(self, control: Control, revision: int = 0, at: int = LONG_AGO) -> None:
        self.admission.adopt(control, revision, at)

    def record(self, uid: str = "a", **fields: Any) -> None:
        self.names.put(uid.encode(), EndpointRecord(**{"address": "10.0.0.2", "uid": uid, **fields}))

    def answer(self, ts_ns: int = START, generation: int = 1, revision: int = 0, flow: DirectedFlow = FLOW) -> Answer:
        return self.admission.admits(flow, ts_ns, generation, revision)


def control(generation: int = 1, *targets: str, **fields: Any) -> Control:
    return Control(generation=generation, targets=list(targets), **fields)


def test_without_a_document_nothing_is_admitted() -> None:
    assert Known().answer() is Answer.NO


@pytest.mark.parametrize(
    ("targets", "answer"),
    [(["all"], Answer.YES), (["10.0.0.0/24"], Answer.YES), (["port:8080"], Answer.YES), (["10.0.0.1"], Answer.YES),
     (["port:80"], Answer.NO), ([], Answer.NO)],
)
def test_static_targets_admit(targets: list[str], answer: Answer) -> None:
    assert Known(control(1, *targets)).answer() is answer
    assert Known(control(1, *targets)).answer(flow=FLOW.reversed()) is answer


def test_exclusions_win() -> None:
    assert Known(control(1, "all", excluded=["10.0.0.2"])).answer() is Answer.NO
    known = Known(control(1, excluded=["port:8080"]))
    known.record(targeted=True)
    assert known.answer() is Answer.NO


def test_either_end_that_is_targeted_admits() -> None:
    known = Known(control(1), revision=1)
    known.record(targeted=True, revision=1)
    assert known.answer(revision=1) is Answer.YES
    assert known.answer(revision=1, flow=FLOW.reversed()) is Answer.YES
    assert known.answer(revision=1, flow=directed(dst="10.0.0.3")) is Answer.NO


def test_an_end_that_is_known_and_not_targeted_is_refused() -> None:
    known = Known(control(1), revision=7)
    known.record(targeted=False, revision=7)
    assert known.answer(revision=7) is Answer.NO
    assert known.answer(revision=9) is Answer.NO


def test_what_filter_did_not_know_yet_is_no_leak_for_a_while() -> None:
    known = Known(control(1), revision=6)
    known.record(targeted=False, revision=7)
    known.learn(control(1), revision=7, at=START)
    assert known.answer(START - NS, revision=6) is Answer.FOR_NOW
    assert known.answer(START + GRACE_NS - 1, revision=6) is Answer.FOR_NOW
    assert known.answer(START + GRACE_NS, revision=6) is Answer.NO
    assert known.answer(START - NS, revision=7) is Answer.NO


def test_a_replay_of_what_was_made_under_older_endpoints_is_no_leak() -> None:
    known = Known(control(1), revision=6, at=START + 3500 * NS)
    known.record(targeted=False, revision=7)
    known.learn(control(1), revision=7, at=START + 3600 * NS)
    assert known.answer(START, revision=6) is Answer.FOR_NOW
    assert known.answer(START, revision=7) is Answer.NO


def test_an_address_that_changes_hands_just_then_is_no_leak() -> None:
    known = Known(control(1), revision=2)
    known.record("a", targeted=True, until_ns=START)
    known.record("b", targeted=False, since_ns=START)
    assert known.answer(START - 1, revision=2) is Answer.YES
    assert known.answer(START + NS, revision=2) is Answer.FOR_NOW
    assert known.answer(START + GRACE_NS + 1, revision=2) is Answer.NO


def test_a_target_that_was_just_removed_is_no_leak_for_a_while() -> None:
    known = Known(control(1, "all"))
    known.learn(control(2), at=START)
    assert known.answer(START + NS, generation=1) is Answer.FOR_NOW
    assert known.answer(START + NS, generation=2) is Answer.NO
    assert known.answer(START + GRACE_NS, generation=1) is Answer.NO


def test_a_document_that_wanted_nothing_forgives_nothing() -> None:
    known = Known(control(1, "port:80"))
    known.learn(control(2), at=START)
    assert known.answer(START, generation=1) is Answer.NO


def test_an_exclusion_that_is_new_is_no_leak_for_a_while() -> None:
    known = Known(control(1, "all"))
    known.learn(control(2, "all", excluded=["port:8080"]), at=START)
    assert known.answer(START, generation=1) is Answer.FOR_NOW
    assert known.answer(START, generation=2) is Answer.NO


def test_a_block_under_a_document_that_nobody_remembers_is_judged_by_its_time() -> None:
    known = Known(control(5), at=START)
    assert known.answer(START - NS, generation=3) is Answer.FOR_NOW
    assert known.answer(START + GRACE_NS, generation=3) is Answer.NO


def test_what_is_remembered_is_bounded_and_versions_rise() -> None:
    known = Known()
    versions = []
    for n in range(1000):
        known.learn(control(n + 1), revision=n + 1, at=START + n)
        versions.append(known.admission.version)
    assert versions == sorted(set(versions))
    assert known.answer(START, generation=2) is Answer.FOR_NOW
    assert len(known.admission._documents) <= 64
    assert len(known.admission._learned) <= 64


# A filter that lets everything through.


class Decoded:
    def __init__(self, known: Known) -> None:
        self.known = known
        self.decoder = Decoder(DecodeSettings(), [Toy()], names=known.names, admission=known.admission)
        self.entries: list[EntryMap] = []
        self.offset = 0

    def feed(self, *segments: Segment, **options: Any) -> None:
        made = block(segments, offset=self.offset, **{"generation": 1, **options})
        self.offset += 1
        self.entries += self.decoder.feed(made)

    @property
    def summaries(self) -> list[str]:
        return [entry["summary"] for entry in self.entries if entry["kind"] != "flow"]


def test_with_filter_open_no_payload_passes_and_that_is_counted() -> None:
    run = Decoded(Known(control(1, "port:9")))
    secret, wanted = Connection(), Connection(directed(dport=9))
    for c in (secret, wanted):
        run.feed(*c.open(), *c.send(C, ASK), *c.send(S, ANSWER), *c.close())
    run.feed(end=True)
    assert run.summaries == ["hello → world"]
    flows = {entry["dst"]["port"]: entry for entry in run.entries if entry["kind"] == "flow"}
    assert flows[8080]["undecoded"] == "not targeted"
    assert "first_bytes_client" not in flows[8080]
    assert run.decoder.leaked == run.decoder.counts["decode.leaked"] == 1
    assert b"hello" not in save(run.decoder)


def test_a_connection_whose_target_goes_away_is_read_no_further() -> None:
    run = Decoded(Known(control(1, "all")))
    c = Connection()
    run.feed(*c.open(), *c.send(C, ASK), *c.send(S, ANSWER))
    run.known.learn(control(2), at=START - GRACE_NS)
    run.feed(*c.send(C, b"TOY 2 more\n"), *c.send(S, b"TOY 2 more\n"), generation=2)
    assert run.summaries == ["hello → world"]
    assert run.decoder.leaked == 1
    run.known.learn(control(3, "all"), at=START)
    run.feed(*c.send(C, b"TOY 3 again\n"), *c.send(S, b"TOY 3 again\n"), generation=3)
    run.feed(generation=3, clock_ns=c.ts_ns + 2 * NS)
    assert run.summaries == ["hello → world", "again → again"]


def test_what_is_admitted_for_now_is_asked_about_again() -> None:
    run = Decoded(Known(control(1, "all")))
    run.known.learn(control(2), at=START)
    c = Connection()
    run.feed(*c.open(), *c.send(C, ASK), *c.send(S, ANSWER), generation=1)
    c.ts_ns = START + GRACE_NS
    run.feed(*c.send(C, b"TOY 2 more\n"), *c.send(S, b"TOY 2 more\n"), generation=1)
    assert run.summaries == ["hello → world"]
    assert run.decoder.leaked == 1


def test_what_was_admitted_is_asked_about_again_by_whoever_takes_over() -> None:
    run = Decoded(Known(control(1, "all")))
    c = Connection()
    run.feed(*c.open(), *c.send(C, ASK))
    heir = Decoded(Known(control(1)))
    restore(heir.decoder, save(run.decoder))
    heir.offset = run.offset
    heir.feed(*c.send(S, ANSWER))
    assert "world" not in str(heir.entries)
    assert heir.decoder.leaked == 1
