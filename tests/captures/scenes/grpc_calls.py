"""gRPC as its own implementation speaks it (grpcio), with messages of bytes that no schema describes."""

from __future__ import annotations

import sys
from pathlib import Path

from scenes.stage import Packets, Stage, case

from weir.testing.servers import listening

PEER = str(Path(__file__).with_name("grpc_peer.py"))
PORT = 50051


def calls(stage: Stage, act: str) -> Packets:
    stage.server.spawn(sys.executable, PEER, "serve", stage.server.address)
    listening(stage.server, PORT)
    with stage.recording() as recording:
        stage.client.run(sys.executable, PEER, act, stage.server.address)
    return recording.packets


@case("grpc/unary")
def unary(stage: Stage) -> Packets:
    """Three calls on one connection: OK, FAILED_PRECONDITION with a message, and UNIMPLEMENTED."""
    return calls(stage, "unary")


@case("grpc/streaming")
def streaming(stage: Stage) -> Packets:
    """A call answered with three messages, and one that sends and gets two in turn."""
    return calls(stage, "streaming")


@case("grpc/cancelled")
def cancelled(stage: Stage) -> Packets:
    """The client cancels a call in the middle of its messages: the stream is reset."""
    return calls(stage, "cancelled")
