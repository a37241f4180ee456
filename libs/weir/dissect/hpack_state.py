"""HPACK (RFC 7541) on the library hpack, with the dynamic table as a plain value that decode can save.

`Table` is all that one direction of a connection remembers between header blocks; hpack's decoder is made anew for
each block around it. A table whose beginning was not seen (joined in the middle, bytes lost, a block that could not
be read) is `partial`: entries that are added from then on stand at their right places, because the newest is always
the first (§2.3.3), and an index beyond them is answered with `UNKNOWN` instead of an error.
"""

from __future__ import annotations

import msgspec
from hpack import Decoder, HPACKError, InvalidTableIndexError, OversizedHeaderListError
from hpack.table import HeaderTable, table_entry_size

UNKNOWN = "?"
"""Name or value of a header field that stands in a part of the table that was not seen."""

DEFAULT_SIZE = 4096
TABLE_LIMIT = 65536
"""Bytes (RFC 7541 §4.1) that are kept of a table, whatever the peers agreed on: settings allow 4 GiB."""
BLOCK_LIMIT = 65536
"""Bytes of one encoded header block that are read. hpack copies the rest of a block for each field, so the time for
a block grows with its square."""

_UNKNOWN = UNKNOWN.encode()


class Table(msgspec.Struct):
    """The dynamic table of one direction."""

    entries: list[tuple[bytes, bytes]] = []
    """Newest first."""
    size: int = 0
    """Of the entries, as RFC 7541 §4.1 counts."""
    limit: int = DEFAULT_SIZE
    """Size above which the oldest are evicted."""
    partial: bool = False
    """Older entries exist that were not seen."""

    def forget(self) -> None:
        """What was added meanwhile is not known: nothing that is held has its place any more."""
        self.entries.clear()
        self.size = 0
        self.partial = True
        # To evict too late is harmless (nobody refers to what is gone), too early is a loss.
        self.limit = TABLE_LIMIT


def joined() -> Table:
    """The table of a connection that was joined in the middle."""
    table = Table()
    table.forget()
    return table


class Fields(msgspec.Struct):
    """A decoded header block."""

    fields: list[tuple[str, str]] = []
    """Name and value, in order."""
    unknown: bool = False
    """A field refers to a part of the table that was not seen."""
    error: str = ""
    """Why the block could not be read; the table is partial from here on."""


def decode(table: Table, block: bytes, limit: int = 262_144) -> Fields:
    """Read one header block and change the table as it says; `limit` bounds the decoded size (a small block may refer
    to a large entry again and again). Never raises."""
    view = _View(table)
    decoder = Decoder(max_header_list_size=limit)
    decoder.header_table = view
    # What one peer may demand of the other was settled between them; a table is followed wherever it goes.
    decoder.max_allowed_table_size = 1 << 32
    try:
        pairs = decoder.decode(block, raw=True)
    except HPACKError as error:
        table.forget()
        return Fields(error=_reason(error, limit))
    return Fields(fields=[(_text(name), _text(value)) for name, value in pairs], unknown=view.unknown)


def _reason(error: HPACKError, limit: int) -> str:
    """Words of our own: some of the library's contain bytes of the block, which may be secret."""
    if isinstance(error, OversizedHeaderListError):
        return f"more than {limit} bytes when decoded"
    if isinstance(error, InvalidTableIndexError):
        return "refers to an entry that was never made"
    return "broken encoding"


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


class _View(HeaderTable):
    """hpack's table over the plain value, with the two freedoms that the module docstring tells."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.table = table
        self.unknown = False

    def get_by_index(self, index: int) -> tuple[bytes, bytes]:
        if index > self.STATIC_TABLE_LENGTH:
            at = index - self.STATIC_TABLE_LENGTH - 1
            if at < len(self.table.entries):
                return self.table.entries[at]
            if self.table.partial:
                self.unknown = True
                return _UNKNOWN, _UNKNOWN
        return super().get_by_index(index)

    def add(self, name: bytes, value: bytes) -> None:
        table = self.table
        table.entries.insert(0, (bytes(name), bytes(value)))
        table.size += table_entry_size(name, value)
        self._evict()

    @property
    def maxsize(self) -> int:
        return self.table.limit

    @maxsize.setter
    def maxsize(self, newmax: int) -> None:
        table = self.table
        if newmax > TABLE_LIMIT:
            # What lies beyond our ceiling is as good as not seen.
            table.partial = True
        elif newmax == 0:
            # An emptied table is a known one.
            table.partial = False
        table.limit = min(newmax, TABLE_LIMIT)
        self._evict()

    def _evict(self) -> None:
        table = self.table
        while table.size > table.limit:
            table.size -= table_entry_size(*table.entries.pop())
