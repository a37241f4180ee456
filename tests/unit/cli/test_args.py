"""What a user may type, and what is answered to what is mistyped."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
from types import ModuleType

import pytest

from weir.cli.args import Parser, count, one_of
from weir.cli.main import COMMANDS
from weir.errors import SettingsError


def command(name: str) -> ModuleType:
    return importlib.import_module(f"weir.cli.commands.{name}")


def parse(name: str, *words: str) -> argparse.Namespace:
    module = command(name)
    parser = Parser(name, module.USAGE, module.__doc__ or "", words)
    module.add_arguments(parser)
    return parser.parse()


def examples(name: str) -> list[str]:
    """The command lines in a command's help, without what explains them."""
    found = re.findall(rf"^  (?:\S+=\S+ |tcpdump [^|]+\| )?weir {name}\b(.*)$", command(name).__doc__ or "", re.M)
    return [re.split(r" {2,}| \| | >(?=\w)", line)[0] for line in found]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_of_the_help_are_accepted(name: str) -> None:
    assert examples(name)
    for line in examples(name):
        words = [word for word in shlex.split(line) if word != "--help"]
        assert parse(name, *words)


@pytest.mark.parametrize(
    ("name", "words", "said", "hint"),
    [
        ("read", ["--protcol", "http", "a.pcap"], "weir read has no option --protcol", "did you mean --protocol?"),
        ("read", ["a.pcap", "--protcol=http"], "weir read has no option --protcol", "did you mean --protocol?"),
        ("up", ["--capture.snaplne", "64"], "no option --capture.snaplne", "did you mean --capture.snaplen?"),
        ("up", ["--capture.ring_blocks", "64"], "no option --capture.ring_blocks", "mean --capture.ring-blocks?"),
        ("read", ["a.pcap", "--zebra"], "no option --zebra", "`weir read --help`"),
        ("read", ["a.pcap", "-z"], "takes no '-z'", "`weir read --help`"),
        ("read", ["a.pcap", "-o", "jsn"], "--output: there is no 'jsn'", "did you mean json?"),
        ("read", ["a.pcap", "--color", "purple"], "--color: there is no 'purple'", "one of auto, always, never"),
        ("read", ["a.pcap", "-o"], "expected one argument", "`weir read --help`"),
        ("tap", ["--limit", "-5"], "--limit: '-5' is no number", "0 or more"),
        ("tap", ["--limit", "many"], "--limit: 'many' is no number", "0 or more"),
        ("status", ["what"], "takes no 'what'", "`weir status --help`"),
        ("config", ["captur"], "there is no 'captur'", "did you mean capture?"),
    ],
)
def test_a_mistake_is_one_line_and_a_hint(name: str, words: list[str], said: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(name, *words)
    assert said in caught.value.message
    assert hint in caught.value.hint
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == 2


def test_what_follows_two_dashes_is_no_option() -> None:
    assert parse("read", "--", "--odd-name.pcap").file == ["--odd-name.pcap"]


def test_a_negative_number_is_a_value() -> None:
    assert getattr(parse("up", "--capture.ring", "-1"), "capture.ring") == "-1"


def test_types() -> None:
    assert one_of("x", ["a", "b"])("b") == "b"
    assert count("x")("12") == 12
    with pytest.raises(SettingsError):
        count("x")("9" * 30)
