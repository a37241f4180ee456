"""What the expressions keep, judged by libpcap's own interpreter on packets that begin with their IP header."""

from __future__ import annotations

import ctypes

import pytest

from weir.capture.bpf.expression import MAX_TARGETS, choice
from weir.capture.bpf.libpcap import UnavailableError, _library, compile_expression, version
from weir.capture.bpf.program import MAX_INSTRUCTIONS, Program, encode
from weir.model.control import OUTLINE, Control
from weir.net.target import parse_target
from weir.testing.packets import icmp, ipv4, ipv6, tcp, udp

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


@pytest.fixture(autouse=True)
def _needs_libpcap() -> None:
    try:
        version()
    except UnavailableError as error:
        pytest.skip(str(error))


def keeps(program: Program, packet: bytes) -> bool:
    code = encode(program)
    return bool(_library().bpf_filter(code, packet, ctypes.c_uint(len(packet)), ctypes.c_uint(len(packet))))


def program(control: Control, *exclude: str) -> Program:
    return compile_expression(choice(control, [parse_target(t) for t in exclude]).text, 65535)


def wanted(*targets: str) -> Control:
    return Control(generation=1, outline=not targets, targets=list(targets))


def v4(src: str, sport: int, dst: str, dport: int, flags: int = ACK, **more: int) -> bytes:
    return ipv4(src, dst, 6, tcp(sport, dport, b"payload", flags=flags), **more)


def v6(src: str, sport: int, dst: str, dport: int, flags: int = ACK) -> bytes:
    return ipv6(src, dst, 6, tcp(sport, dport, b"payload", flags=flags))


A, B, C = "10.0.0.1", "10.0.0.2", "10.9.0.3"
A6, B6 = "fd00::1", "fd00::2"


def test_the_outline_keeps_openings_and_closings_and_nothing_else_of_tcp() -> None:
    outline = program(OUTLINE)
    for flags in range(64):
        opening_or_closing = bool(flags & (FIN | SYN | RST))
        assert keeps(outline, v4(A, 5000, B, 80, flags)) is opening_or_closing
        assert keeps(outline, v6(A6, 5000, B6, 80, flags)) is opening_or_closing


def test_the_outline_follows_ipv4_options_and_leaves_later_fragments_alone() -> None:
    outline = program(OUTLINE)
    options = b"\x01" * 8
    assert keeps(outline, ipv4(A, B, 6, tcp(1, 80, flags=SYN), options=options))
    assert not keeps(outline, ipv4(A, B, 6, tcp(1, 80, b"\xff" * 40), options=options))
    assert not keeps(outline, v4(A, 1, B, 80, SYN, fragment=0x0010))


def test_the_outline_keeps_dns_of_both_kinds_and_directions() -> None:
    outline = program(OUTLINE)
    for packet in (
        ipv4(A, B, 17, udp(5000, 53)), ipv4(B, A, 17, udp(53, 5000)), v4(A, 5000, B, 53), v4(B, 53, A, 5000),
        ipv6(A6, B6, 17, udp(5000, 53)), ipv6(B6, A6, 17, udp(53, 5000)), v6(A6, 5000, B6, 53),
    ):
        assert keeps(outline, packet)
    assert not keeps(outline, ipv4(A, B, 17, udp(5000, 5353)))
    assert not keeps(outline, ipv6(A6, B6, 17, udp(5000, 443)))


def test_the_outline_keeps_icmp_errors_only() -> None:
    outline = program(OUTLINE)
    assert [t for t in range(256) if keeps(outline, ipv4(A, B, 1, icmp(t, 0)))] == [3, 4, 5, 11, 12]
    assert [t for t in range(256) if keeps(outline, ipv6(A6, B6, 58, icmp(t, 0)))] == list(range(128))


def test_the_outline_does_not_see_behind_extension_headers() -> None:
    hop_by_hop = bytes((6, 0, 1, 4, 0, 0, 0, 0))
    assert not keeps(program(OUTLINE), ipv6(A6, B6, 0, hop_by_hop + tcp(1, 80, flags=SYN)))


