from __future__ import annotations

import pytest

from weir.errors import SettingsError
from weir.model.control import EndpointRecord
from weir.targets.settings import TargetsSettings
from weir.targets.static import changes, control_document, endpoint_key, endpoint_records, parse_name


def test_without_targets_the_document_asks_for_the_outline() -> None:
    document = control_document(TargetsSettings(), None, b"r" * 16)
    assert document.outline
    assert document.targets == []
    assert document.generation == 1
    assert document.redaction.key == b"r" * 16


def test_targets_end_the_outline() -> None:
    document = control_document(TargetsSettings(static=["port:80", "10.0.0.0/8"]), None, b"r")
    assert not document.outline
    assert document.targets == ["port:80", "10.0.0.0/8"]


def test_the_generation_rises_only_with_a_change() -> None:
    first = control_document(TargetsSettings(static=["all"]), None, b"one")
    again = control_document(TargetsSettings(static=["all"]), first, b"two")
    changed = control_document(TargetsSettings(static=["port:80"]), first, b"three")
    assert again == first
    assert changed.generation == first.generation + 1
    assert changed.redaction.key == b"one"


def test_a_given_key_is_used() -> None:
    assert control_document(TargetsSettings(redaction_key="k"), None, b"random").redaction.key == b"k"


def test_a_wrong_target_is_an_error_with_a_hint() -> None:
    with pytest.raises(SettingsError) as caught:
        control_document(TargetsSettings(static=["prot:80"]), None, b"")
    assert "prot:80" in caught.value.message
    assert "port:80" in caught.value.hint


def test_addresses_and_names_become_endpoints() -> None:
    records = endpoint_records(
        TargetsSettings(static=["10.0.0.5", "10.1.0.0/16", "port:80", "10.0.0.6:443"], names=["10.0.0.5:5432=db.prod"])
    )
    assert [(r.address, r.port, r.targeted, r.name) for r in records] == [
        ("10.0.0.5", 0, True, ""),
        ("10.1.0.0/16", 0, True, ""),
        ("10.0.0.6", 443, True, ""),
        ("10.0.0.5", 5432, False, "db"),
    ]


def test_a_name_with_a_port_tells_who_listens() -> None:
    record = parse_name("[::1]:53=dns.kube-system")
    assert (record.address, record.port, record.listens) == ("::1", 53, True)
    assert (record.name, record.namespace) == ("dns", "kube-system")
    assert not parse_name("10.0.0.1=gateway").listens


@pytest.mark.parametrize("text", ["db", "10.0.0.5=", "=db", "port:80=web", "10.0.0.300=x"])
def test_a_wrong_name_is_an_error(text: str) -> None:
    with pytest.raises(SettingsError):
        parse_name(text)


def test_changes_are_what_differs_and_what_is_stale() -> None:
    kept = EndpointRecord(address="10.0.0.1", uid="static/name/0", name="a")
    gone = EndpointRecord(address="10.0.0.2", uid="static/name/1", name="b")
    pod = EndpointRecord(address="10.0.0.3", uid="3f2c", name="c")
    fresh = EndpointRecord(address="10.0.0.4", uid="static/name/2", name="d")
    have = {endpoint_key(r): r for r in (kept, gone, pod)}
    assert changes([kept, fresh], have) == ([fresh], [endpoint_key(gone)])
