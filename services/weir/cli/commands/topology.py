"""Stages and topics, printed from what each stage declares that it takes, reads and makes."""

from __future__ import annotations

import argparse
import json

from weir.cli.stages import STAGES
from weir.cli.topology import as_data, as_mermaid, as_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", choices=("text", "mermaid", "json"), default="text")
    parser.add_argument("--instance", default="weir", help="prefix of the topics [weir]")


def run(args: argparse.Namespace) -> int:
    stages = STAGES.values()
    if args.output == "json":
        print(json.dumps(as_data(stages)))
    else:
        print((as_mermaid if args.output == "mermaid" else as_text)(stages, args.instance))
    return 0
