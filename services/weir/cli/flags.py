"""Every declared setting as a flag, and the flags of a command as paths of settings."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import msgspec

from weir.settings import settings_of


def add_settings(
    parser: argparse.ArgumentParser, declared: Mapping[str, type[msgspec.Struct]], *, listed: bool = True
) -> None:
    """Add `--section.name` for each setting; `listed` shows them in `--help`."""
    parser.add_argument("--config", metavar="FILE", help="YAML file with settings (or WEIR_CONFIG)")
    for section, struct in declared.items():
        group = parser.add_argument_group(f"settings of {section}") if listed else parser
        for setting in settings_of(section, struct):
            text = setting.doc + (f" {setting.bounds}." if setting.bounds else "")
            default = setting.shown(setting.default)
            group.add_argument(
                setting.flag,
                dest=setting.path,
                metavar=setting.name.split("_")[-1].upper(),
                action="append" if setting.is_list else "store",
                nargs="?" if setting.bare_type is bool else None,
                const="true" if setting.bare_type is bool else None,
                help=f"{text} [{default or 'none'}]".replace("%", "%%") if listed else argparse.SUPPRESS,
            )


def flags_of(args: argparse.Namespace) -> dict[str, Any]:
    """Paths and raw values of the settings that were given as flags."""
    return {path: value for path, value in vars(args).items() if "." in path and value is not None}
