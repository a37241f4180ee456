-- Entries straight from Kafka into ClickHouse, without weir's store. ClickHouse reads no MessagePack maps, so this
-- takes the topic that as_json.py writes. README.md beside this file says how to run it.

-- An entry may come twice, and a fuller one replaces a poorer one: FINAL shows each once, in its highest version.
CREATE TABLE entries
(
    timestamp DateTime64(9, 'UTC'),
    id String,
    version UInt32,
    protocol LowCardinality(String),
    kind LowCardinality(String),
    flow_id String,
    src LowCardinality(String),
    dst LowCardinality(String),
    method LowCardinality(String),
    path String,
    status_code UInt16,
    ok Nullable(Bool),
    elapsed_us UInt64,
    sample_rate Float64,
    summary String,
    entry String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toDate(timestamp)
ORDER BY (timestamp, id)
TTL toDateTime(timestamp) + INTERVAL 7 DAY;

CREATE TABLE entries_queue (entry String)
ENGINE = Kafka
SETTINGS kafka_broker_list = '127.0.0.1:9092', kafka_topic_list = 'weir.entries.json',
    kafka_group_name = 'clickhouse', kafka_format = 'JSONAsString', kafka_handle_error_mode = 'stream';

CREATE MATERIALIZED VIEW entries_reader TO entries AS
SELECT
    fromUnixTimestamp64Nano(JSONExtractInt(entry, 'timestamp'), 'UTC') AS timestamp,
    JSONExtractString(entry, 'id') AS id,
    if(JSONHas(entry, 'version'), JSONExtractUInt(entry, 'version'), 1) AS version,
    JSONExtractString(entry, 'protocol') AS protocol,
    JSONExtractString(entry, 'kind') AS kind,
    JSONExtractString(entry, 'flow_id') AS flow_id,
    JSONExtractString(entry, 'src', if(JSONHas(entry, 'src', 'name'), 'name', 'ip')) AS src,
    JSONExtractString(entry, 'dst', if(JSONHas(entry, 'dst', 'name'), 'name', 'ip')) AS dst,
    JSONExtractString(entry, 'method') AS method,
    JSONExtractString(entry, 'path') AS path,
    JSONExtractUInt(entry, 'status_code') AS status_code,
    JSONExtract(entry, 'ok', 'Nullable(Bool)') AS ok,
    JSONExtractUInt(entry, 'elapsed_time') AS elapsed_us,
    if(JSONHas(entry, 'sample_rate'), JSONExtractFloat(entry, 'sample_rate'), 1) AS sample_rate,
    JSONExtractString(entry, 'summary') AS summary,
    entry
FROM entries_queue
WHERE _error = '';
