"""Application protocols, pure: bytes in, exchanges out. One file in `protocols/` adds a protocol.

`api` is the interface, `framed` and `cursor` help protocols that consist of frames, `registry` finds the files.
Nothing here owns a socket, a clock or a loop; all state is plain msgspec values, so that decode can snapshot it.
"""
