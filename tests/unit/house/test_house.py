"""The house rules that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ROOTS = (ROOT / "libs/weir", ROOT / "services/weir")
LINES = 500
TEST_LINES = 800
TEXT = {".py", ".md", ".sh", ".toml", ".yml", ".yaml", ".ts", ".tsx", ".css", ".html", ".json", ".sql", ".c", ".h", ""}
THIS = Path(__file__).relative_to(ROOT)
UNMIRRORED = {"house", "deploy"}
"""Folders of tests/unit that test the tree instead of a module."""
CORPORA = "test_corpora"
"""Foreign captures go through a whole stage."""


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        return [p.relative_to(ROOT) for top in ROOTS for p in top.rglob("*") if p.is_file()]
    return [Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


FILES = tracked()
MODULES = [p for p in FILES if p.suffix == ".py" and p.parts[0] in ("libs", "services")]
TESTS = [p for p in FILES if p.parts[:2] == ("tests", "unit") and p.name.startswith("test_") and p.suffix == ".py"]


def texts() -> list[tuple[Path, str]]:
    return [(p, (ROOT / p).read_text("utf-8", "replace")) for p in FILES if p.suffix in TEXT and p != THIS]


def test_there_is_something_to_check() -> None:
    assert len(MODULES) > 20
    assert len(TESTS) > 10


@pytest.mark.parametrize("root", ROOTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_namespace_root_is_no_package(root: Path) -> None:
    assert not (root / "__init__.py").exists()
    loose = [p.name for p in root.iterdir() if p.is_file()]
    assert loose == []


def test_every_package_says_what_it_is_and_that_it_is_typed() -> None:
    folders = {p.parent for p in MODULES}
    for folder in sorted(folders):
        init = ROOT / folder / "__init__.py"
        assert init.exists(), f"{folder} has modules, and no __init__.py"
        assert ast.get_docstring(ast.parse(init.read_text())), f"{init} says nothing"
    for root in ROOTS:
        for package in {ROOT / f for f in folders if (ROOT / f).parent == root}:
            assert (package / "py.typed").exists(), f"{package.relative_to(ROOT)} has no py.typed"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_is_small_and_says_what_it_is_for(path: Path) -> None:
    text = (ROOT / path).read_text()
    assert text.count("\n") < LINES, f"{path} is too long: split it"
    assert ast.get_docstring(ast.parse(text)), f"{path} has no docstring"


def test_tests_are_small_too() -> None:
    assert [str(p) for p in FILES if p.suffix == ".py" and (ROOT / p).read_text().count("\n") >= TEST_LINES] == []


@pytest.mark.parametrize("path", TESTS, ids=str)
def test_a_unit_test_mirrors_a_module(path: Path) -> None:
    """tests/unit/net/test_link.py and test_link_vlan.py are for weir/net/link.py, test_http2.py for several http2_*."""
    folder = path.relative_to("tests/unit").parent
    if folder.parts and folder.parts[0] in UNMIRRORED:
        return
    if path.stem == CORPORA:
        return
    name = path.stem.removeprefix("test_")
    known: set[str] = set()
    for root in ROOTS:
        known |= {p.stem for p in (root / folder).rglob("*.py")} | {p.name for p in (root / folder).glob("*/")}
    known |= {folder.name}
    mirrored = (name == k or name.startswith(f"{k}_") or k.startswith(f"{name}_") for k in known)
    assert any(mirrored), f"{path} tests none of {sorted(known)}"


def test_no_package_lies_in_the_tests() -> None:
    """pytest imports tests by path (importmode=importlib)."""
    assert [str(p) for p in FILES if p.parts[0] == "tests" and p.name == "__init__.py"] == []


def test_nothing_is_left_undone() -> None:
    marker = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    assert [f"{p}: {m[0]}" for p, text in texts() if (m := marker.search(text))] == []


def test_unit_tests_do_not_sleep() -> None:
    """But for the step of a loop that waits for a condition."""
    asleep = re.compile(r"\btime\.sleep\(|\basyncio\.sleep\((?!0\)|0\.0)")
    assert [str(p) for p, text in texts() if p in TESTS and asleep.search(text)] == []


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    """No home folders, no work folders, no package index but the default of whoever installs."""
    paths = re.compile(r"(?<![\w.])/(work|root|farm|home/\w+)/[\w.]|index-url|\bregistry\s*=\s*http|\"resolved\":")
    assert [f"{p}: {m[0]}" for p, text in texts() if (m := paths.search(text))] == []
    assert [str(p) for p in FILES if p.name in (".npmrc", "pip.conf", "settings.xml")] == []


def test_captured_traffic_of_others_is_not_committed() -> None:
    assert [str(p) for p in FILES if (ROOT / p).stat().st_size > 1 << 20] == []
