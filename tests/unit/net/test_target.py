from __future__ import annotations

from ipaddress import ip_network

import pytest

from weir.errors import SettingsError
from weir.net.target import Target, parse_target


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("all", Target(everything=True)),
        (" ALL ", Target(everything=True)),
        ("10.0.0.1", Target(network=ip_network("10.0.0.1/32"))),
        ("10.1.2.3/8", Target(network=ip_network("10.0.0.0/8"))),
        ("0.0.0.0/0", Target(network=ip_network("0.0.0.0/0"))),
        ("2001:db8::1", Target(network=ip_network("2001:db8::1/128"))),
        ("::1:80", Target(network=ip_network("::1:80/128"))),
        ("2001:db8::/32", Target(network=ip_network("2001:db8::/32"))),
        ("::ffff:10.0.0.1", Target(network=ip_network("10.0.0.1/32"))),
        ("::ffff:10.0.0.0/104", Target(network=ip_network("10.0.0.0/8"))),
        ("port:443", Target(port=443)),
        ("10.0.0.1:80", Target(network=ip_network("10.0.0.1/32"), port=80)),
        ("[2001:db8::1]:80", Target(network=ip_network("2001:db8::1/128"), port=80)),
    ],
)
def test_every_form_is_read_and_written_back(text: str, target: Target) -> None:
    assert parse_target(text) == target
    assert parse_target(str(target)) == target


@pytest.mark.parametrize(
    "text",
    ["", "checkout", "checkout:80", "10.0.0", "10.0.0.256", "10.0.0.0/33", "port:", "port:0", "port:65536", "port:http",
     "port:²", "10.0.0.1:0", "10.0.0.1:99999", "[10.0.0.1]:80", "[::1]", "[::1]:", "10.0.0.0/8:80", "fe80::1%eth0",
     "port:-1", ":80"],
)
def test_nonsense_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_target(text)
    assert repr(text) in caught.value.message
    assert "port:80" in caught.value.hint
