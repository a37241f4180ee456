"""The values that travel between stages: frozen structs with little behaviour, one module a topic.

Nothing here does I/O or knows a stage. Raw bytes stay raw; nobody above `model` invents an untyped dict,
with one exception: an entry's public form is a flat map (`entry.Entry.to_map`), because its protocol
fields are declared by dissectors, not by a class.
"""
