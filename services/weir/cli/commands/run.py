"""Run one or several stages in this process.

Stages that share a process are joined in memory where no other process needs their topics in between; everything else
goes through Kafka (`--bus.url`). Every stage on its own, on one machine:

  make kafka                                     a real local broker, in the foreground
  weir topics --create --bus.url 127.0.0.1:9092
  weir run capture --bus.url 127.0.0.1:9092 --capture.interfaces lo
  weir run filter  --bus.url 127.0.0.1:9092
  …
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from weir.cli.flags import add_settings, flags_of
from weir.cli.report import summary
from weir.cli.stages import STAGES
from weir.errors import SettingsError
from weir.runtime.process import load_settings, make_host, run_host, sections, set_up_logging
from weir.settings.load import nearest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stage", nargs="+", help=f"one or several of {', '.join(STAGES)}")
    add_settings(parser, sections(list(STAGES.values())))


def run(args: argparse.Namespace) -> int:
    for name in args.stage:
        if name not in STAGES:
            raise SettingsError(
                f"there is no stage {name!r}", hint=nearest(name, STAGES) or f"stages are {', '.join(STAGES)}"
            )
    stages = [stage for name, stage in STAGES.items() if name in args.stage]
    declared = sections(stages)
    flags = flags_of(args)
    for path in flags:
        if path.split(".", 1)[0] not in declared:
            raise SettingsError(f"{path} is a setting of a stage that does not run here", hint="leave it out")
    loaded = load_settings(stages, flags, args.config)
    if not loaded["bus"].url and len(stages) < len(STAGES):
        raise SettingsError(
            f"{', '.join(args.stage)} without the other stages needs Kafka between them",
            hint="add --bus.url HOST:PORT (`make kafka` starts a broker); `weir up` runs everything in one process",
        )
    set_up_logging(loaded["runtime"].log_level)
    host = make_host(stages, loaded)
    try:
        asyncio.run(run_host(host))
    finally:
        print(summary(host.totals), file=sys.stderr)
    return 0
