from __future__ import annotations

from weir.capture.bpf.program import (
    REJECT,
    Instruction,
    accept,
    decode,
    encode,
    from_network_header,
    setting_aside,
)


def test_programs_survive_encoding() -> None:
    program = (Instruction(0x28, 0, 0, 12), Instruction(0x15, 0, 1, 0x800), *accept(65535), *REJECT)
    assert decode(encode(program)) == program
    assert len(encode(program)) == 8 * len(program)


def test_only_loads_from_the_packet_move() -> None:
    """Codes from linux/filter.h and linux/bpf_common.h."""
    moved = {0x20: "ld [k]", 0x28: "ldh [k]", 0x30: "ldb [k]", 0x40: "ld [x+k]", 0x48: "ldh [x+k]", 0x50: "ldb [x+k]",
             0xB1: "ldxb 4*([k]&0xf)"}
    stays = {0x00: "ld #k", 0x60: "ld M[k]", 0x80: "ld len", 0x01: "ldx #k", 0x61: "ldx M[k]", 0x02: "st M[k]",
             0x03: "stx M[k]", 0x54: "and #k", 0x15: "jeq", 0x45: "jset", 0x05: "ja", 0x06: "ret #k", 0x07: "tax"}
    for code in moved:
        assert from_network_header((Instruction(code, 1, 2, 9),)) == (Instruction(code, 1, 2, 0xFFF00009),)
    for code in stays:
        assert from_network_header((Instruction(code, 1, 2, 9),)) == (Instruction(code, 1, 2, 9),)


def test_interfaces_are_set_aside_before_all_else() -> None:
    assert setting_aside(accept(9), []) == accept(9)
    program = setting_aside(accept(9), [3, 7])
    assert program[-1:] == accept(9)
    load, *checks = program[:-1]
    assert load == Instruction(0x20, 0, 0, 0xFFFFF008), "ld ifindex: SKF_AD_OFF + SKF_AD_IFINDEX"
    assert checks == [step for index in (3, 7) for step in (Instruction(0x15, 0, 1, index), *REJECT)]
