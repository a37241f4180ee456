"""DNS over UDP and TCP (RFC 1035, RFC 7766), and what shares its format: mDNS (RFC 6762) and LLMNR (RFC 4795).

A query and its response pair by id and question, so answers may come in any order. A query that is sent again while
it waits is the same exchange (`dns_tries`); an answer that comes again is told alone. mDNS has no ids and answers to
everybody, so its messages are never paired. `ok` means NOERROR: a name that does not exist is an answer that an
application did not hope for, and filters want to see it. Reading a message is `weir.dissect.dns_message`'s.
"""

from __future__ import annotations

from typing import Any

from weir.dissect.api import Exchange, Field, Probe
from weir.dissect.cursor import Cursor, Invalid, NeedMore
from weir.dissect.dns_message import HEADER, RESPONSE, DnsMessage, read_message, read_question
from weir.dissect.dns_names import CLASSES, MAX_NAME, OPCODES, TYPES, Names, type_name
from weir.dissect.framed import Frame, FramedDissector, FramedState
from weir.model.flow import Side

_QUESTION = 5
"""Least bytes of a question: the root's name, type, class."""
_REMEMBERED = 64
"""Answered questions of a conversation by which a second answer is recognised."""
_OF_THE_RESPONSE = frozenset({"dns_flags", "dns_edns", "dns_records"})
_CONTROLS = ("\\00", "\\01", "\\02", "\\030", "\\031")
"""Escapes of control characters, which no name has that somebody asks for."""
_SHOWN = 3
"""Answers in a summary."""
_WIDTH = 60
"""Characters of each (texts and keys are long)."""


class DnsState(FramedState):
    answered: list[str] = []
    """Keys of the last questions that were answered."""


class Dns(FramedDissector):
    name = "dns"
    title = "DNS"
    protocols = ("dns",)
    transports = frozenset({"udp", "tcp"})
    ports = frozenset({53, 5353, 5355})
    fields = (
        Field("dns_name", str, "Name of the first question", "Name"),
        Field("dns_type", str, "Type of the first question, e.g. `A`", "Type"),
        Field("dns_rcode", str, "Response code, e.g. `NOERROR`, `NXDOMAIN`", "Answer"),
        Field("dns_questions", list, "Names of all questions"),
        Field("dns_question_types", list, "Types of all questions"),
        Field("dns_answers", list, "Data of the answers as text, e.g. `10.0.0.1`"),
        Field("dns_records", list, "All records: maps of section, name, type, class, ttl, data"),
        Field("dns_id", int, "Id of the message"),
        Field("dns_opcode", str, "`QUERY`, `NOTIFY`, `UPDATE`, …"),
        Field("dns_flags", list, "Flags of the response, else of the query: AA, TC, RD, RA, AD, CD"),
        Field("dns_edns", dict, "EDNS of the response, else of the query: version, udp_size, do, options by name"),
        Field("dns_tries", int, "How often the query was sent, where that was more than once"),
        Field("dns_request", bool, "The query was seen"),
        Field("dns_response", bool, "The response was seen"),
        Field("dns_request_length", int, "Bytes of the query"),
        Field("dns_response_length", int, "Bytes of the response"),
        Field("dns_total_size", int, "Bytes of both"),
    )
    State = DnsState
    lookback = 2 + HEADER + 255 + 4

    def probe(self, side: Side, head: bytes, transport: str = "tcp") -> Probe:
        if transport == "udp":
            whole = _plausible(side, head, 0) is Probe.YES and not read_message(head).weird
            return Probe.YES if whole else Probe.NO
        return _plausible_framed(side, head, 0)

    def new_state(self, midstream: bool, carry: Any, transport: str) -> DnsState:
        return DnsState(midstream=midstream, transport=transport)

    def boundary(self, state: DnsState, side: Side, data: bytes) -> int:
        for at in range(len(data)):
            if data[at + 6 : at + 7] > b"\0":
                # No message has 256 questions: most bytes need no closer look.
                continue
            found = _plausible_framed(side, data, at)
            if found is not Probe.NO:
                return at if found is Probe.YES else -1
        return -1

    def frame(self, state: DnsState, side: Side, cursor: Cursor, timestamp: int) -> Frame | None:
        if state.transport == "tcp":
            size = cursor.u16()
            if size < HEADER:
                raise Invalid("length below that of a header")
            raw = cursor.take(size)
        else:
            raw = cursor.rest()
        message = read_message(raw)
        frame = _frame(message)
        if _is_multicast(message):
            frame.role, frame.kind = "message", "message"
        elif message.response:
            self._response(state, message, frame)
        elif frame.key in state.waiting:
            _sent_again(state.requests[state.waiting[frame.key][0]])
            return None
        elif frame.key in state.held:
            _remember(state, frame.key)
        return frame

    @staticmethod
    def _response(state: DnsState, message: DnsMessage, frame: Frame) -> None:
        if not message.questions and frame.key not in state.waiting:
            # FORMERR and some servers: the id is all that is left of the question.
            frame.key = next((key for key in state.waiting if key.startswith(frame.key)), frame.key)
        if frame.key in state.waiting:
            _remember(state, frame.key)
        elif frame.key in state.answered:
            frame.role = "message"
            frame.weird = [*frame.weird, "second response to one query"]

    def pair(self, state: Any, request: Frame | None, response: Frame | None) -> Exchange | None:
        alone = (request or response) if request is None or response is None else None
        if alone is not None:
            # What it is says the message; multicast comes from everywhere, and who the client is may be a guess.
            request, response = (None, alone) if alone.fields.get("dns_response") else (alone, None)
        found = self.exchange(request, response)
        if found is None:
            return None
        fields = found.fields = dict(found.fields)
        if response is not None:
            fields.update((name, value) for name, value in response.fields.items() if name in _OF_THE_RESPONSE)
            fields["dns_response_length"] = response.size
        if request is not None:
            fields["dns_request_length"] = request.size
        fields["dns_total_size"] = sum(frame.size for frame in (request, response) if frame)
        return found

    def summarize(self, request: Frame | None, response: Frame | None) -> str:
        one = request or response
        asked = _asked(one.fields) if one else ""
        return " → ".join(part for part in (asked, response.summary if response else "") if part)


