"""store: takes `entries`, makes rows in the archive, in batches, and keeps the archive within its age and size.

It marks entries as done only when the archive has them; while the archive is away or its disk is full it waits, and
the topic keeps what comes. It never answers people: that is the hub's work.
"""
