-- Which store feeds this database, which projections it holds, and how far each has read.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE projections (
    name    TEXT PRIMARY KEY,
    version INTEGER NOT NULL
) WITHOUT ROWID;

-- Written in the same transaction as the rows, so that each event counts once.
CREATE TABLE positions (
    projection   TEXT NOT NULL,
    partition_no INTEGER NOT NULL,
    ms           INTEGER NOT NULL,
    n            INTEGER NOT NULL,
    events       INTEGER NOT NULL,
    PRIMARY KEY (projection, partition_no)
) WITHOUT ROWID;
