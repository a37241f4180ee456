"""What people ask entries for: a typed query (`structured`), and its two readers, a Python predicate (`match`) and
ClickHouse SQL with bound parameters (`sql`), which must give the same answers.

Both readers look at the same typed view of an entry (`row`): whatever an entry on the topic holds, its row has the
declared types, so that an absent field, a wrong type or a monstrous number means the same to both.
"""
