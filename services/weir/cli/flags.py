"""Every declared setting as a flag, and the flags of a command as paths of settings."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from weir.cli.args import Parser, one_of
from weir.cli.render.entries import FORMATS
from weir.settings import settings_of

HIDDEN = "Every setting is an option, too (--bus.shards 6): `weir config --explain` lists them with their meaning."


def add_common(parser: Parser) -> None:
    """What every command has."""
    group = parser.add_argument_group("more")
    group.add_argument("-h", "--help", action="help", help="show this text")


def add_output(
    parser: Parser, formats: Sequence[str] = FORMATS,
    words: str = "table, json (one entry a line), full, csv or har (HTTP Archive)",
) -> argparse._ArgumentGroup:
    """How results are printed; the first format is the default."""
    group = parser.add_argument_group("how to print")
    group.add_argument("-o", "--output", type=one_of("--output", formats), metavar="FORMAT", default=formats[0],
        help=f"{words} [{formats[0]}]")
    group.add_argument("--color", type=one_of("--color", ("auto", "always", "never")), metavar="WHEN", default="auto",
        help="auto, always or never; auto heeds NO_COLOR [auto]")
    group.add_argument("--no-color", dest="color", action="store_const", const="never", help="as --color never")
    return group


def add_settings(
    parser: Parser, declared: Mapping[str, type[msgspec.Struct]], *, listed: Collection[str] = ()
) -> None:
    """Add `--section.name` for each setting; `--help` shows the sections in `listed`."""
    more = parser.add_argument_group("more")
    more.add_argument("--config", metavar="FILE", help="YAML file with settings (or WEIR_CONFIG)")
    more.add_argument("-h", "--help", action="help", help="show this text")
    parser.epilog = HIDDEN
    for section, struct in declared.items():
        shown = section in listed
        group = parser.add_argument_group(f"settings of {section}") if shown else parser
        for setting in settings_of(section, struct):
            text = setting.doc + (f" ({setting.bounds})" if setting.bounds else "")
            default = setting.shown(setting.default)
            group.add_argument(
                setting.flag,
                dest=setting.path,
                metavar=setting.name.split("_")[-1].upper(),
                action="append" if setting.is_list else "store",
                nargs="?" if setting.bare_type is bool else None,
                const="true" if setting.bare_type is bool else None,
                help=f"{text} [{default or 'none'}]".replace("%", "%%") if shown else argparse.SUPPRESS,
            )


def flags_of(args: argparse.Namespace) -> dict[str, Any]:
    """Paths and raw values of the settings that were given as flags."""
    return {path: value for path, value in vars(args).items() if "." in path and value is not None}
