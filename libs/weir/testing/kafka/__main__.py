"""`python -m weir.testing.kafka`: a real local broker in the foreground, until ^C."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

from weir.testing.kafka.jars import KafkaMissing, version
from weir.testing.kafka.realkafka import RealKafka, ensure_archive


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m weir.testing.kafka", description=__doc__)
    parser.add_argument("--port", type=int, default=9092, help="port on 127.0.0.1 (default 9092)")
    parser.add_argument("--data", type=Path, help="keep topics in this folder (default: a temporary one)")
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as stack:
        temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="weir-kafka-"))
        try:
            node = RealKafka(options.data or Path(temporary) / "node", port=options.port)
            ensure_archive(Path(temporary) / "archive")
        except KafkaMissing as error:
            return _fail(f"{error}", "apt-get install default-jre-headless maven")
        stack.callback(node.stop)
        if not node.data.exists():
            node.format()
        try:
            node.start()
        except RuntimeError as error:
            return _fail(f"{error}", f"is port {options.port} in use?")
        sys.stdout.write(
            f"Apache Kafka {version()} listens on {node.bootstrap}; data in {node.data}\n"
            f"stages: weir run capture filter decode store targets hub --bus.url {node.bootstrap}\n"
            "^C ends it.\n"
        )
        sys.stdout.flush()
        while not stop.wait(0.5):
            if node.process is not None and node.process.poll() is not None:
                return _fail("kafka ended", f"its logs are in {node.folder}")
    return 0


def _fail(message: str, hint: str) -> int:
    sys.stderr.write(f"error: {message}\nhint: {hint}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
