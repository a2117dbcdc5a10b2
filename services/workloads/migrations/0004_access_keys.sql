-- oldest code beside it: 0.2

-- Every change of every key, kept for ever. `name` is whose it is, in the words of who made it, and stands nowhere else.
CREATE TABLE IF NOT EXISTS access_keys (
    key_id String,
    revision Int64,
    principal String,
    name String,
    event String CODEC(ZSTD(3)),
    changed_at DateTime64(3, 'UTC'),
    is_published UInt8
) ENGINE = ReplacingMergeTree(is_published)
ORDER BY (key_id, revision)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
