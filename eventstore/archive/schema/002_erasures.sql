-- Deleted runs whose earlier events keep only their digests: their column event is NULL.
CREATE TABLE erasures (
    run_id    TEXT PRIMARY KEY,
    version   INTEGER NOT NULL,  -- of the run.deleted; what comes before it is erased
    erased_ms INTEGER NOT NULL,
    wiped_ms  INTEGER            -- when no trace was left: not in unused parts of files either
) WITHOUT ROWID;

CREATE INDEX runs_deleted ON runs (run_id) WHERE state = 'deleted';

-- What runs that were deleted before have left in Redis is looked at once more.
UPDATE runs SET is_dropped = 0 WHERE state = 'deleted';
