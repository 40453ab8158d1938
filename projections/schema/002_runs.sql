-- All *_ms columns are milliseconds since 1970 by the producer's clock (occurred_at).
-- snapshot is the whole fold as JSON; it stands last, so that listings need not read it.
CREATE TABLE runs (
    run_id          TEXT PRIMARY KEY,
    workflow_id     TEXT,
    status          TEXT NOT NULL,
    version         INTEGER NOT NULL,
    parent          TEXT,
    labels          TEXT NOT NULL,
    definition_hash TEXT,
    created_ms      INTEGER NOT NULL,
    started_ms      INTEGER,
    updated_ms      INTEGER NOT NULL,
    ended_ms        INTEGER,
    paused_total_ms INTEGER NOT NULL,
    deleted         INTEGER NOT NULL,
    snapshot        TEXT NOT NULL
);

CREATE INDEX runs_by_created ON runs (created_ms, run_id);
CREATE INDEX runs_by_updated ON runs (updated_ms, run_id);
CREATE INDEX runs_by_ended ON runs (ended_ms, run_id) WHERE ended_ms IS NOT NULL;
CREATE INDEX runs_by_events ON runs (version, run_id);
CREATE INDEX runs_by_status ON runs (status, created_ms, run_id);
CREATE INDEX runs_by_workflow ON runs (workflow_id, created_ms, run_id);
CREATE INDEX runs_by_parent ON runs (parent, created_ms, run_id) WHERE parent IS NOT NULL;

-- One row a label; value is JSON, so that 1 and "1" differ.
CREATE TABLE run_labels (
    run_id TEXT NOT NULL,
    name   TEXT NOT NULL,
    value  TEXT NOT NULL,
    PRIMARY KEY (run_id, name)
) WITHOUT ROWID;

CREATE INDEX run_labels_by_value ON run_labels (name, value, run_id);

CREATE TABLE nodes (
    run_id        TEXT NOT NULL,
    node_id       TEXT NOT NULL,
    first_version INTEGER NOT NULL,
    label         TEXT,
    status        TEXT NOT NULL,
    attempts      INTEGER NOT NULL,
    queued_ms     INTEGER,
    started_ms    INTEGER,
    ended_ms      INTEGER,
    output        TEXT,
    error         TEXT,
    PRIMARY KEY (run_id, node_id)
) WITHOUT ROWID;

-- What a run can go on from: one row for each run.paused and checkpoint.saved.
CREATE TABLE checkpoints (
    run_id      TEXT NOT NULL,
    version     INTEGER NOT NULL,
    pause_id    TEXT,
    occurred_ms INTEGER NOT NULL,
    resume_at   TEXT NOT NULL,
    state       TEXT NOT NULL,
    PRIMARY KEY (run_id, version)
);
