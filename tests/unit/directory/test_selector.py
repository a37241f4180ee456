from __future__ import annotations

import pytest

from weir.directory.selector import compile_targets
from weir.model.flow import DirectedFlow
from weir.testing.packets import address


def flow(src: str, sport: int, dst: str, dport: int) -> DirectedFlow:
    return DirectedFlow(protocol=6, src=address(src), sport=sport, dst=address(dst), dport=dport)


CASES = [
    ("all", ("10.0.0.1", 1, "10.0.0.2", 2), True),
    ("10.0.0.2", ("10.0.0.1", 1, "10.0.0.2", 2), True),
    ("10.0.0.3", ("10.0.0.1", 1, "10.0.0.2", 2), False),
    ("10.0.0.0/31", ("10.0.0.1", 1, "10.9.0.2", 2), True),
    ("10.0.0.0/31", ("10.0.0.2", 1, "10.9.0.2", 2), False),
    ("port:2", ("10.0.0.1", 1, "10.0.0.2", 2), True),
    ("port:3", ("10.0.0.1", 1, "10.0.0.2", 2), False),
    ("10.0.0.2:2", ("10.0.0.1", 1, "10.0.0.2", 2), True),
    ("10.0.0.2:1", ("10.0.0.1", 1, "10.0.0.2", 2), False),
    ("10.0.0.1:2", ("10.0.0.1", 1, "10.0.0.2", 2), False),
    ("2001:db8::/32", ("2001:db8::1", 1, "::1", 2), True),
    ("2001:db8::/32", ("10.0.0.1", 1, "10.0.0.2", 2), False),
    ("0.0.0.0/0", ("2001:db8::1", 1, "::1", 2), False),
    ("[2001:db8::1]:1", ("2001:db8::1", 1, "::1", 2), True),
    ("10.0.0.1", ("::ffff:10.0.0.1", 1, "::1", 2), True),
]


@pytest.mark.parametrize(("target", "ends", "wanted"), CASES)
def test_targets(target: str, ends: tuple[str, int, str, int], wanted: bool) -> None:
    selector, wrong = compile_targets([target])
    assert not wrong
    assert selector.wanted(flow(*ends)) is wanted
    assert selector.wanted(flow(*ends).reversed()) is wanted


def test_no_targets_and_many() -> None:
    ends = flow("10.0.0.1", 1, "10.0.0.2", 2)
    assert not compile_targets([])[0].wanted(ends)
    assert compile_targets(["port:9", "10.7.0.0/16", "10.0.0.2:9", "10.0.0.2:2"])[0].wanted(ends)


def test_what_is_no_target_is_told_and_left_out() -> None:
    selector, wrong = compile_targets(["port:80", "checkout.prod"])
    assert wrong == ["not a target: 'checkout.prod'"]
    assert selector.wanted(flow("10.0.0.1", 1, "10.0.0.2", 80))
