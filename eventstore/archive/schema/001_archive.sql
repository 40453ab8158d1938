-- What the archive is of: store_id, namespace, partitions; origin is these three as it was made
-- with, created_ms when. And how archiving stands: state, state_since_ms, state_message.
CREATE TABLE facts (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- How far each partition's log is archived. A partition without entries has no row.
CREATE TABLE positions (
    partition_no INTEGER PRIMARY KEY,
    ms           INTEGER NOT NULL,
    n            INTEGER NOT NULL
);

-- What the archived events say of each run.
CREATE TABLE runs (
    id          INTEGER PRIMARY KEY,
    run_id      TEXT NOT NULL UNIQUE,
    version     INTEGER NOT NULL,  -- the last one
    chain       BLOB NOT NULL,     -- that of the last event
    state       TEXT NOT NULL,     -- 'open' | 'closed' | 'deleted'
    workflow_id TEXT,
    is_expired  INTEGER NOT NULL,  -- paused, its window has expired, and not restored or resumed
    is_dropped  INTEGER NOT NULL   -- its run stream was dropped, and nothing archived since
);

CREATE INDEX runs_cold ON runs (run_id) WHERE (state <> 'open' OR is_expired) AND NOT is_dropped;

-- Each entry of the log as it was stored.
CREATE TABLE events (
    place       INTEGER PRIMARY KEY,  -- partition * 2^47 + n
    ms          INTEGER NOT NULL,
    run         INTEGER NOT NULL,     -- runs.id
    version     INTEGER NOT NULL,
    event       BLOB,                 -- the JSON bytes
    checksum    TEXT NOT NULL,        -- the entry's own
    append_id   TEXT NOT NULL,
    workflow_id TEXT,                 -- the run's, where the event itself names none
    digest      BLOB NOT NULL,        -- SHA-256 of the JSON bytes
    chain       BLOB NOT NULL         -- SHA-256 over the chain before, the digest and the rest
);

CREATE UNIQUE INDEX events_of_run ON events (run, version);

-- One row for each batch: what was archived up to then, and the chains of the runs it touched.
CREATE TABLE seals (
    sequence     INTEGER PRIMARY KEY,
    kind         TEXT NOT NULL,     -- 'events' | 'accepted'
    at_ms        INTEGER NOT NULL,
    positions    TEXT NOT NULL,     -- JSON {partition: "ms-n"}: where those stand that moved
    events       INTEGER NOT NULL,  -- how many this seal adds, or for 'accepted' takes away
    runs         INTEGER NOT NULL,  -- how many it touched
    heads        BLOB NOT NULL,     -- SHA-256 over their chains, sorted by run id
    fingerprints BLOB NOT NULL,     -- the first 8 bytes of each of these chains: to name a run
    note         TEXT NOT NULL,     -- for 'accepted': the reason that was given
    previous     BLOB NOT NULL,     -- the hash of the seal before
    hash         BLOB NOT NULL,     -- SHA-256 over all of these
    signature    BLOB               -- HMAC-SHA256 of the hash, where there was a key
);

-- Events that the server lost and that were accepted as lost: other ones took their places.
CREATE TABLE lost_events (
    seal        INTEGER NOT NULL,  -- seals.sequence of the acceptance
    place       INTEGER NOT NULL,
    ms          INTEGER NOT NULL,
    run_id      TEXT NOT NULL,
    version     INTEGER NOT NULL,
    event       BLOB,
    checksum    TEXT NOT NULL,
    append_id   TEXT NOT NULL,
    workflow_id TEXT,
    digest      BLOB NOT NULL,
    chain       BLOB NOT NULL,
    PRIMARY KEY (place, seal)
);

CREATE INDEX lost_of_run ON lost_events (run_id, version, seal);
