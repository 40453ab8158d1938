-- Runs with counters and usage; and what a deleted run leaves behind.
-- counters: what happened how often, as JSON ({"calls": 3}); usage: what calls used, summed.
-- snapshot is the whole fold as JSON; it stands last, so that listings need not read it.
CREATE TABLE deleted_runs (
    run_id     TEXT PRIMARY KEY,
    version    INTEGER NOT NULL,
    deleted_ms INTEGER NOT NULL,
    reason     TEXT,
    actor      TEXT
) WITHOUT ROWID;

CREATE INDEX deleted_runs_by_time ON deleted_runs (deleted_ms, run_id);

INSERT INTO deleted_runs (run_id, version, deleted_ms)
SELECT run_id, version, updated_ms FROM runs WHERE deleted;
DELETE FROM runs WHERE deleted;
DELETE FROM run_labels WHERE run_id IN (SELECT run_id FROM deleted_runs);
DELETE FROM nodes WHERE run_id IN (SELECT run_id FROM deleted_runs);
DELETE FROM checkpoints WHERE run_id IN (SELECT run_id FROM deleted_runs);
DELETE FROM pauses WHERE run_id IN (SELECT run_id FROM deleted_runs);

CREATE TABLE new_runs (
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
    counters        TEXT NOT NULL,
    usage           TEXT NOT NULL,
    snapshot        TEXT NOT NULL
);

INSERT INTO new_runs
SELECT run_id, workflow_id, status, version, parent, labels, definition_hash, created_ms,
       started_ms, updated_ms, ended_ms, paused_total_ms, '{}', '{}', snapshot
FROM runs;
DROP TABLE runs;
ALTER TABLE new_runs RENAME TO runs;

CREATE INDEX runs_by_created ON runs (created_ms, run_id);
CREATE INDEX runs_by_updated ON runs (updated_ms, run_id);
-- Its last columns are there to be read alone, without the rows: they tell of durations.
CREATE INDEX runs_by_ended ON runs (ended_ms, run_id, workflow_id, status, created_ms)
    WHERE ended_ms IS NOT NULL;
CREATE INDEX runs_by_events ON runs (version, run_id);
CREATE INDEX runs_by_status ON runs (status, created_ms, run_id);
CREATE INDEX runs_by_workflow ON runs (workflow_id, created_ms, run_id);
CREATE INDEX runs_by_parent ON runs (parent, created_ms, run_id) WHERE parent IS NOT NULL;
CREATE INDEX runs_by_start ON runs (started_ms, workflow_id) WHERE started_ms IS NOT NULL;
CREATE INDEX runs_by_definition ON runs (workflow_id, definition_hash, created_ms)
    WHERE definition_hash IS NOT NULL;

-- duration_ms stands for nodes whose latest attempt was completed.
ALTER TABLE nodes ADD COLUMN workflow_id TEXT;
ALTER TABLE nodes ADD COLUMN started_version INTEGER;
ALTER TABLE nodes ADD COLUMN duration_ms INTEGER;

CREATE INDEX nodes_by_workflow ON nodes (workflow_id, node_id, ended_ms, duration_ms);

-- The attempts before a node's latest one, which its own row tells of.
CREATE TABLE node_attempts (
    run_id          TEXT NOT NULL,
    node_id         TEXT NOT NULL,
    started_version INTEGER NOT NULL,
    attempt         INTEGER NOT NULL,
    status          TEXT NOT NULL,
    started_ms      INTEGER NOT NULL,
    ended_ms        INTEGER,
    error           TEXT,
    workflow_id     TEXT,
    duration_ms     INTEGER,
    PRIMARY KEY (run_id, node_id, started_version)
) WITHOUT ROWID;

CREATE INDEX node_attempts_by_workflow
    ON node_attempts (workflow_id, node_id, ended_ms, duration_ms)
    WHERE duration_ms IS NOT NULL;

-- One row a call; version is that of the event that the call began with. What went in and out
-- stands in the timeline, at version and ended_version.
CREATE TABLE calls (
    run_id         TEXT NOT NULL,
    version        INTEGER NOT NULL,
    call_id        TEXT NOT NULL,
    parent_call_id TEXT,
    workflow_id    TEXT,
    node_id        TEXT,
    kind           TEXT,
    name           TEXT,
    status         TEXT NOT NULL,
    started_ms     INTEGER NOT NULL,
    ended_ms       INTEGER,
    ended_version  INTEGER,
    usage          TEXT,
    error          TEXT,
    PRIMARY KEY (run_id, version)
) WITHOUT ROWID;

CREATE INDEX calls_by_start ON calls (started_ms, run_id, version);
CREATE INDEX calls_by_kind ON calls (kind, started_ms, run_id, version);
CREATE INDEX calls_by_name ON calls (name, started_ms, run_id, version);

CREATE INDEX pauses_by_workflow ON pauses (workflow_id, paused_ms, run_id, version);
CREATE INDEX pauses_waits ON pauses (reason, waited_ms, workflow_id, paused_ms)
    WHERE waited_ms IS NOT NULL;
