"""`weir`: finds the command, imports only that, and turns errors into one line, a hint and an exit code."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from collections.abc import Sequence

from weir.errors import EXIT_CODES, SettingsError, WeirError

COMMANDS: dict[str, str] = {
    "up": "capture, decode and show: everything in this one process",
    "read": "decode capture files and print what they hold; no server",
    "tap": "live entries and history in this terminal, of the pods that you name",
    "stats": "how much, how slow and how broken: entries counted by any field",
    "map": "who calls whom, as a table or as a Mermaid diagram",
    "export": "selected entries as a file: JSON lines, CSV or HAR",
    "targets": "rules: which pods payload is read of, and what that costs",
    "why": "why the traffic of a pod is shown, or is not",
    "status": "how each process works: mode, rates, lag, losses, leaks",
    "run": "run one or several stages, joined to the others by Kafka",
    "topics": "create the topics, or check them",
    "topology": "stages and topics, from their declarations",
    "config": "effective settings, and where each came from",
    "version": "version of weir and of its parts",
}

EXAMPLES = """\
examples:
  weir read capture.pcap                       a table of what is in a file
  weir read capture.pcap -o json | jq .path    one entry a line
  weir up --demo                               a small demo application, captured and shown
  weir up --interface eth0 --target port:8080  decode what goes to and from port 8080
  weir tap "checkout.*" -n prod                what pods of the cluster say, while you look
  weir tap --last 15m --filter failed          what went wrong lately, and then live
  weir stats --by source,target --sort p95     who calls whom, the slowest first
  weir run filter decode --bus.url kafka:9092  two stages of a larger installation
"""


def usage() -> str:
    """The text of `weir --help`; made without importing any command."""
    commands = "\n".join(f"  {name:<9} {text}" for name, text in COMMANDS.items())
    codes = "\n".join(f"  {code:<4} {text}" for code, text in EXIT_CODES.items())
    return (
        "usage: weir COMMAND [options]\n\n"
        "weir shows what services say to each other: every call, decoded, named and timed.\n\n"
        f"commands:\n{commands}\n\n{EXAMPLES}\n"
        "`weir COMMAND --help` tells more. Every setting is a flag (--capture.snaplen 128), an environment variable\n"
        "(WEIR_CAPTURE_SNAPLEN=128) and a key of the file given with --config; `weir config` lists them all.\n\n"
        f"exit codes:\n{codes}\n"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; answers its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a character of somebody's traffic shows its code.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _command(words)
        sys.stdout.flush()
        return code
    except WeirError as error:
        from weir.cli.render.text import safe_lines

        print(f"weir: {safe_lines(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of a pipe went away (`weir read … | head`): not an error, and nothing may be written any more.
        _write_no_more()
        return 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _write_no_more()
        full = WeirError(f"nothing more can be written: {error.strerror}", hint="make room, or write elsewhere")
        print(f"weir: {full}", file=sys.stderr)
        return full.exit_code


def _command(words: list[str]) -> int:
    if words[:1] == ["help"] and len(words) > 1:
        words = [words[1], "--help"]
    if not words:
        print(usage(), end="", file=sys.stderr)
        return SettingsError.exit_code
    if words[0] in ("-h", "--help", "help"):
        print(usage(), end="")
        return 0
    name = "version" if words[0] in ("--version", "-V") else words[0]
    if name not in COMMANDS:
        raise SettingsError(f"there is no command {name!r}", hint=_nearest(name))
    from weir.cli.args import Parser  # `weir --help` need not wait for argparse

    module = importlib.import_module(f"weir.cli.commands.{name}")
    parser = Parser(name, module.USAGE, module.__doc__ or "", words[1:])
    module.add_arguments(parser)
    try:
        return int(module.run(parser.parse()))
    except SystemExit as end:  # argparse ends the process after --help
        return int(end.code or 0)


def _nearest(name: str) -> str:
    import difflib

    close = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
    return f"did you mean `weir {close[0]}`?" if close else "`weir --help` lists the commands"


def _write_no_more() -> None:
    """What is still in the buffer goes nowhere, without a word at the interpreter's end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
