"""TLS and SASL against a real broker: what works, and the reason when it does not."""

from __future__ import annotations

import time
from typing import Any

import pytest

from weir.bus.kafka import KafkaBus
from weir.bus.settings import BusSettings
from weir.bus.topics import ENTRIES
from weir.errors import BusError, SettingsError
from weir.testing.bus_rig import KafkaRig, Member, entries
from weir.testing.pytest_kafka import PASSWORD, STRANGER, STRANGER_PASSWORD, USER, SecuredKafka

pytestmark = pytest.mark.kafka


def login(kafka: SecuredKafka, listener: str, **changed: Any) -> dict[str, Any]:
    protocol = {"ssl": "SSL", "sasl": "SASL_PLAINTEXT", "saslssl": "SASL_SSL"}[listener]
    settings: dict[str, Any] = {"security_protocol": protocol, "topics": (ENTRIES,)}
    if listener != "ssl":
        settings |= {"username": USER, "password": PASSWORD}
    if listener != "sasl":
        settings |= {"ca_file": str(kafka.ca_file)}
    if listener == "ssl":
        settings |= {"cert_file": str(kafka.client_pem)}
    return {**settings, **changed}


@pytest.mark.parametrize("listener", ["ssl", "sasl", "saslssl"])
async def test_records_travel_over_a_secured_listener(kafka: SecuredKafka, listener: str) -> None:
    rig = KafkaRig(kafka.at(listener), **login(kafka, listener))
    bus = await rig.bus()
    reader = Member(bus, ENTRIES)
    await bus.publish(ENTRIES, entries(["secret"]))
    await reader.until(lambda: reader.names() == ["secret"])
    await rig.close()


@pytest.mark.parametrize(
    ("listener", "changed", "reason", "hint"),
    [
        ("sasl", {"password": "wrong"}, "user name or password refused", "bus.password"),
        ("saslssl", {"password": "wrong"}, "user name or password refused", "bus.password"),
        ("saslssl", {"ca_file": "other"}, "unknown CA", "bus.ca_file"),
        ("ssl", {"ca_file": "other"}, "unknown CA", "bus.ca_file"),
    ],
)
async def test_a_refusal_ends_the_start_with_its_reason(
    kafka: SecuredKafka, listener: str, changed: dict[str, str], reason: str, hint: str
) -> None:
    if "ca_file" in changed:
        changed = {"ca_file": str(kafka.other_ca_file)}
    rig = KafkaRig(kafka.at(listener), **login(kafka, listener, **changed))
    start = time.monotonic()
    with pytest.raises(BusError, match=reason) as caught:
        await rig.bus()
    assert hint in caught.value.hint
    assert caught.value.exit_code == 5
    assert time.monotonic() - start < 10
    await rig.close()


async def test_a_user_without_rights_is_told_so(kafka: SecuredKafka) -> None:
    rig = KafkaRig(kafka.at("sasl"), **login(kafka, "sasl", username=STRANGER, password=STRANGER_PASSWORD))
    with pytest.raises(BusError, match="right"):
        await rig.bus()
    await rig.close()


async def test_sasl_without_a_user_is_a_setting_error() -> None:
    with pytest.raises(SettingsError, match=r"bus\.username"):
        KafkaBus(BusSettings(url="127.0.0.1:1", security_protocol="SASL_PLAINTEXT"))


async def test_a_ca_file_that_cannot_be_read_is_named() -> None:
    with pytest.raises(BusError, match=r"/no/such/ca\.pem"):
        KafkaBus(BusSettings(url="127.0.0.1:1", security_protocol="SSL", ca_file="/no/such/ca.pem"))
