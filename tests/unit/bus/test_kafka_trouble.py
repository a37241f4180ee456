from __future__ import annotations

import logging

import pytest

from weir.bus.kafka_link import CLUSTER, Link
from weir.bus.kafka_trouble import LogWatch, classify
from weir.bus.settings import BusSettings


@pytest.mark.parametrize(
    ("line", "text", "hint", "fatal"),
    [
        ("Unable connect: [Errno 111] Connect call failed ('127.0.0.1', 9)", "connection refused", "", False),
        ('Unable connect to "h:9": [Errno -2] Name or service not known', "unknown host", "bus.url", False),
        ("[Error 58] SaslAuthenticationFailed: invalid credentials", "password", "bus.user", True),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] unable to get local issuer certificate", "unknown CA", "bus.ca_file", True),
        ("certificate verify failed: Hostname mismatch, certificate is not valid for", "another name", "check_h", True),
        ("certificate verify failed: certificate has expired", "not valid at this time", "clock", True),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "no TLS", "bus.security_protocol", True),
        ("tlsv13 alert certificate required", "client certificate", "bus.cert_file", True),
        ("TopicAuthorizationFailedError: weir.entries", "lacks the right", "rights", True),
        ("Connection at h:9 closed", "closed by the broker", "bus.security_protocol", False),
        ("RequestTimedOutError", "no answer in time", "firewall", False),
    ],
)
def test_reasons_are_told_in_words(line: str, text: str, hint: str, fatal: bool) -> None:
    reason = classify(line)
    assert text in reason.text
    assert hint in reason.hint
    assert reason.fatal is fatal


def test_an_unknown_reason_is_told_as_it_is() -> None:
    assert classify("something\n  new").text == "something new"
    assert classify("").text == "unknown reason"
    assert len(classify("x" * 5000).text) <= 200


def test_the_log_line_of_the_worst_level_is_kept() -> None:
    log = logging.getLogger("aiokafka.conn")
    with LogWatch() as watch:
        log.error("the reason")
        log.warning("a consequence")
        log.error("Unable to update metadata from [1]")
        assert watch.take() == "the reason"
        assert watch.take() == ""
    log.error("after the bus has gone")
    assert watch.take() == ""


def test_the_cluster_being_away_explains_all_else() -> None:
    link = Link(BusSettings(url="h:9"), "weir")
    assert link.trouble() == ""
    link.blame("read weir.entries", ValueError("odd"))
    assert link.trouble() == "Kafka at h:9: ValueError: odd"
    link.blame(CLUSTER, OSError("[Errno 111] Connect call failed"))
    assert link.trouble() == "Kafka at h:9: connection refused (is Kafka running there?)"
    link.well(CLUSTER)
    link.well("read weir.entries")
    assert link.trouble() == ""