def _frame(message: DnsMessage) -> Frame:
    questions = message.questions
    fields: dict[str, Any] = {
        "dns_id": message.id,
        "dns_opcode": message.opcode,
        "dns_flags": message.flag_names(),
        "dns_response" if message.response else "dns_request": True,
    }
    key = f"{message.id}/"
    if questions:
        fields["dns_name"] = questions[0].name
        fields["dns_type"] = type_name(questions[0].type)
        fields["dns_questions"] = [question.name for question in questions]
        fields["dns_question_types"] = [type_name(question.type) for question in questions]
        # Resolvers vary the case of a name to make answers hard to forge; some servers do not echo it.
        key += ";".join(f"{question.name.lower()}/{question.type}/{question.cls}" for question in questions)
    if message.edns:
        fields["dns_edns"] = message.edns
    if message.records:
        fields["dns_records"] = [record.to_map() for record in message.records]
    frame = Frame(
        fields=fields,
        role="response" if message.response else "request",
        key=key,
        weird=message.weird,
        incomplete=[f"message cannot be read to its end: {message.cut}"] if message.cut else [],
    )
    if message.response:
        answers = message.section("answer")
        fields["dns_rcode"] = message.rcode
        fields["dns_answers"] = [record.data for record in answers]
        frame.ok = message.rcode == "NOERROR"
        frame.summary = _answered(message)
    return frame


def _asked(fields: dict[str, Any]) -> str:
    opcode = fields.get("dns_opcode", "QUERY")
    name = fields.get("dns_name")
    if name is None:
        return "" if opcode == "QUERY" else opcode
    more = len(fields["dns_questions"]) - 1
    return f"{fields['dns_type'] if opcode == 'QUERY' else opcode} {name}" + (f" +{more}" if more else "")


