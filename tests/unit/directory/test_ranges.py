from __future__ import annotations

from weir.directory.ranges import Ranges
from weir.testing.packets import address


def test_an_address_lies_in_one_of_the_networks_or_not() -> None:
    it = Ranges(["10.244.0.0/24", "10.244.1.0/24", "10.0.0.0/30", "fd00:10::/64"])
    inside = ["10.244.0.1", "10.244.1.255", "10.0.0.3", "fd00:10::5"]
    outside = ["10.244.2.1", "10.0.0.4", "fd00:11::5", "::"]
    assert [address(text) in it for text in inside] == [True] * 4
    assert [address(text) in it for text in outside] == [False] * 4
    assert it
    assert not it.wrong


def test_what_is_no_network_is_told() -> None:
    it = Ranges(["pods", "10.0.0.0/33", "0.0.0.0/0"])
    assert it.wrong == ["pods", "10.0.0.0/33"]
    assert address("1.2.3.4") in it
    assert address("::1") not in it


def test_none() -> None:
    assert not Ranges()
    assert address("1.2.3.4") not in Ranges()
