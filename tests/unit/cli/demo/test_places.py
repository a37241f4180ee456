from __future__ import annotations

from weir.cli.demo.places import from_environment, loopback


def test_places_in_containers_come_from_the_environment() -> None:
    places = from_environment({"WEIR_DEMO_CATALOG": "10.1.2.3"})
    assert places.hosts["catalog"] == "10.1.2.3"
    assert places.hosts["frontend"] == "frontend"
    assert places.listen("catalog") == ("0.0.0.0", 8080)
    assert places.source("catalog") is None


def test_places_on_loopback_have_an_address_each() -> None:
    places = loopback(3)
    assert places.listen("catalog") == ("127.7.3.13", 8080)
    assert places.source("catalog") == ("127.7.3.13", 0)
    assert len(set(places.hosts.values())) == len(places.hosts)
