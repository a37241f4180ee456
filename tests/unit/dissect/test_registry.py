from __future__ import annotations

import types
from typing import Any

import pytest

from weir.dissect.api import Field, Limits, Probe
from weir.dissect.cursor import Cursor
from weir.dissect.framed import Frame, FramedDissector
from weir.dissect.registry import Registry, dissector_class, find_classes
from weir.errors import SettingsError
from weir.model.flow import Side


class Quiet(FramedDissector):
    name, title, protocols = "quiet", "Quiet", ("quiet",)
    ports = frozenset({7})
    fields = (Field("word", str, "A word"),)

    def probe(self, side: Side, head: bytes, transport: str = "tcp") -> Probe:
        return Probe.NO

    def frame(self, state: Any, side: Side, cursor: Cursor, timestamp: int) -> Frame | None:
        return None


class Loud(Quiet):
    name, title, protocols = "loud", "Loud", ("loud",)
    transports = frozenset({"tcp", "udp"})
    ports = frozenset({9})


class SameName(Quiet):
    title = "Another"


class OtherType(Quiet):
    name = "other"
    fields = (Field("word", int, "A number"),)


def test_finds_every_file_of_the_folder() -> None:
    names = [cls.name for cls in find_classes()]
    assert {"http", "http2", "dns", "tls"} <= set(names)
    assert len(names) == len(set(names))


def test_the_dissectors_agree_on_their_fields() -> None:
    registry = Registry()
    assert {field.name for dissector, field in registry.fields() if dissector.name == "http"} >= {"method", "path"}


def test_limits_are_handed_over() -> None:
    limits = Limits(body=7)
    assert all(dissector.limits is limits for dissector in Registry(limits))


def test_only_some() -> None:
    registry = Registry(only=["dns"])
    assert registry.names() == ["dns"]
    assert registry.get("http") is None
    assert registry.candidates("tcp", [80])[0].name == "dns"


def test_the_port_s_owner_is_asked_first() -> None:
    registry = Registry(classes=[Quiet, Loud])
    assert [d.name for d in registry.candidates("tcp")] == ["quiet", "loud"]
    assert [d.name for d in registry.candidates("tcp", [40000, 9])] == ["loud", "quiet"]
    assert [d.name for d in registry.candidates("udp", [7])] == ["loud"]


def test_a_name_that_is_unknown() -> None:
    with pytest.raises(SettingsError, match="there is no dissector quite") as error:
        Registry(only=["quite"], classes=[Quiet, Loud])
    assert error.value.hint == "did you mean quiet?"


def test_a_name_that_is_given_twice() -> None:
    with pytest.raises(SettingsError, match=r"two dissectors are named quiet: .*Quiet and .*SameName"):
        Registry(classes=[Quiet, SameName])


def test_a_field_with_two_types() -> None:
    with pytest.raises(SettingsError, match=r"field word is str in .*Quiet and int in .*OtherType"):
        Registry(classes=[Quiet, OtherType])


def test_a_file_without_a_dissector_and_one_with_two() -> None:
    empty = types.ModuleType("weir_empty")
    with pytest.raises(SettingsError, match="weir_empty defines no dissector"):
        dissector_class(empty)
    crowd = types.ModuleType("weir_crowd")
    for name in ("One", "Two"):
        setattr(crowd, name, type(name, (Quiet,), {"__module__": "weir_crowd"}))
    with pytest.raises(SettingsError, match="several dissectors: One, Two"):
        dissector_class(crowd)
    crowd.One = Loud  # type: ignore[attr-defined]
    assert dissector_class(crowd).__name__ == "Two"
