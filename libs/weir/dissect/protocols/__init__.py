"""One file, one protocol: `weir.dissect.registry` finds every module here that holds a dissector class.

A module without one is a mistake that the registry names. Helpers that protocols share live one folder up.
"""
