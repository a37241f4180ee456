"""Times and durations as CEL writes them: RFC 3339, and `1h30m`, `300ms`."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)")
_PART = re.compile(r"(\d+)(?:\.(\d+))?(h|ms|m|s|us|µs|ns)")
_UNITS = {
    "h": 3_600_000_000_000, "m": 60_000_000_000, "s": 1_000_000_000, "ms": 1_000_000, "us": 1000, "µs": 1000, "ns": 1,
}
_MAX = (1 << 63) - 1


def parse_timestamp(text: str) -> int | None:
    """ns since epoch; None if it is none."""
    match = _TIMESTAMP.fullmatch(text)
    if not match:
        return None
    day, clock, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in 'zZ' else zone}")
    except ValueError:
        return None
    whole = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    ns = (whole.days * 86400 + whole.seconds) * 10**9 + int((fraction or "").ljust(9, "0"))
    return ns if abs(ns) <= _MAX else None


def parse_duration(text: str) -> int | None:
    """ns; None if it is none."""
    sign = -1 if text.startswith("-") else 1
    rest = text.lstrip("+-") if text[:1] in "+-" else text
    if not rest:
        return None
    total = at = 0
    while at < len(rest):
        match = _PART.match(rest, at)
        if not match:
            return None
        number, fraction, unit = match.groups()
        if len(number) > 19 or len(fraction or "") > 19:
            return None
        total += int(number) * _UNITS[unit]
        if fraction:
            total += int(fraction) * _UNITS[unit] // 10 ** len(fraction)
        at = match.end()
    return sign * total if total <= _MAX else None
