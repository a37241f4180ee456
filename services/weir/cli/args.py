"""The arguments of one command: help in groups, and mistakes as one line with the nearest name.

What argparse would print as usage and an error becomes a `SettingsError`, so that every mistake of a user looks alike.
"""

from __future__ import annotations

import argparse
import difflib
import shutil
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

from weir.errors import SettingsError

WIDEST = 110


class Parser(argparse.ArgumentParser):
    """`words` is what the user typed, for a command whose help depends on it."""

    def __init__(self, command: str, usage: str, text: str, words: Sequence[str]) -> None:
        super().__init__(
            prog=f"weir {command}", usage=usage, description=text.strip(), formatter_class=_Formatter,
            allow_abbrev=False, add_help=False,
        )
        self.words = words

    def parse(self) -> argparse.Namespace:
        """The arguments; SettingsError for a mistake."""
        self._check_options()
        # Words may stand between options; argparse's way to that does not understand `--`.
        parse = self.parse_known_args if "--" in self.words else self.parse_known_intermixed_args
        args, rest = parse(list(self.words))
        if rest:
            raise SettingsError(f"{self.prog} takes no {rest[0]!r}", hint=f"`{self.prog} --help` shows what it takes")
        return args

    def _check_options(self) -> None:
        """Before argparse, which would rather complain about what an unknown option made it miss."""
        for word in self.words:
            if word == "--":
                return
            name = word.partition("=")[0]
            if name.startswith("--") and name not in self._option_string_actions:
                close = difflib.get_close_matches(name, self._option_string_actions, n=1, cutoff=0.6)
                raise SettingsError(
                    f"{self.prog} has no option {name}",
                    hint=f"did you mean {close[0]}?" if close else f"`{self.prog} --help` lists its options",
                )

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{self.prog}: {message}", hint=f"`{self.prog} --help` shows what it takes")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        width = min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST) - 2
        super().__init__(prog, max_help_position=30, width=width)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """`-o, --output FORMAT` instead of the metavar after each name."""
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        return f"{', '.join(action.option_strings)} {action.metavar or action.dest.upper()}"


def one_of(what: str, choices: Iterable[str]) -> Callable[[str], str]:
    """A type for argparse: one of these words."""
    known = list(choices)

    def check(text: str) -> str:
        if text in known:
            return text
        close = difflib.get_close_matches(text, known, n=1, cutoff=0.5)
        raise SettingsError(
            f"{what}: there is no {text!r}", hint=f"did you mean {close[0]}?" if close else f"one of {', '.join(known)}"
        )

    return check


def count(what: str) -> Callable[[str], int]:
    """A type for argparse: a whole number that is not negative."""

    def check(text: str) -> int:
        if text.isascii() and text.isdigit() and len(text) < 19:
            return int(text)
        raise SettingsError(f"{what}: {text!r} is no number", hint="a whole number, 0 or more")

    return check
