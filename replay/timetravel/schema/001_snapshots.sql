-- States of runs at some of their versions: a cache, which may be deleted at any time.
-- fold names the code that folded; latest_us is when the latest of its events occurred, in
-- microseconds since 1970; digest is the SHA-256 of all the rest.
CREATE TABLE snapshots (
    number    INTEGER PRIMARY KEY,
    store_id  TEXT NOT NULL,
    fold      TEXT NOT NULL,
    run_id    TEXT NOT NULL,
    version   INTEGER NOT NULL,
    event_id  TEXT NOT NULL,
    position  TEXT NOT NULL,
    latest_us INTEGER NOT NULL,
    state     BLOB NOT NULL,
    digest    BLOB NOT NULL,
    UNIQUE (store_id, fold, run_id, version)
);
