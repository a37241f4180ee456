"""Entries as rows of the ClickHouse table, in the input format MsgPack: the columns of a row one after the other.

That format lets one C encoder write whole rows; building ClickHouse's own column blocks in Python costs twice as much.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import msgspec

from weir.archive.codec import entry_json
from weir.model.entry import EntryMap
from weir.query.row import FIELDS, row_of

FORMAT = "MsgPack"
NAMES: tuple[str, ...] = (*FIELDS, "entry_size", "entry")

ROWS = 500
_HEAD = 3
"""Bytes of the header of an array of 16 to 65535 items, which the format does not want."""
_SIZE_AND_BIN32 = struct.Struct(">BIBI")

_encoder = msgspec.msgpack.Encoder()


def packed(entries: Sequence[EntryMap]) -> Iterator[bytes]:
    """Rows in the order of `NAMES`, `ROWS` at a time: thirty megabytes in one piece are memory that the system hands
    out anew for each insert, which costs more than to fill it."""
    for at in range(0, len(entries), ROWS):
        block = bytearray()
        for entry in entries[at : at + ROWS]:
            data = entry_json(entry)
            block += _encoder.encode(row_of(entry))[_HEAD:]
            block += _SIZE_AND_BIN32.pack(0xCE, len(data), 0xC6, len(data))
            block += data
        yield bytes(block)
