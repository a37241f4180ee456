from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.capture.bpf import layout
from weir.capture.bpf.elf import BadObjectError, read_object
from weir.capture.bpf.socketfilter import object_file, source_digest

OBJECT = object_file()
FOLDER = Path(str(resources.files("weir.capture.bpf"))) / "kernel"


def test_the_object_is_that_of_its_source() -> None:
    told = (FOLDER / "weir.bpf.o.sha256").read_text(encoding="ascii").split()
    assert told == [source_digest(), hashlib.sha256(OBJECT).hexdigest()], "run `make bpf`"


def test_building_it_again_gives_the_same_object(tmp_path: Path) -> None:
    if shutil.which("clang-14") is None:
        pytest.skip("needs clang-14")
    subprocess.run([FOLDER / "build.sh", tmp_path], check=True, timeout=60)
    assert (tmp_path / "weir.bpf.o").read_bytes() == OBJECT


def test_maps_have_the_sizes_that_python_packs() -> None:
    maps = read_object(OBJECT).maps
    assert set(maps) == {"ends", "nets", "ports", "flows", "fragments", "configs", "states", "counters", "asides"}
    for name, key, value in (
        ("ends", layout.end_key(bytes(4), 1), layout.end_value(1)),
        ("nets", layout.net_key(bytes(4), 8, 1), layout.end_value(1)),
        ("ports", layout.port_key(80), layout.WORD.pack(1)),
        ("asides", layout.WORD.pack(3), layout.WORD.pack(1)),
        ("flows", layout.flow_key(layout.FlowKey(bytes(16), bytes(16), 1, 2, 6)), bytes(layout.FLOW.size)),
        ("configs", bytes(4), layout.config_value(node=1, flags=1, share=1, snaplen=1)),
        ("states", bytes(4), layout.STATE.pack(1)),
        ("counters", bytes(4), bytes(8 * len(layout.Stats()))),
    ):
        assert (len(key), len(value)) == (maps[name].key_size, maps[name].value_size), name


def test_links_the_descriptors_of_its_maps() -> None:
    code = read_object(OBJECT).programs["socket"]
    descriptors = {name: 100 + n for n, name in enumerate(read_object(OBJECT).maps)}
    linked = code.linked(descriptors)
    assert len(linked) == len(code.instructions)
    for at, name in code.maps:
        assert linked[at + 1] >> 4 == 1
        assert int.from_bytes(linked[at + 4 : at + 8], "little") == descriptors[name]
    assert {name for _, name in code.maps} == set(descriptors)
    assert read_object(OBJECT).license == b"Dual MIT/GPL"


@given(st.data())
def test_a_damaged_object_is_refused_in_words(data: st.DataObject) -> None:
    damaged = bytearray(OBJECT[: data.draw(st.integers(0, len(OBJECT)))])
    for at in data.draw(st.lists(st.integers(0, 63), max_size=4)):
        if at < len(damaged):
            damaged[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadObjectError):
        assert read_object(bytes(damaged)).programs
