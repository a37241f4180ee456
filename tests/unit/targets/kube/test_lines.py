from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.targets.kube.lines import Lines, LineTooLong


@given(st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\n", b""))), st.data())
def test_any_split_gives_the_same_lines(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    split, found = Lines(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += split.feed(stream[:size])
        stream = stream[size:]
    assert found == [line for line in lines if line]


def test_a_line_without_an_end_is_refused() -> None:
    lines = Lines(longest=100)
    assert lines.feed(b"x" * 99) == []
    with pytest.raises(LineTooLong):
        lines.feed(b"xx")
    assert Lines(longest=10).feed(b"a\n" * 100) == [b"a"] * 100
