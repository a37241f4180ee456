"""What is generated from declarations is what the declarations say today."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from weir.cli.stages import STAGES
from weir.cli.topology import as_text

ROOT = Path(__file__).parents[3]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_docs", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["entry.md", "topics.md", "settings.md", "cli.md"])
def test_a_reference_page_is_up_to_date(name: str) -> None:
    committed = (ROOT / "docs" / "reference" / name).read_text()
    assert committed == generator().pages()[name].rstrip() + "\n", "run `make generate`"


def test_the_readme_shows_the_topology() -> None:
    assert as_text(STAGES.values(), "weir") in (ROOT / "README.md").read_text()