def _answered(message: DnsMessage) -> str:
    if message.rcode != "NOERROR":
        return message.rcode
    answers = message.section("answer")
    wanted = {question.type for question in message.questions}
    chosen = [record.data for record in answers if record.type in wanted] or [record.data for record in answers]
    if not chosen:
        return "no records" if message.opcode == "QUERY" else message.rcode
    shown = [data if len(data) <= _WIDTH else data[:_WIDTH] + "…" for data in chosen[:_SHOWN]]
    return ", ".join(shown) + (f" +{len(chosen) - _SHOWN}" if len(chosen) > _SHOWN else "")


def _is_multicast(message: DnsMessage) -> bool:
    """mDNS by its form (a dissector does not know ports): no id, no recursion, and a name of the local link."""
    if message.id or message.flags & 0x0100 or message.opcode != "QUERY":
        return False
    names = [question.name for question in message.questions] or [record.name for record in message.records]
    return any(name.lower().endswith((".local", ".254.169.in-addr.arpa", ".8.e.f.ip6.arpa")) for name in names)


def _sent_again(frame: Frame) -> None:
    frame.fields["dns_tries"] = frame.fields.get("dns_tries", 1) + 1
    if "query sent again" not in frame.weird:
        frame.weird = [*frame.weird, "query sent again"]


def _remember(state: DnsState, key: str) -> None:
    state.answered.append(key)
    if len(state.answered) > _REMEMBERED:
        del state.answered[0]


def _plausible_framed(side: Side, data: bytes, at: int) -> Probe:
    """A message behind its length (TCP)."""
    left = len(data) - at
    if left < 2:
        return Probe.MAYBE
    if data[at] << 8 | data[at + 1] < HEADER + _QUESTION:
        return Probe.NO
    return _plausible(side, data, at + 2)


def _plausible(side: Side, data: bytes, at: int) -> Probe:
    """A message that begins at `at`: a header as somebody would send it, and a first question that can be read."""
    left = len(data) - at
    if left < 4:
        return Probe.MAYBE
    number, flags = int.from_bytes(data[at : at + 2]), int.from_bytes(data[at + 2 : at + 4])
    response = bool(flags & RESPONSE)
    if response is not (side is Side.SERVER) or flags >> 11 & 15 not in OPCODES or flags & 0x40:
        return Probe.NO
    if not response and (flags & 0x048F or (flags & 0x0200 and number)):
        # A query has no response code, and neither AA nor RA; TC only where mDNS has more known answers to tell.
        return Probe.NO
    if left < HEADER:
        return Probe.MAYBE
    counts = [int.from_bytes(data[at + i : at + i + 2]) for i in (4, 6, 8, 10)]
    if not _plausible_counts(number, flags >> 11 & 15, response, counts):
        return Probe.NO
    return _plausible_name(data, at)


def _plausible_counts(number: int, opcode: int, response: bool, counts: list[int]) -> bool:
    questions, answers, authorities, additionals = counts
    if questions > 255 or max(counts) > 1024 or not (questions or answers):
        return False
    if number == 0 or opcode:  # mDNS, NOTIFY, UPDATE
        return True
    if response:
        return questions <= 1
    # An IXFR query brings the SOA it has; EDNS and TSIG are additional.
    return questions == 1 and not answers and authorities <= 1 and additionals <= 2


def _plausible_name(data: bytes, at: int) -> Probe:
    cursor = Cursor(data[at : at + HEADER + MAX_NAME + 4])
    cursor.pos += HEADER
    try:
        question = read_question(cursor, Names())
    except NeedMore:
        return Probe.MAYBE
    except Invalid as invalid:
        return Probe.MAYBE if invalid.reason == "name ends early" else Probe.NO
    if question.type not in TYPES or (question.cls not in CLASSES and question.cls & 0x7FFF not in CLASSES):
        return Probe.NO
    first = question.name.partition(".")[0]
    if len(first) == 32 and not first.strip("ABCDEFGHIJKLMNOP"):
        # NetBIOS names (RFC 1001 §14.1): the same format, another service.
        return Probe.NO
    return Probe.NO if any(control in question.name for control in _CONTROLS) else Probe.YES
