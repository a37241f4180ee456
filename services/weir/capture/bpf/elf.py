"""Reads what clang makes of an eBPF program: instructions, maps, and which instruction means which map. Pure.

Only what `make bpf` writes has to be understood: ELF64, little-endian, relocatable, legacy map definitions in a section
`maps` (five 32-bit words, no BTF), one relocation for each use of a map.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import msgspec

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQ")
_MAP = struct.Struct("<5I")
_IDENT = b"\x7fELF\x02\x01\x01"
_EM_BPF = 247
_SYMTAB, _REL = 2, 9
_INSTRUCTION_BYTES = 8
_LD_IMM64 = 0x18
_PSEUDO_MAP_FD = 1


class BadObjectError(Exception):
    """This is no object that can be loaded, and why."""


class MapSpec(msgspec.Struct, frozen=True):
    """Type (enum bpf_map_type), sizes in bytes, entries, and flags of a map."""

    type: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int = 0


class Code(msgspec.Struct, frozen=True):
    """One program."""

    instructions: bytes
    maps: tuple[tuple[int, str], ...] = ()
    """Offsets of the instructions that load a map, and its name."""

    def linked(self, descriptors: dict[str, int]) -> bytes:
        """The instructions with the maps' file descriptors in place."""
        code = bytearray(self.instructions)
        for at, name in self.maps:
            code[at + 1] = code[at + 1] & 0x0F | _PSEUDO_MAP_FD << 4
            struct.pack_into("<I", code, at + 4, descriptors[name])
        return bytes(code)


class Object(msgspec.Struct, frozen=True):
    programs: dict[str, Code]
    """By section."""
    maps: dict[str, MapSpec]
    license: bytes


class _Section(NamedTuple):
    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry: int


def read_object(data: bytes) -> Object:
    """Read an object file; raises BadObjectError."""
    try:
        return _Reader(data).read()
    except (struct.error, IndexError, OverflowError, ValueError) as error:
        raise BadObjectError(f"not a readable eBPF object ({error})") from None


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        ident, _, machine, _, _, _, at, _, _, _, _, size, count, names = _HEADER.unpack_from(data)
        if not ident.startswith(_IDENT) or machine != _EM_BPF:
            raise BadObjectError("not an eBPF object (ELF64, little-endian)")
        self._sections = [_Section(*_SECTION.unpack_from(data, at + n * size)) for n in range(count)]
        texts = self._body(self._sections[names])
        self._names = [_text(texts, section.name) for section in self._sections]
        self._symbols: list[tuple[str, int, int]] = []
        """Name, section, offset."""
        for section in self._sections:
            if section.type == _SYMTAB:
                texts = self._body(self._sections[section.link])
                self._symbols = [
                    (_text(texts, name), index, value)
                    for name, _, _, index, value, _ in _SYMBOL.iter_unpack(self._body(section))
                ]

    def read(self) -> Object:
        places = self._maps()
        programs = {
            self._names[section.info]: Code(self._body(self._sections[section.info]), self._uses(section, places))
            for section in self._sections
            if section.type == _REL
        }
        if not programs:
            raise BadObjectError("the object has no program")
        maps = {name: MapSpec(*_MAP.unpack_from(self._named("maps"), at)) for at, name in places.items()}
        return Object(programs, maps, self._named("license").rstrip(b"\0"))

    def _maps(self) -> dict[int, str]:
        """Names of the maps by their offset in the section."""
        if "maps" not in self._names:
            return {}
        index = self._names.index("maps")
        return {value: name for name, section, value in self._symbols if section == index and name}

    def _uses(self, section: _Section, places: dict[int, str]) -> tuple[tuple[int, str], ...]:
        uses = []
        code = self._body(self._sections[section.info])
        for at, info in _RELOCATION.iter_unpack(self._body(section)):
            name = self._symbols[info >> 32][0]
            if name not in places.values() or at % _INSTRUCTION_BYTES or code[at] != _LD_IMM64:
                raise BadObjectError(f"the object refers to {name or 'something nameless'}, which is no map")
            uses.append((at, name))
        return tuple(uses)

    def _named(self, name: str) -> bytes:
        return self._body(self._sections[self._names.index(name)]) if name in self._names else b""

    def _body(self, section: _Section) -> bytes:
        body = self._data[section.offset : section.offset + section.size]
        if len(body) != section.size:
            raise BadObjectError("the object is cut")
        return body


def _text(texts: bytes, at: int) -> str:
    return texts[at : texts.index(b"\0", at)].decode()
