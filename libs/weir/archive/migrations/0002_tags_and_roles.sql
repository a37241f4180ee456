-- What kind of address each end is, and what the entry is marked with; of flows the bytes count as request and response.
ALTER TABLE {database}.entries{cluster}
    ADD COLUMN IF NOT EXISTS src_role LowCardinality(String),
    ADD COLUMN IF NOT EXISTS dst_role LowCardinality(String),
    ADD COLUMN IF NOT EXISTS tags Array(LowCardinality(String)) COMMENT 'probe and service-view are left out of lists';
