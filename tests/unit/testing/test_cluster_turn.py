from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from weir.testing.cluster.images import ClusterError
from weir.testing.cluster.turn import turn


def test_a_second_cluster_gives_up_in_time_and_says_whose_the_first_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = tmp_path / "lock"
    with turn(lock, 0), pytest.raises(ClusterError, match=f"process {os.getpid()}.*within 0 s"), turn(lock, 0):
        pass
    with turn(lock, 0):
        assert lock.read_text() == str(os.getpid())
    assert lock.read_text() == ""
    assert capsys.readouterr().err == ""


def test_it_waits_for_the_end_of_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock, order = tmp_path / "lock", []

    def second() -> None:
        with turn(lock, 30):
            order.append("second")

    with turn(lock, 0):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.1)
        order.append("first")
    waiting.join(30)
    assert order == ["first", "second"]
    assert f"waits for that of process {os.getpid()}, at most 30 s" in capsys.readouterr().err
