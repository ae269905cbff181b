-- The first schema. The same tables and columns stand in migrations/postgres; only types and index forms differ.
-- Times are microseconds since the Unix epoch, UUIDs are 16-byte blobs, JSON is text.

CREATE TABLE customers (
    id BLOB PRIMARY KEY NOT NULL,
    canonical BLOB NOT NULL REFERENCES customers (id),       -- always a living root: no chain is ever walked
    state TEXT NOT NULL CHECK (state IN ('active', 'merged', 'blocked', 'erased')),
    version INTEGER NOT NULL,                                -- rises with every visible change
    event_seq INTEGER NOT NULL,                              -- the last number given to an event of this root
    profile TEXT NOT NULL,                                   -- this row's own values: a merge never writes them
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CHECK ((state = 'merged') = (canonical <> id))
) STRICT;
CREATE INDEX customers_canonical ON customers (canonical);

CREATE TABLE links (
    id BLOB PRIMARY KEY NOT NULL,
    namespace TEXT NOT NULL,
    external_id TEXT NOT NULL,
    exclusive INTEGER NOT NULL,                              -- stored, so that a probe can use the partial index
    customer BLOB NOT NULL REFERENCES customers (id),        -- the customer it was attached to: never rewritten
    root BLOB NOT NULL REFERENCES customers (id),            -- canonical(customer), kept by the merge
    state TEXT NOT NULL CHECK (state IN ('live', 'ended')),
    source TEXT NOT NULL,
    proof TEXT,
    verified_at INTEGER,
    display TEXT,
    profile TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    ended_at INTEGER,
    CHECK ((state = 'ended') = (ended_at IS NOT NULL))
) STRICT;
-- Resolving an identifier is one probe of this index. A second one that also covers the root would be passed over: the
-- planner prefers the unique one.
CREATE UNIQUE INDEX links_live ON links (namespace, external_id) WHERE exclusive AND state = 'live';
-- All that links_live leaves out: hints, browsers, history.
CREATE INDEX links_other ON links (namespace, external_id) WHERE NOT exclusive OR state <> 'live';
CREATE INDEX links_root ON links (root);
CREATE INDEX links_customer ON links (customer);

CREATE TABLE subjects (
    sector TEXT NOT NULL,
    sub TEXT NOT NULL,
    customer BLOB NOT NULL REFERENCES customers (id),
    root BLOB NOT NULL REFERENCES customers (id),
    current INTEGER NOT NULL,                                -- the one this sector is given now
    issued_at INTEGER NOT NULL,
    retired_at INTEGER,
    PRIMARY KEY (sector, sub),
    UNIQUE (sector, customer),
    CHECK (current = (retired_at IS NULL))
) STRICT;
CREATE UNIQUE INDEX subjects_current ON subjects (sector, root) WHERE current;
CREATE INDEX subjects_root ON subjects (root);
CREATE INDEX subjects_sub ON subjects (sub);

CREATE TABLE credentials (
    id BLOB PRIMARY KEY NOT NULL,
    customer BLOB NOT NULL REFERENCES customers (id),
    root BLOB NOT NULL REFERENCES customers (id),
    kind TEXT NOT NULL,
    secret TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('live', 'ended')),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT;
CREATE UNIQUE INDEX credentials_password ON credentials (customer, kind) WHERE kind = 'password' AND state = 'live';
CREATE INDEX credentials_root ON credentials (root);

CREATE TABLE consents (
    customer BLOB NOT NULL REFERENCES customers (id),
    root BLOB NOT NULL REFERENCES customers (id),
    client_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    granted_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (customer, client_id)
) STRICT;
CREATE INDEX consents_root ON consents (root, client_id);