@pytest.mark.parametrize(
    ("target", "inside", "outside"),
    [
        (A, v4(A, 1, C, 2), v4(B, 1, C, 2)),
        ("10.0.0.0/24", v4(C, 1, B, 2), v4(C, 1, "10.0.1.2", 2)),
        (A6, v6(B6, 1, A6, 2), v6(B6, 1, "fd00::3", 2)),
        ("fd00::/64", v6("fd01::1", 1, A6, 2), v6("fd01::1", 1, "fd00:0:0:1::1", 2)),
        ("port:80", v4(A, 1, B, 80), v4(A, 1, B, 81)),
        ("port:80", v6(A6, 80, B6, 1), v6(A6, 81, B6, 1)),
        ("10.0.0.1:80", v4(A, 80, B, 1), v4(A, 81, B, 1)),
        ("[fd00::1]:80", v6(B6, 1, A6, 80), v6(B6, 1, A6, 81)),
    ],
)
def test_targets_are_kept_whole_and_all_else_in_outline(target: str, inside: bytes, outside: bytes) -> None:
    kept = program(wanted(target))
    assert keeps(kept, inside)
    assert not keeps(kept, outside)
    assert keeps(kept, v4("192.0.2.1", 1, "192.0.2.2", 2, SYN))


def test_several_targets_are_one_filter() -> None:
    kept = program(wanted(A, "port:443", "fd00::/64"))
    assert keeps(kept, v4(A, 1, C, 2))
    assert keeps(kept, v4(C, 443, B, 2))
    assert keeps(kept, v6(A6, 1, "fd09::1", 2))
    assert not keeps(kept, v4(C, 1, B, 2))


@pytest.mark.parametrize("target", ["port:80", "10.0.0.1:80"])
def test_where_a_port_cannot_be_seen_the_packet_is_kept(target: str) -> None:
    kept = program(wanted(target))
    assert keeps(kept, ipv4(A, B, 17, b"rest of a datagram", fragment=0x0020))


def test_ports_behind_extension_headers_are_kept() -> None:
    kept = program(wanted("port:80"))
    for following in (0, 43, 44, 60):
        assert keeps(kept, ipv6(A6, B6, following, bytes((6, 0, 1, 4, 0, 0, 0, 0)) + tcp(80, 1)))


def test_own_ends_are_left_out_whatever_is_wanted() -> None:
    for control in (OUTLINE, wanted("all"), wanted(A)):
        kept = program(control, "10.0.0.1:9092", "port:8899", "[fd00::1]:9092")
        assert not keeps(kept, v4(A, 9092, B, 5000, SYN))
        assert not keeps(kept, v4(B, 5000, A, 9092, SYN))
        assert not keeps(kept, v6(B6, 5000, A6, 9092, SYN))
        assert not keeps(kept, v4(C, 8899, B, 5000, SYN))
        assert keeps(kept, v4(A, 5000, B, 9092, SYN)), "the port of the other end is not weir's"
        assert keeps(kept, v4(A, 9093, B, 5000, SYN))


def test_an_end_on_every_address_is_its_port() -> None:
    for text in ("0.0.0.0:8899", "[::]:8899"):
        assert not keeps(program(OUTLINE, text), v4(A, 8899, B, 1, SYN))
        assert keeps(program(OUTLINE, text), v4(A, 8898, B, 1, SYN))


def test_all_is_everything() -> None:
    assert choice(wanted("all"), []).text == ""
    assert choice(wanted(A, "all"), []).text == ""


def test_switched_off_is_closed() -> None:
    assert choice(Control(generation=1, capture=False, targets=["all"]), []).closed


def test_fifty_targets_fit_and_more_become_all_of_ip() -> None:
    hosts = [f"10.{n // 7}.{n}.{n * 3 % 250}:{1000 + n}" for n in range(MAX_TARGETS)]
    many = program(wanted(*hosts), *(f"192.0.2.{n}:9092" for n in range(10)))
    assert len(many) <= MAX_INSTRUCTIONS
    assert keeps(many, v4("10.3.21.63", 1021, B, 1))
    too_many = choice(wanted(*hosts, B), [])
    assert too_many.text == "ip or ip6"
    assert "51 targets are too many" in too_many.title


def test_a_bad_expression_is_told() -> None:
    with pytest.raises(UnavailableError, match="syntax error"):
        compile_expression("tcp and and", 100)


def test_the_version_is_told() -> None:
    assert version().startswith("libpcap ")
