"""Application protocols, pure: bytes in, exchanges out. One file in `protocols/` adds a protocol.

`api` is the interface, `framed`, `cursor` and `buffer` help protocols that consist of frames, `bodies` undoes content
codings, `httpfields` is what all HTTP versions share, `registry` finds the files.
Nothing here owns a socket, a clock or a loop; all state is plain msgspec values, so that decode can snapshot it.
"""
