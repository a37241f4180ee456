"""Who an address was at a time: `Directory`, fed with the records of `weir.endpoints`.

It answers from what it was given and nothing else: reading the topic, and waiting for names that are late, is up to
whoever feeds it.
"""

from weir.directory.directory import Directory

__all__ = ["Directory"]
