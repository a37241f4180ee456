-- Entries: typed columns for what lists, filters and statistics look at, and the whole entry as MessagePack.
--
-- The order (timestamp, id) makes the newest entries and time ranges cheap. The engine folds copies with equal time
-- and id (a replay); copies of one id with different times (two vantages) are told apart when they are read, since
-- no order serves both. Retention drops whole hours, which costs nothing; so there is no TTL.
CREATE TABLE IF NOT EXISTS {database}.entries{cluster}
(
    timestamp DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    id String CODEC(ZSTD(1)),
    version UInt32 CODEC(ZSTD(1)),
    protocol LowCardinality(String),
    kind LowCardinality(String),
    flow_id String CODEC(ZSTD(1)),
    transport LowCardinality(String),
    node_name LowCardinality(String),
    elapsed_time UInt64 COMMENT 'microseconds, 0 where it is not known' CODEC(T64, ZSTD(1)),
    src_ip String CODEC(ZSTD(1)),
    src_port UInt16 CODEC(ZSTD(1)),
    src_name String CODEC(ZSTD(1)),
    src_namespace LowCardinality(String),
    src_service String CODEC(ZSTD(1)),
    src_workload String CODEC(ZSTD(1)),
    dst_ip String CODEC(ZSTD(1)),
    dst_port UInt16 CODEC(ZSTD(1)),
    dst_name String CODEC(ZSTD(1)),
    dst_namespace LowCardinality(String),
    dst_service String CODEC(ZSTD(1)),
    dst_workload String CODEC(ZSTD(1)),
    method LowCardinality(String),
    path String CODEC(ZSTD(1)),
    status_code Int32 CODEC(ZSTD(1)),
    ok Int8 COMMENT '1 it went well, 0 it failed, -1 it cannot be told' CODEC(ZSTD(1)),
    request_size UInt64 CODEC(T64, ZSTD(1)),
    response_size UInt64 CODEC(T64, ZSTD(1)),
    weight UInt32 COMMENT 'conversations it stands for, in thousandths' CODEC(ZSTD(1)),
    summary String CODEC(ZSTD(1)),
    search String COMMENT 'lower case, what a text is looked for in' CODEC(ZSTD(1)),
    entry_size UInt32 COMMENT 'bytes of the column entry' CODEC(ZSTD(1)),
    entry String COMMENT 'the whole entry, MessagePack' CODEC(ZSTD(3)),
    INDEX id_bloom id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX flow_bloom flow_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = {engine}(version)
PARTITION BY toStartOfHour(timestamp)
ORDER BY (timestamp, id)
SETTINGS index_granularity_bytes = 1048576;
