"""The base of framed protocols, by a toy: `<length><kind><text>`, kinds q (query), a (answer), n (note), ! (leave)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.dissect.api import Data, Exchange, Field, GiveUp, Leave, Limits, Probe
from weir.dissect.cursor import Cursor, Invalid
from weir.dissect.framed import Frame, FramedDissector
from weir.dissect.missing import NO_REQUEST, NO_RESPONSE
from weir.model.flow import Side
from weir.testing.transcript import C, Line, Lost, S, at_points, every, exchanges, play, time_of


class Toy(FramedDissector):
    name, title, protocols = "toy", "Toy", ("toy",)
    transports = frozenset({"tcp", "udp"})
    fields = (Field("text", str, "What it says"),)

    def probe(self, side: Side, head: bytes, transport: str = "tcp") -> Probe:
        if len(head) < 2:
            return Probe.MAYBE
        return Probe.YES if head[1:2] in b"qan!" else Probe.NO

    def frame(self, state: Any, side: Side, cursor: Cursor, timestamp: int) -> Frame | Leave | GiveUp | None:
        part = cursor.sub(cursor.u8())
        kind, text = part.take(1), part.rest().decode("latin-1")
        if kind == b"!":
            return Leave(protocol=text)
        if kind == b".":
            return None
        if kind == b"#":
            return Frame(summary=text, skip=int(text))
        if kind not in (b"q", b"a", b"n"):
            raise Invalid(f"kind {kind!r}")
        role = "message" if kind == b"n" else ""
        return Frame(summary=text, role=role, fields={"text": text}, ok=None if kind == b"q" else True)  # type: ignore[arg-type]


class Keyed(Toy):
    """Pairs by the first letter, and finds frames by the byte before a kind."""

    lookback = 1

    def frame(self, state: Any, side: Side, cursor: Cursor, timestamp: int) -> Frame | Leave | GiveUp | None:
        frame = super().frame(state, side, cursor, timestamp)
        if isinstance(frame, Frame):
            frame.key = frame.summary[:1]
        return frame

    def boundary(self, state: Any, side: Side, data: bytes) -> int:
        return next((at for at in range(len(data) - 1) if data[at + 1 : at + 2] in (b"q", b"a")), -1)


def say(kind: str, text: str = "") -> bytes:
    content = (kind + text).encode()
    return bytes((len(content),)) + content


def told(dissector: FramedDissector, lines: list[Line], **more: Any) -> list[tuple[str, list[str]]]:
    return [(e.summary, e.incomplete) for e in exchanges(play(dissector, lines, **more))]


def test_pairs_in_order() -> None:
    lines: list[Line] = [(C, say("q", "1") + say("q", "2")), (S, say("a", "one")), (S, say("a", "two"))]
    assert told(Toy(), lines) == [("1 → one", []), ("2 → two", [])]


def test_stamps_offsets_times_and_sizes() -> None:
    first, second = say("q", "hello"), say("q", "again")
    lines: list[Line] = [(C, first[:3]), (C, first[3:] + second[:2]), (C, second[2:]), (S, say("a", "x"))]
    one, two = exchanges(play(Toy(), lines))
    assert one.request is not None
    assert two.request is not None
    assert (one.offset, one.request.timestamp, one.request.end, one.request.size) == (0, time_of(0), time_of(1), 7)
    assert (two.offset, two.request.timestamp, two.request.end) == (7, time_of(1), time_of(2))
    assert (one.ok, two.ok, one.fields) == (True, None, {"text": "hello"})


def test_an_answer_that_comes_first_waits_for_its_question() -> None:
    lines: list[Line] = [(S, say("a", "one")), (C, say("q", "1"))]
    assert told(Toy(), lines) == [("1 → one", [])]
    assert told(Toy(), lines, midstream=True) == [("one", [NO_REQUEST]), ("1", [NO_RESPONSE])]


def test_half_pairs_and_lone_messages() -> None:
    lines: list[Line] = [(S, say("n", "note")), (C, say("q", "1")), (S, say("n", "note"))]
    found = exchanges(play(Toy(), lines))
    assert [(e.kind, e.summary) for e in found] == [("message", "note"), ("message", "note"), ("exchange", "1")]
    assert found[0].request is None
    assert found[0].side is S


def test_pairs_by_key_in_any_order() -> None:
    lines: list[Line] = [(C, say("q", "a1") + say("q", "b1") + say("q", "a2")), (S, say("a", "bx") + say("a", "ax"))]
    assert told(Keyed(), lines) == [("b1 → bx", []), ("a1 → ax", []), ("a2", [NO_RESPONSE])]


def test_a_datagram_is_a_frame_and_nonsense_is_passed_over() -> None:
    lines: list[Line] = [(C, say("q", "1")), (S, b"\x09atoo short"[:5]), (S, b""), (S, say("a", "one"))]
    assert told(Toy(), lines, transport="udp") == [("1 → one", [])]
    found = exchanges(play(Toy(), [*lines, (C, say("q", "2"))], transport="udp"))
    assert [e.offset for e in found] == [0, 1]


def test_what_is_beyond_the_ceiling_is_passed_over() -> None:
    lines: list[Line] = [(C, say("#", "5") + b"xxxxx" + say("q", "2")), (S, say("a", "one") + say("a", "two"))]
    expected = told(Toy(), lines)
    assert expected == [("5 → one", []), ("2 → two", [])]
    assert told(Toy(), lines, split=every(1), snapshot=True) == expected
    assert exchanges(play(Toy(), lines))[0].request.size == 8  # type: ignore[union-attr]
    partly: list[Line] = [(C, say("#", "5") + b"x"), Lost(C, 3), (C, b"x" + say("q", "2")), lines[1]]
    assert told(Toy(), partly) == expected


def test_frames_that_are_no_messages() -> None:
    assert told(Toy(), [(C, say(".") + say("q", "1") + say(".")), (S, say(".") + say("a", "x"))]) == [("1 → x", [])]


def test_leaving_hands_over_what_was_not_read() -> None:
    lines: list[Line] = [(C, say("q", "1")), (S, say("!", "next") + b"rest"), (C, b"ours")]
    for split in (every(1), every(100)):
        found = play(Toy(), lines, split=split)
        assert found[-1] == Leave(
            protocol="next", rest=(b"ours", b"rest"), offsets=(3, 6), timestamps=(time_of(2), time_of(1))
        )
        assert isinstance(found[0], Exchange)


def test_nonsense_ends_a_protocol_that_cannot_find_back() -> None:
    lines: list[Line] = [(C, say("q", "1") + say("z") + say("q", "2"))]
    found = play(Toy(), lines)
    assert found[-1] == GiveUp("kind b'z'")
    assert [e.summary for e in exchanges(found)] == ["1"]


def test_nonsense_is_passed_over_where_a_boundary_can_be_found() -> None:
    lines: list[Line] = [(C, say("q", "1") + b"\x01zz" + say("q", "2"))]
    for split in (every(1), every(2), every(100)):
        assert told(Keyed(), lines, split=split) == [("1", [NO_RESPONSE]), ("2", [NO_RESPONSE])]


def test_a_gap_costs_the_answer_that_it_hit() -> None:
    lines: list[Line] = [(C, say("q", "1")), (S, say("a", "long answer")[:4]), Lost(S, 9), (C, say("q", "2"))]
    expected = [("1", ["13 bytes of the response lost", NO_RESPONSE][:1]), ("2 → two", [])]
    assert told(Toy(), [*lines, (S, say("a", "two"))]) == expected


def test_a_conversation_that_was_joined_begins_at_a_frame() -> None:
    lines: list[Line] = [(C, b"the end of something"), (C, say("q", "1")), (S, b"zz"), (S, say("a", "x"))]
    assert told(Toy(), lines, midstream=True) == [("1 → x", [])]
    assert told(Keyed(), lines, midstream=True, split=every(1))[-1] == ("1", [NO_RESPONSE])


@pytest.mark.parametrize("size", [40, 250])
def test_a_frame_above_the_ceiling_is_given_up(size: int) -> None:
    limits = Limits(head=32)
    for split in (every(1), every(1000)):
        found = play(Toy(limits), [(C, say("q", "1") + say("q", "x" * size))], split=split)
        assert found[-1] == GiveUp("frame above 32 bytes")
        assert [e.incomplete for e in exchanges(found)] == [["frame above 32 bytes"]]


def test_too_many_that_wait() -> None:
    limits = Limits(pending=2)
    asked: list[Line] = [(C, say("q", str(n))) for n in range(4)]
    assert told(Toy(limits), asked) == [(str(n), [NO_RESPONSE]) for n in range(4)]
    assert [e.summary for e in exchanges(play(Toy(limits), asked, close=False))] == ["0", "1"]
    answered: list[Line] = [(S, say("a", str(n))) for n in range(4)]
    assert [e.summary for e in exchanges(play(Toy(limits), answered, close=False))] == ["0", "1"]


def test_nothing_comes_after_the_end() -> None:
    toy = Toy()
    state = toy.open()
    assert toy.feed(state, Data(C, say("q", "1"), 1, 0)) == []
    assert len(toy.close(state, None, 2)) == 1
    assert toy.close(state, None, 2) == toy.feed(state, Data(C, say("q"), 3, 3)) == toy.gap(state, C, 5, 1, 4) == []


@given(
    words=st.lists(st.tuples(st.sampled_from([C, S]), st.sampled_from("qan.#"), st.integers(0, 9)), max_size=12),
    points=st.lists(st.integers(1, 30), max_size=6),
    keyed=st.booleans(),
)
def test_any_split_and_any_snapshot_give_the_same(
    words: list[tuple[Side, str, int]], points: list[int], keyed: bool
) -> None:
    dissector = Keyed() if keyed else Toy()
    lines: list[Line] = [
        (side, say(kind, str(n)) + (b"q" * n if kind == "#" else b"")) for side, kind, n in words
    ]
    whole = play(dissector, lines)
    assert play(dissector, lines, split=at_points(points), snapshot=True) == whole
    assert play(dissector, lines, split=every(1)) == whole


def test_a_reset_says_who_left_which_requests_unanswered() -> None:
    lines: list[Line] = [(C, say("q", "one") + say("q", "two")), (S, say("a", "1"))]
    answered, left = exchanges(play(Toy(), lines, reset=S))
    assert (answered.summary, answered.ok, answered.incomplete) == ("one → 1", True, [])
    assert (left.summary, left.ok, left.incomplete) == ("two", False, ["reset by server after the request"])
    (lossy,) = exchanges(play(Toy(), [(C, say("q", "one")), Lost(S, 5)], reset=S))
    assert (lossy.ok, lossy.incomplete) == (None, [NO_RESPONSE])
