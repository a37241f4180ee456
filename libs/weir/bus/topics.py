"""Every topic, once. `weir topics` creates them, `docs/reference/topics.md` is generated from here."""

from __future__ import annotations

from weir.bus.api import Topic
from weir.model.control import Control, EndpointRecord, Rule, SavedFilter
from weir.model.entry import EntryMap
from weir.model.health import DeadLetter, Heartbeat, SnapshotChunk
from weir.model.packets import PacketBlock
from weir.model.segments import SegmentBlock

MiB = 1 << 20

PACKETS = Topic(
    name="packets", value=PacketBlock, key="node/ring", sharded=True, retention_s=900, retention_bytes=2048 * MiB,
    max_bytes=2 * MiB, secret=True,
    doc="Blocks of captured packets as the ring gave them, with link type and network scope.",
)
SEGMENTS = Topic(
    name="segments", value=SegmentBlock, key="shard", sharded=True, retention_s=3600, retention_bytes=8192 * MiB,
    max_bytes=4 * MiB, secret=True,
    doc="Packets of wanted conversations, by flow shard, with columns that say where everything lies. "
    "Its retention is the replay window.",
)
ENTRIES = Topic(
    name="entries", value=EntryMap, key="flow id", sharded=True, retention_s=86400, max_bytes=4 * MiB,
    doc="One decoded entry for each record: the public contract. Consumers may see an entry twice and "
    "deduplicate by `id`; of two versions the higher one wins.",
)
ENDPOINTS = Topic(
    name="endpoints", value=EndpointRecord, key="address + uid", cleanup="compact",
    doc="Who an address is, since and until when, on which node, and whether it is targeted.",
)
RULES = Topic(
    name="rules", value=Rule, key="rule", cleanup="compact", doc="What people asked for, by whom, until when.",
)
SAVED = Topic(
    name="saved", value=SavedFilter, key="name", cleanup="compact", max_bytes=64 << 10,
    doc="Filters and macros that people named and kept.",
)
CONTROL = Topic(
    name="control", value=Control, key="instance", cleanup="compact", secret=True,
    doc="One versioned document: capture, sampling, dissectors, redaction. Without it: outline, bodies off.",
)
FLOWS = Topic(
    name="flows", value=SnapshotChunk, key="shard/slot/chunk", cleanup="compact", sharded=True, secret=True,
    doc="Snapshots of decode: the open conversations, with the offset that they stand for, in chunks.",
)
HEALTH = Topic(
    name="health", value=Heartbeat, key="process", cleanup="compact",
    doc="Heartbeats: how each process works, what it counted and lost, how far it is behind.",
)
DEAD = Topic(
    name="dead", value=DeadLetter, key="origin", retention_s=30 * 86400,
    doc="References to what could not be processed: topic, partition, offset, reason. Never payload.",
)

TOPICS: tuple[Topic, ...] = (PACKETS, SEGMENTS, ENTRIES, ENDPOINTS, RULES, SAVED, CONTROL, FLOWS, HEALTH, DEAD)
