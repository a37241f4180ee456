"""Help that teaches: the same text for everybody, kept beside this test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from weir.cli.main import COMMANDS
from weir.errors import EXIT_CODES
from weir.testing.command import Weir

HELP = Path(__file__).parent / "help"
CASES = {"weir": ["--help"], "run-decode": ["run", "decode", "--help"]} | {name: [name, "--help"] for name in COMMANDS}


@pytest.mark.parametrize("name", CASES)
def test_help(weir: Weir, name: str) -> None:
    done = weir(*CASES[name])
    file = HELP / f"{name}.txt"
    again = f"COLUMNS=100 weir {' '.join(CASES[name])} >{file}"
    assert file.exists(), f"new: {again}"
    assert (done.code, done.err) == (0, "")
    assert done.out == file.read_text(), f"changed: if that is as it should be, {again}"
    assert max(map(len, done.out.splitlines())) <= 120


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_usage_a_sentence_and_examples(name: str) -> None:
    text = (HELP / f"{name}.txt").read_text()
    assert text.startswith(f"usage: weir {name}")
    assert "\nexamples:\n  " in text
    assert len(text.splitlines()) <= 70


def test_the_first_page_tells_every_command_and_exit_code() -> None:
    text = (HELP / "weir.txt").read_text()
    for word in (*COMMANDS, *(f"  {code} " for code in EXIT_CODES)):
        assert word in text


def test_the_help_of_a_stage_lists_its_settings_and_no_others() -> None:
    text = (HELP / "run-decode.txt").read_text()
    assert "--decode.max-flows" in text
    assert "--bus.url" in text
    assert "--capture" not in text.partition("settings of runtime")[2]


@pytest.mark.parametrize("words", [["help"], ["-h"], ["--help"]])
def test_help_is_found_in_every_way(weir: Weir, words: list[str]) -> None:
    assert weir(*words).out == (HELP / "weir.txt").read_text()


def test_help_of_a_command_in_the_other_order(weir: Weir) -> None:
    assert weir("help", "read").out == (HELP / "read.txt").read_text()


def test_without_a_command_the_help_is_an_error(weir: Weir) -> None:
    done = weir()
    assert (done.code, done.out) == (2, "")
    assert done.err == (HELP / "weir.txt").read_text()


def test_the_first_page_imports_next_to_nothing(weir: Weir) -> None:
    """What makes it quick; how quick is measured by the benchmarks."""
    code = "import sys; from weir.cli.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], env=weir.env, capture_output=True, text=True, timeout=60)
    loaded = set(done.stderr.split())
    assert "weir.cli.main" in loaded
    assert not loaded & {"asyncio", "argparse", "aiohttp", "aiokafka", "msgspec", "socket", "ssl"}
