-- JSON, so that filters can ask for what has no column; rows from before stay MessagePack, and readable. The level of
-- ZSTD decides what an insert costs: at 1 it takes half the time of 3, for 5 % more on disk.
ALTER TABLE {database}.entries{cluster} MODIFY COLUMN IF EXISTS entry String COMMENT 'the whole entry, JSON' CODEC(ZSTD(1));
