-- How each projection is doing. generation names the rebuild that put its rows in place, NULL
-- where its own batches made them all; revision counts repairs of single runs; objects are the tables and views it has, as JSON.
-- paused_* and failed_* stand while it is paused or failed; failure is JSON, and says which event.
ALTER TABLE projections ADD COLUMN generation TEXT;
ALTER TABLE projections ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE projections ADD COLUMN objects TEXT;
ALTER TABLE projections ADD COLUMN paused_ms INTEGER;
ALTER TABLE projections ADD COLUMN paused_cause TEXT;
ALTER TABLE projections ADD COLUMN failed_ms INTEGER;
ALTER TABLE projections ADD COLUMN failure TEXT;

-- Events that a projection could not take and skipped, because it says on_failure = "skip".
CREATE TABLE dead_events (
    projection TEXT NOT NULL,
    run_id     TEXT NOT NULL,
    version    INTEGER NOT NULL,
    type       TEXT NOT NULL,
    event_id   TEXT NOT NULL,
    position   TEXT NOT NULL,
    failed_ms  INTEGER NOT NULL,
    error      TEXT NOT NULL,
    message    TEXT NOT NULL,
    traceback  TEXT NOT NULL,
    data       TEXT NOT NULL,
    meta       TEXT NOT NULL,
    PRIMARY KEY (projection, run_id, version)
) WITHOUT ROWID;

CREATE INDEX dead_events_by_run ON dead_events (run_id);
