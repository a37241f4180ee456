"""The filter language: the CEL subset that Kubernetes users know, with the names of the entry as its variables.

    text ─ syntax ─▶ tree ─ check ─▶ typed tree ─▶ a Python predicate (`python`), or ClickHouse SQL (`clickhouse`)

A filter that was checked cannot fail: an absent field, a value of another type, an index that is not there and a
division by zero are the empty value of their type, in both readers.
"""
