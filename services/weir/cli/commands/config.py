"""Every setting: its value, and where that came from (flag, environment, file or default). Secrets are not shown.

examples:
  weir config                             all of them
  weir config capture --explain           one section, with types, bounds and descriptions
  weir config --config weir.yaml -o json  as it would be with this file
"""

from __future__ import annotations

import argparse
import json

from weir.cli.args import Parser, one_of
from weir.cli.flags import add_settings, flags_of
from weir.cli.stages import STAGES
from weir.runtime.process import load_settings, sections

USAGE = "weir config [SECTION] [options]"


def add_arguments(parser: Parser) -> None:
    declared = sections(list(STAGES.values()))
    group = parser.add_argument_group("what to show")
    group.add_argument("section", nargs="?", type=one_of("section", declared), metavar="SECTION",
                       help=f"only one of {', '.join(declared)}")
    group.add_argument("--explain", action="store_true", help="with type, bounds and description")
    group.add_argument("-o", "--output", type=one_of("--output", ("text", "json")), metavar="FORMAT", default="text",
                       help="text or json [text]")
    add_settings(parser, declared)


def run(args: argparse.Namespace) -> int:
    loaded = load_settings(list(STAGES.values()), flags_of(args), args.config)
    rows = [s for s in loaded.settings.values() if args.section in (None, s.section)]
    if args.output == "json":
        print(json.dumps([
            {
                "name": s.path, "value": s.shown(loaded.value(s.path)), "origin": loaded.origins[s.path].source,
                "type": s.type_name, "bounds": s.bounds, "flag": s.flag, "env": s.env, "doc": s.doc,
            }
            for s in rows
        ]))
        return 0
    for s in rows:
        print(f"{s.path} = {s.shown(loaded.value(s.path))}    ({loaded.origins[s.path].source})")
        if args.explain:
            print(f"    {s.type_name}{', ' + s.bounds if s.bounds else ''}. {s.doc}\n    {s.flag}  {s.env}")
    return 0
