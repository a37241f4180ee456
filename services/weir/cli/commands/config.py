"""Every setting: its value, and where that came from (flag, environment, file or default)."""

from __future__ import annotations

import argparse
import json

from weir.cli.flags import add_settings, flags_of
from weir.cli.stages import STAGES
from weir.runtime.process import load_settings, sections


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("section", nargs="?", help="only this section (capture, hub, …)")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    parser.add_argument("--explain", action="store_true", help="with type, bounds and description")
    add_settings(parser, sections(list(STAGES.values())), listed=False)


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
