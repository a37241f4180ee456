"""decode: takes `segments`, makes `entries`, and `flows` (snapshots of what is open); reads `endpoints` and `control`.

It puts TCP in order, finds out which protocol a conversation speaks, lets that protocol's dissector read it, names the
ends, masks secrets, and tells of every conversation how it went. Each shard is one `core.Decoder`, pure and
deterministic: the same segments give the same entries, wherever it was interrupted. It does no I/O besides the bus.
"""