CREATE TABLE clients (
    client_id TEXT PRIMARY KEY NOT NULL,
    metadata TEXT NOT NULL,
    secret_hash TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE grants (
    id BLOB PRIMARY KEY NOT NULL,                            -- derived from the authorization code
    client_id TEXT NOT NULL,
    customer BLOB REFERENCES customers (id),                 -- null only where a replayed code was voided first
    sid TEXT,
    scope TEXT NOT NULL,
    audience TEXT NOT NULL,
    offline INTEGER NOT NULL,                                -- outlives its session
    claims TEXT NOT NULL,
    generation INTEGER NOT NULL,
    rotated_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    idle_expires_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    revoked_reason TEXT,
    CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
) STRICT;
CREATE INDEX grants_sid ON grants (sid) WHERE sid IS NOT NULL;
CREATE INDEX grants_customer ON grants (customer);
CREATE INDEX grants_expires_at ON grants (expires_at);

CREATE TABLE signing_keys (
    kid TEXT PRIMARY KEY NOT NULL,
    alg TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('next', 'active', 'retired')),
    public_jwk TEXT NOT NULL,
    sealed BLOB NOT NULL,                                    -- the private key, encrypted under the master key
    created_at INTEGER NOT NULL,
    activates_at INTEGER NOT NULL,
    retired_at INTEGER,
    expires_at INTEGER
) STRICT;
-- Two replicas that make keys at once end with one set.
CREATE UNIQUE INDEX signing_keys_next ON signing_keys (alg) WHERE state = 'next';
CREATE UNIQUE INDEX signing_keys_active ON signing_keys (alg) WHERE state = 'active';

CREATE TABLE generations (
    name TEXT PRIMARY KEY NOT NULL,
    value INTEGER NOT NULL
) STRICT;
INSERT INTO generations (name, value) VALUES ('clients', 0), ('keys', 0);

CREATE TABLE audit (
    chain INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    id BLOB NOT NULL,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    customer BLOB,
    detail TEXT NOT NULL,                                    -- JSON exactly as it was hashed
    previous_hash BLOB NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (chain, seq)
) STRICT;
CREATE INDEX audit_customer ON audit (customer, at) WHERE customer IS NOT NULL;

CREATE TABLE audit_chains (
    chain INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    previous_hash BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;
WITH RECURSIVE chains (chain) AS (SELECT 0 UNION ALL SELECT chain + 1 FROM chains WHERE chain < 15)
INSERT INTO audit_chains (chain, seq, previous_hash, hash)
SELECT chain, 0, zeroblob(32), zeroblob(32) FROM chains;

-- The column names are those of Debezium's outbox event router.
CREATE TABLE outbox (
    id BLOB NOT NULL UNIQUE,
    aggregatetype TEXT NOT NULL,
    aggregateid TEXT NOT NULL,
    type TEXT NOT NULL,
    payload TEXT NOT NULL,
    root BLOB NOT NULL,
    root_seq INTEGER NOT NULL,
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at INTEGER NOT NULL,
    UNIQUE (root, root_seq)
) STRICT;

CREATE TABLE mail_queue (
    id BLOB PRIMARY KEY NOT NULL,
    sealed BLOB NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    lease_until INTEGER,
    created_at INTEGER NOT NULL,
    last_error TEXT
) STRICT;
CREATE INDEX mail_queue_next_attempt_at ON mail_queue (next_attempt_at);

CREATE TABLE merges (
    id BLOB PRIMARY KEY NOT NULL,
    survivor BLOB NOT NULL REFERENCES customers (id),
    absorbed BLOB NOT NULL REFERENCES customers (id),
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    moved TEXT NOT NULL,                                     -- exactly the customers whose root changed
    merged_at INTEGER NOT NULL,
    undone_at INTEGER,
    undone_by TEXT,
    CHECK (survivor <> absorbed),
    CHECK ((undone_at IS NULL) = (undone_by IS NULL))
) STRICT;
CREATE UNIQUE INDEX merges_open ON merges (absorbed) WHERE undone_at IS NULL;
CREATE INDEX merges_survivor ON merges (survivor);

CREATE TABLE not_same (
    a BLOB NOT NULL REFERENCES customers (id),
    b BLOB NOT NULL REFERENCES customers (id),
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (a, b),
    CHECK (a < b)
) STRICT;
CREATE INDEX not_same_b ON not_same (b);
