"""What the kernel should let through, as a libpcap expression. Pure.

An expression is compiled for packets that begin with their IP header (DLT_RAW); `weir.capture.bpf.program` has it
look at the network header of whatever link layer a packet has. Tunnels are judged by their outer header, MPLS and
PPPoE are not recognised.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from weir.model.control import Control
from weir.net.target import Target, parse_target

MAX_TARGETS = 50
"""libpcap's optimiser takes time that grows with the cube of the number of hosts: 50 take 7 ms, 300 take 1.2 s, 1500
take minutes and then do not fit (4096 instructions). Beyond this, all of IP is captured and `filter` selects."""

# libpcap's tcp[tcpflags] and icmp[icmptype] know IPv4 alone (and there take care of options and fragments). In IPv6 the
# flags are found at a fixed place: a TCP header behind extension headers (hop-by-hop, routing, fragment, destination
# options) is not seen, so such a connection is missing from the outline. Port 53 has the same limit in libpcap itself;
# of a DNS answer in fragments only the first passes.
OUTLINE = " or ".join((
    "tcp[tcpflags] & (tcp-syn|tcp-fin|tcp-rst) != 0",
    "(ip6[6] = 6 and ip6[53] & 7 != 0)",
    "port 53",
    # Destination unreachable, source quench, redirect, time exceeded, parameter problem (RFC 792).
    "icmp[icmptype] = 3 or icmp[icmptype] = 4 or icmp[icmptype] = 5 or icmp[icmptype] = 11 or icmp[icmptype] = 12",
    # ICMPv6 errors are the types below 128 (RFC 4443 section 2.1).
    "(ip6[6] = 58 and ip6[40] < 128)",
))

# Behind these no port can be found: later fragments of IPv4; hop-by-hop, routing, fragment and destination headers of
# IPv6. Where ports decide they are let through.
_PORTLESS = "ip[6:2] & 0x1fff != 0 or ip6[6] = 0 or ip6[6] = 43 or ip6[6] = 44 or ip6[6] = 60"


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What the kernel filter is to do."""

    title: str
    """For people."""
    text: str = ""
    """A libpcap expression; empty lets everything through."""
    closed: bool = False
    """Let nothing through."""
    outline: bool = False
    """Nothing is targeted: only openings, closings, DNS and ICMP errors pass."""


def choice(control: Control, exclude: Sequence[Target]) -> Choice:
    """What the control document asks for, without weir's own connections."""
    if not control.capture:
        return Choice(title="capture is switched off", closed=True)
    title, wanted = _wanted(control)
    refused = " or ".join(f"({_exactly(target)})" for target in exclude)
    if wanted and refused:
        text = f"not ({refused}) and ({wanted})"
    else:
        text = f"not ({refused})" if refused else wanted
    return Choice(title=title, text=text, outline=wanted == OUTLINE)


def _wanted(control: Control) -> tuple[str, str]:
    targets = [parse_target(text) for text in control.targets]
    if control.pods and not any(target.everything for target in targets):
        return "all of IP (rules for pods need eBPF in the kernel filter)", "ip or ip6"
    if not targets:
        return "connections (openings and closings), DNS and ICMP errors", OUTLINE
    if any(target.everything for target in targets):
        return "everything", ""
    if len(targets) > MAX_TARGETS:
        return f"all of IP ({len(targets)} targets are too many for the kernel filter)", "ip or ip6"
    shown = f"{len(targets)} target{'s' if len(targets) > 1 else ''}, elsewhere connections, DNS and ICMP errors"
    return shown, " or ".join([*map(_at_least, targets), f"({OUTLINE})"])


def _at_least(target: Target) -> str:
    """Everything that the target means, and what cannot be told."""
    if target.network is None:
        return f"port {target.port} or {_PORTLESS}"
    address = f"net {target.network}"
    return f"({address} and (port {target.port} or {_PORTLESS}))" if target.port else address


def _exactly(target: Target) -> str:
    """Only what the target means: address and port of the same end."""
    if target.network is None or (target.port and target.network.network_address.is_unspecified):
        return f"port {target.port}"
    if not target.port:
        return f"net {target.network}"
    return " or ".join(
        f"({end} net {target.network} and {end} port {target.port})" for end in ("src", "dst")
    )
