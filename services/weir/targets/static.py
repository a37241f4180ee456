"""Pure: from static targets and names to endpoint records and the control document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from weir.errors import SettingsError
from weir.model.control import Control, EndpointRecord
from weir.net.target import Target, parse_target
from weir.targets.ledger import endpoint_key as endpoint_key
from weir.targets.rulebook import Book, control_of, rules_of_settings
from weir.targets.settings import TargetsSettings


def control_document(settings: TargetsSettings, previous: Control | None, random_key: bytes) -> Control:
    """The document for these settings and no other rules."""
    return control_of(settings, Book(rules=tuple(rules_of_settings(settings))), previous, random_key)


def endpoint_records(settings: TargetsSettings, known: Iterable[EndpointRecord] = ()) -> list[EndpointRecord]:
    """Static targets that are addresses or networks, and names; `known` are further names (the demo's)."""
    records = [
        EndpointRecord(
            address=str(target.network) if target.network.num_addresses > 1 else str(target.network.network_address),
            uid=f"static/target/{number}",
            port=target.port or 0,
            targeted=True,
        )
        for number, target in enumerate(_target(text) for text in settings.static)
        if target.network is not None
    ]
    records += [parse_name(text, number) for number, text in enumerate(settings.names)]
    return [*records, *known]


def parse_name(text: str, number: int = 0) -> EndpointRecord:
    """`10.0.0.5=db.prod`, `127.0.0.1:8080=web`, `[::1]:53=dns`."""
    where, separator, name = text.partition("=")
    if not separator or not name.strip():
        raise SettingsError(f"targets.names: {text!r} is no name", hint="write ADDRESS[:PORT]=NAME[.NAMESPACE]")
    target: Target = parse_target(where.strip())
    if target.network is None:
        raise SettingsError(f"targets.names: {text!r} names no address", hint="for example 10.0.0.5:5432=db.prod")
    short, _, namespace = name.strip().partition(".")
    single = target.network.num_addresses == 1
    return EndpointRecord(
        address=str(target.network.network_address if single else target.network),
        uid=f"static/name/{number}",
        port=target.port or 0,
        listens=bool(target.port),
        name=short,
        namespace=namespace,
    )


def changes(
    wanted: Iterable[EndpointRecord], have: Mapping[bytes, EndpointRecord]
) -> tuple[list[EndpointRecord], list[bytes]]:
    """What to publish, and the keys of this publisher's records that are no longer wanted."""
    by_key = {endpoint_key(record): record for record in wanted}
    stale = [key for key, record in have.items() if record.uid.startswith("static/") and key not in by_key]
    return [record for key, record in by_key.items() if have.get(key) != record], stale


def _target(text: str) -> Target:
    try:
        return parse_target(text)
    except SettingsError as error:
        raise SettingsError(f"targets.static: {error.message}", hint=error.hint) from None
