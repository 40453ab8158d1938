-- Every event, as people read it. A rowid table: new rows go to the end, whatever their run.
CREATE TABLE timeline (
    run_id      TEXT NOT NULL,
    version     INTEGER NOT NULL,
    type        TEXT NOT NULL,
    source      TEXT NOT NULL,
    workflow_id TEXT,
    node_id     TEXT,
    actor       TEXT,
    occurred_ms INTEGER NOT NULL,
    recorded_ms INTEGER NOT NULL,
    event_id    TEXT NOT NULL,
    data        TEXT NOT NULL,
    meta        TEXT NOT NULL,
    PRIMARY KEY (run_id, version)
);

CREATE INDEX timeline_by_workflow ON timeline (workflow_id, occurred_ms, run_id, version);

CREATE TABLE event_types (
    type   TEXT PRIMARY KEY,
    events INTEGER NOT NULL
) WITHOUT ROWID;
