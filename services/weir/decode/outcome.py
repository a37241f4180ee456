"""How a conversation went, in words and as yes or no. Pure."""

from __future__ import annotations

from weir.decode.flows import Flow, totals
from weir.model.flow import ICMP6, TCP

_ICMP = "icmp: "
_ENDINGS = {
    "": "open", "capture_end": "open", "fin": "closed", "rst": "reset", "idle": "silent", "reused": "reused",
    "evicted": "let go",
}  # fmt: skip
_UNREACHABLE = {
    0: "network unreachable", 1: "host unreachable", 2: "protocol unreachable", 3: "port unreachable",
    4: "too large to pass", 9: "prohibited", 10: "prohibited", 13: "prohibited",
}  # fmt: skip
"""RFC 792 and RFC 1812 section 5.2.7.1: codes of destination unreachable (type 3)."""
_UNREACHABLE6 = {
    0: "no route", 1: "prohibited", 3: "host unreachable", 4: "port unreachable", 5: "prohibited", 6: "no route",
}  # fmt: skip
"""RFC 4443 section 3.1: codes of destination unreachable (type 1)."""
_PASSING = frozenset({"too large to pass"})
"""Errors after which a conversation goes on (path MTU discovery)."""


def icmp_error(protocol: int, kind: int, code: int) -> str:
    """What an ICMP error says of the conversation that it quotes."""
    if protocol == ICMP6:
        texts = {1: _UNREACHABLE6.get(code), 2: "too large to pass", 3: "hop limit exceeded"}
    else:
        texts = {3: _UNREACHABLE.get(code), 11: "time to live exceeded"}
    text = texts.get(kind)
    return f"{_ICMP}{text}" if text else f"{_ICMP}error {kind}/{code}"


def went_well(flow: Flow, how: str) -> bool | None:
    """`how` it ended, empty while it is open; None where that cannot be told."""
    if flow.wire.protocol != TCP:
        return False if _icmp_failure(flow) else None
    if how == "fin":
        return True
    if how == "rst" or (how == "idle" and _unanswered(flow)):
        return False
    return None


def summary(flow: Flow, how: str) -> str:
    """One line for a list: transport, how it went, how much it was."""
    (packets, size), (more, larger) = totals(flow, 0), totals(flow, 1)
    packets, size = packets + more, size + larger
    return f"{flow.transport} {_in_a_word(flow, how)}: {packets} packet{'s' * (packets != 1)}, {size} bytes"


def _in_a_word(flow: Flow, how: str) -> str:
    if flow.wire.protocol == TCP and _unanswered(flow):
        return "refused" if how == "rst" else "unanswered"
    if flow.wire.protocol != TCP and (failure := _icmp_failure(flow)):
        return failure
    return _ENDINGS.get(how, how)


def _icmp_failure(flow: Flow) -> str:
    """What an ICMP error said that stands in its notes, if it was the end of it."""
    told = (note.removeprefix(_ICMP) for note in flow.weird if note.startswith(_ICMP))
    return next((text for text in told if text not in _PASSING), "")


def _unanswered(flow: Flow) -> bool:
    """The SYN was seen, and nothing that accepted it."""
    return bool(flow.syn_at and not flow.answered and not flow.low.offset and not flow.high.offset)
