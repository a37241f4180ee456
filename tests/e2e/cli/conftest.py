from __future__ import annotations

from pathlib import Path

import pytest

from weir.testing.command import Weir


@pytest.fixture
def weir(tmp_path: Path) -> Weir:
    home = tmp_path / "home"
    home.mkdir()
    return Weir(home)
