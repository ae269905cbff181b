-- Customers that may be one person, and what found them.

CREATE TABLE duplicate_models (
    version TEXT PRIMARY KEY NOT NULL,
    parameters TEXT NOT NULL,                                -- frozen: the version names them
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE candidates (
    a BLOB NOT NULL REFERENCES customers (id),
    b BLOB NOT NULL REFERENCES customers (id),
    same REAL NOT NULL,
    household REAL NOT NULL,
    reasons TEXT NOT NULL,                                   -- fields, levels and bits; the rules that were met
    model TEXT NOT NULL,
    band TEXT NOT NULL CHECK (band IN ('watch', 'queue', 'automatic')),
    state TEXT NOT NULL CHECK (state IN ('open', 'dismissed', 'merged')),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (a, b),
    CHECK (a < b)
) STRICT;
CREATE INDEX candidates_b ON candidates (b);
CREATE INDEX candidates_waiting ON candidates (band, same) WHERE state = 'open';

CREATE TABLE duplicate_scans (
    id BLOB PRIMARY KEY NOT NULL,
    model TEXT NOT NULL REFERENCES duplicate_models (version),
    records BLOB NOT NULL,                                   -- names the customers it reads: others begin anew
    units INTEGER NOT NULL,
    of_units INTEGER NOT NULL,
    kept INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;
CREATE INDEX duplicate_scans_started_at ON duplicate_scans (started_at);
