-- One row a pause; version is that of its run.paused event, and of its checkpoint.
-- status: open, expired (its window ended, the run still waits), resumed, ended (with the run).
-- resumed_ms and waited_ms stand for resumed pauses only, ended_ms for ended ones only.
CREATE TABLE pauses (
    run_id      TEXT NOT NULL,
    version     INTEGER NOT NULL,
    pause_id    TEXT NOT NULL,
    workflow_id TEXT,
    node_id     TEXT,
    reason      TEXT,
    status      TEXT NOT NULL,
    on_expiry   TEXT NOT NULL,
    paused_ms   INTEGER NOT NULL,
    window_ms   INTEGER,
    expires_ms  INTEGER,
    restored_ms INTEGER,
    resumed_ms  INTEGER,
    ended_ms    INTEGER,
    waited_ms   INTEGER,
    cause       TEXT,
    actor       TEXT,
    PRIMARY KEY (run_id, version)
) WITHOUT ROWID;

CREATE INDEX pauses_by_time ON pauses (paused_ms, run_id, version);
CREATE INDEX pauses_by_status ON pauses (status, paused_ms, run_id, version, waited_ms);
CREATE INDEX pauses_by_reason ON pauses (reason, paused_ms, run_id, version);
CREATE INDEX pauses_by_expiry ON pauses (expires_ms, run_id, version);
CREATE INDEX pauses_late ON pauses (resumed_ms, expires_ms) WHERE resumed_ms > expires_ms;
