"""Per-packet work, batch in and batch out: headers, selection, shards, reassembly.

`api` names what an engine does, `pure` is the reference in Python and defines the behaviour; a compiled twin has to
agree with it on every capture and every random batch.
"""
