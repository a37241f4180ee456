"""Why Kafka does not work, in words: aiokafka tells most reasons only to its log.

A wrong password, an unknown CA and an absent broker all surface as "unable to bootstrap"; the line that tells them
apart is an ERROR of the `aiokafka` logger. A handler keeps the last one, `classify` finds its meaning.
"""

from __future__ import annotations

import logging
import re
from typing import Self

import msgspec

from weir.errors import BusError


class Reason(msgspec.Struct, frozen=True):
    """What is wrong, what to do about it, and whether waiting can help."""

    text: str
    hint: str = ""
    fatal: bool = False

    def error(self, where: str) -> BusError:
        return BusError(f"Kafka at {where}: {self.text}", hint=self.hint)


_CREDENTIALS = "check bus.username, bus.password and bus.sasl_mechanism"
_PROTOCOL = "check bus.security_protocol: SSL and SASL listeners have ports of their own"
_ACL = "give this user the rights that `weir topics` lists"
_KNOWN: tuple[tuple[str, Reason], ...] = (
    (
        r"SaslAuthenticationFailed|invalid credentials|AuthenticationFailed|Authentication failed",
        Reason("user name or password refused", _CREDENTIALS, True),
    ),
    (
        r"UnsupportedSaslMechanism|mechanism .* is not enabled|supported by broker",
        Reason("the broker does not offer this SASL mechanism", "check bus.sasl_mechanism", True),
    ),
    (r"IllegalSaslState", Reason("the broker expects no SASL login on this port", _PROTOCOL, True)),
    (
        r"certificate has expired|not yet valid",
        Reason("the broker's certificate is not valid at this time", "renew it, or check this host's clock", True),
    ),
    (
        r"[Hh]ostname mismatch|IP address mismatch|doesn't match",
        Reason("the broker's certificate bears another name", "use its name, or bus.check_hostname=false", True),
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|self[- ]signed|unknown ca",
        Reason("the broker's certificate is signed by an unknown CA", "name the CA's PEM file in bus.ca_file", True),
    ),
    (r"WRONG_VERSION_NUMBER|wrong version number", Reason("no TLS is spoken on this port", _PROTOCOL, True)),
    (
        r"CERTIFICATE_REQUIRED|certificate required|handshake failure|bad certificate",
        Reason("the broker wants a client certificate", "set bus.cert_file and bus.key_file", True),
    ),
    (
        r"TopicAuthorizationFailed|GroupAuthorizationFailed|ClusterAuthorizationFailed|not authorized",
        Reason("this user lacks the right for a topic or group", _ACL, True),
    ),
    (
        r"Name or service not known|nodename nor servname|name resolution|No address associated|getaddrinfo",
        Reason("unknown host", "check the names in bus.url"),
    ),
    (r"Connect call failed|Connection refused|Errno 111", Reason("connection refused", "is Kafka running there?")),
    (r"No route to host|unreachable", Reason("no route to it", "check bus.url and the network")),
    (
        r"TimeoutError|timed? ?out|RequestTimedOut",
        Reason("no answer in time", "is the address right, and does a firewall drop packets?"),
    ),
    (
        r"[Cc]onnection .*(closed|reset)|ConnectionError|IncompleteRead|NodeNotReady",
        Reason("connection closed by the broker", _PROTOCOL),
    ),
)


def classify(line: str) -> Reason:
    """The meaning of a log line or exception text; the text itself where it is not known."""
    for pattern, reason in _KNOWN:
        if re.search(pattern, line):
            return reason
    return Reason(re.sub(r"\s+", " ", line)[:200] or "unknown reason")


class LogWatch(logging.Handler):
    """Keeps the last error that aiokafka logged since `take`."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""
        self._rank = 0

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        # "Unable to update metadata" follows the line that says why and says nothing itself.
        if record.levelno >= self._rank and "Unable to update metadata" not in message:
            self.last, self._rank = message, record.levelno

    def take(self) -> str:
        """The last line of the worst level since the last call."""
        last, self.last, self._rank = self.last, "", 0
        return last

    def __enter__(self) -> Self:
        logging.getLogger("aiokafka").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("aiokafka").removeHandler(self)
