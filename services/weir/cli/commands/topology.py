"""Stages and topics, printed from what each stage declares that it takes, reads and makes. Needs nothing that runs.

examples:
  weir topology
  weir topology -o mermaid    a chart for a document
"""

from __future__ import annotations

import argparse
import json

from weir.cli.args import Parser, one_of
from weir.cli.flags import add_common
from weir.cli.stages import STAGES
from weir.cli.topology import as_data, as_mermaid, as_text

USAGE = "weir topology [options]"


def add_arguments(parser: Parser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument("-o", "--output", type=one_of("--output", ("text", "mermaid", "json")), metavar="FORMAT",
                       default="text", help="text, mermaid or json [text]")
    group.add_argument("--instance", default="weir", metavar="NAME", help="prefix of the topics [weir]")
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    stages = STAGES.values()
    if args.output == "json":
        print(json.dumps(as_data(stages)))
    else:
        print((as_mermaid if args.output == "mermaid" else as_text)(stages, args.instance))
    return 0
