-- What agents and people said, and in which threads. An agent is a run's workflow_id.
CREATE TABLE messages (
    run_id       TEXT NOT NULL,
    version      INTEGER NOT NULL,
    thread_id    TEXT NOT NULL,
    workflow_id  TEXT,
    role         TEXT NOT NULL,
    actor        TEXT,
    occurred_ms  INTEGER NOT NULL,
    content      TEXT NOT NULL,
    tool_calls   TEXT,
    tool_results TEXT,
    PRIMARY KEY (run_id, version)
);

CREATE INDEX messages_by_run ON messages (run_id, thread_id, occurred_ms);
CREATE INDEX messages_by_thread ON messages (thread_id, occurred_ms, run_id, version);

-- Which runs took part in a thread, one row each.
CREATE TABLE thread_runs (
    thread_id   TEXT NOT NULL,
    run_id      TEXT NOT NULL,
    workflow_id TEXT,
    messages    INTEGER NOT NULL,
    first_ms    INTEGER NOT NULL,
    last_ms     INTEGER NOT NULL,
    PRIMARY KEY (thread_id, run_id)
) WITHOUT ROWID;

CREATE INDEX thread_runs_by_run ON thread_runs (run_id);
CREATE INDEX thread_runs_by_time ON thread_runs (thread_id, first_ms, run_id);
CREATE INDEX thread_runs_by_agent ON thread_runs (workflow_id, last_ms, thread_id, run_id);

-- Summed from thread_runs.
CREATE TABLE threads (
    thread_id TEXT PRIMARY KEY,
    messages  INTEGER NOT NULL,
    runs      INTEGER NOT NULL,
    first_ms  INTEGER NOT NULL,
    last_ms   INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX threads_by_time ON threads (last_ms, thread_id);
