-- Customers that may be one person, and what found them.

CREATE TABLE duplicate_models (
    version TEXT PRIMARY KEY,
    parameters JSONB NOT NULL,                               -- frozen: the version names them
    created_at BIGINT NOT NULL
);

CREATE TABLE candidates (
    a UUID NOT NULL REFERENCES customers (id),
    b UUID NOT NULL REFERENCES customers (id),
    same DOUBLE PRECISION NOT NULL,
    household DOUBLE PRECISION NOT NULL,
    reasons JSONB NOT NULL,                                  -- fields, levels and bits; the rules that were met
    model TEXT NOT NULL,
    band TEXT NOT NULL CHECK (band IN ('watch', 'queue', 'automatic')),
    state TEXT NOT NULL CHECK (state IN ('open', 'dismissed', 'merged')),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (a, b),
    CHECK (a < b)
);
CREATE INDEX candidates_b ON candidates (b);
CREATE INDEX candidates_waiting ON candidates (band, same) WHERE state = 'open';

CREATE TABLE duplicate_scans (
    id UUID PRIMARY KEY,
    model TEXT NOT NULL REFERENCES duplicate_models (version),
    records BYTEA NOT NULL,                                  -- names the customers it reads: others begin anew
    units BIGINT NOT NULL,
    of_units BIGINT NOT NULL,
    kept BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    finished_at BIGINT
);
CREATE INDEX duplicate_scans_started_at ON duplicate_scans (started_at);
