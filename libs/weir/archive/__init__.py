"""Where entries are kept and found again: one interface (`api`), a bounded ring in memory (`memory`), ClickHouse over
HTTP (`clickhouse`), and an embedded ClickHouse that speaks the same HTTP (`chdb_server`). `open` chooses.

One suite holds all of them to the same answers, statistics included. Nothing here knows the bus or HTTP for people.
"""
