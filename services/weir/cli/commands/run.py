"""Run one or several stages in this process.

Stages that share a process are joined in memory where no other process needs their topics in between; everything else
goes through Kafka (--bus.url). `weir topology` tells what each stage takes and makes.

examples:
  weir run decode --help                        the settings of this stage
  weir run capture filter --bus.url kafka:9092  two stages in one process
  WEIR_BUS_URL=kafka:9092 weir run decode       settings from the environment

every stage on its own, on one machine, each line in a terminal:
  make kafka                                    a real local broker
  weir run targets --bus.url 127.0.0.1:9092 --targets.static port:8080
  weir run capture --bus.url 127.0.0.1:9092 --capture.interfaces lo
  weir run filter  --bus.url 127.0.0.1:9092
  weir run decode  --bus.url 127.0.0.1:9092
  weir run store hub --bus.url 127.0.0.1:9092
"""

from __future__ import annotations

import argparse
import asyncio

from weir.cli.args import Parser
from weir.cli.flags import add_settings, flags_of
from weir.cli.report import watch
from weir.cli.stages import STAGES
from weir.errors import SettingsError
from weir.runtime.collector import settle
from weir.runtime.process import load_settings, make_host, sections, set_up_logging
from weir.settings.load import nearest

USAGE = "weir run STAGE… [options]"


def add_arguments(parser: Parser) -> None:
    group = parser.add_argument_group("what to run")
    group.add_argument("stage", nargs="*", metavar="STAGE", help=f"one or several of {', '.join(STAGES)}")
    named = [name for name in STAGES if name in parser.words]
    listed = ["runtime", "bus", *named] if named else []
    add_settings(parser, sections(list(STAGES.values())), listed=listed)
    if not named:
        parser.epilog = "Settings are options, too: `weir run STAGE --help` lists those of a stage."


def run(args: argparse.Namespace) -> int:
    if not args.stage:
        raise SettingsError("no stage is named", hint=f"weir run STAGE…; stages are {', '.join(STAGES)}")
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
    settle()
    asyncio.run(watch(host))
    return 0
