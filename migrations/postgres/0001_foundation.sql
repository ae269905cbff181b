-- The first schema. The same tables and columns stand in migrations/sqlite; only types and index forms differ.
-- Times are microseconds since the Unix epoch. Rows that a login touches leave room in their page (fillfactor), so that
-- the update stays in place and no index is written.

CREATE TABLE customers (
    id UUID PRIMARY KEY,
    canonical UUID NOT NULL REFERENCES customers (id),       -- always a living root: no chain is ever walked
    state TEXT NOT NULL CHECK (state IN ('active', 'merged', 'blocked', 'erased')),
    version BIGINT NOT NULL,                                 -- rises with every visible change
    event_seq BIGINT NOT NULL,                               -- the last number given to an event of this root
    profile JSONB NOT NULL,                                  -- this row's own values: a merge never writes them
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CHECK ((state = 'merged') = (canonical <> id))
) WITH (fillfactor = 85);
CREATE INDEX customers_canonical ON customers (canonical);

CREATE TABLE links (
    id UUID PRIMARY KEY,
    namespace TEXT NOT NULL,
    external_id TEXT NOT NULL,
    exclusive BOOLEAN NOT NULL,                              -- stored, so that a probe can use the partial index
    customer UUID NOT NULL REFERENCES customers (id),        -- the customer it was attached to: never rewritten
    root UUID NOT NULL REFERENCES customers (id),            -- canonical(customer), kept by the merge
    state TEXT NOT NULL CHECK (state IN ('live', 'ended')),
    source TEXT NOT NULL,
    proof TEXT,
    verified_at BIGINT,
    display TEXT,
    profile JSONB NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    ended_at BIGINT,
    CHECK ((state = 'ended') = (ended_at IS NOT NULL))
) WITH (fillfactor = 85);
-- Resolving an identifier reads this index and nothing else.
CREATE UNIQUE INDEX links_live ON links (namespace, external_id) INCLUDE (root) WHERE exclusive AND state = 'live';
-- All that links_live leaves out: hints, browsers, history.
CREATE INDEX links_other ON links (namespace, external_id) WHERE NOT exclusive OR state <> 'live';
CREATE INDEX links_root ON links (root);
CREATE INDEX links_customer ON links (customer);

CREATE TABLE subjects (
    sector TEXT NOT NULL,
    sub TEXT NOT NULL,
    customer UUID NOT NULL REFERENCES customers (id),
    root UUID NOT NULL REFERENCES customers (id),
    current BOOLEAN NOT NULL,                                -- the one this sector is given now
    issued_at BIGINT NOT NULL,
    retired_at BIGINT,
    PRIMARY KEY (sector, sub) INCLUDE (root),
    UNIQUE (sector, customer),
    CHECK (current = (retired_at IS NULL))
);
CREATE UNIQUE INDEX subjects_current ON subjects (sector, root) WHERE current;
CREATE INDEX subjects_root ON subjects (root);
CREATE INDEX subjects_sub ON subjects (sub);

CREATE TABLE credentials (
    id UUID PRIMARY KEY,
    customer UUID NOT NULL REFERENCES customers (id),
    root UUID NOT NULL REFERENCES customers (id),
    kind TEXT NOT NULL,
    secret TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('live', 'ended')),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    last_used_at BIGINT
) WITH (fillfactor = 85);
CREATE UNIQUE INDEX credentials_password ON credentials (customer, kind) WHERE kind = 'password' AND state = 'live';
CREATE INDEX credentials_root ON credentials (root);

CREATE TABLE consents (
    customer UUID NOT NULL REFERENCES customers (id),
    root UUID NOT NULL REFERENCES customers (id),
    client_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    granted_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (customer, client_id)
);
CREATE INDEX consents_root ON consents (root, client_id);

CREATE TABLE clients (
    client_id TEXT PRIMARY KEY,
    metadata JSONB NOT NULL,
    secret_hash TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE grants (
    id UUID PRIMARY KEY,                                     -- derived from the authorization code
    client_id TEXT NOT NULL,
    customer UUID REFERENCES customers (id),                 -- null only where a replayed code was voided first
    sid TEXT,
    scope TEXT NOT NULL,
    audience JSONB NOT NULL,
    offline BOOLEAN NOT NULL,                                -- outlives its session
    claims JSONB NOT NULL,
    generation BIGINT NOT NULL,
    rotated_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    idle_expires_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    revoked_reason TEXT,
    CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
) WITH (fillfactor = 85);
CREATE INDEX grants_sid ON grants (sid) WHERE sid IS NOT NULL;
CREATE INDEX grants_customer ON grants (customer);
CREATE INDEX grants_expires_at ON grants (expires_at);

CREATE TABLE signing_keys (
    kid TEXT PRIMARY KEY,
    alg TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('next', 'active', 'retired')),
    public_jwk JSONB NOT NULL,
    sealed BYTEA NOT NULL,                                   -- the private key, encrypted under the master key
    created_at BIGINT NOT NULL,
    activates_at BIGINT NOT NULL,
    retired_at BIGINT,
    expires_at BIGINT
);
-- Two replicas that make keys at once end with one set.
CREATE UNIQUE INDEX signing_keys_next ON signing_keys (alg) WHERE state = 'next';
CREATE UNIQUE INDEX signing_keys_active ON signing_keys (alg) WHERE state = 'active';

CREATE TABLE generations (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO generations (name, value) VALUES ('clients', 0), ('keys', 0);

CREATE TABLE audit (
    chain INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    id UUID NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    customer UUID,
    detail TEXT NOT NULL,                                    -- JSON exactly as it was hashed: JSONB would rewrite it
    previous_hash BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (chain, seq)
);
CREATE INDEX audit_customer ON audit (customer, at) WHERE customer IS NOT NULL;

CREATE TABLE audit_chains (
    chain INTEGER PRIMARY KEY,
    seq BIGINT NOT NULL,
    previous_hash BYTEA NOT NULL,
    hash BYTEA NOT NULL
) WITH (fillfactor = 10);
INSERT INTO audit_chains (chain, seq, previous_hash, hash)
SELECT chain, 0, decode(repeat('00', 32), 'hex'), decode(repeat('00', 32), 'hex') FROM generate_series(0, 15) AS chain;

-- The column names are those of Debezium's outbox event router.
CREATE TABLE outbox (
    id UUID PRIMARY KEY,
    aggregatetype TEXT NOT NULL,
    aggregateid TEXT NOT NULL,
    type TEXT NOT NULL,
    payload JSONB NOT NULL,
    root UUID NOT NULL,
    root_seq BIGINT NOT NULL,
    position BIGINT GENERATED BY DEFAULT AS IDENTITY UNIQUE,
    created_at BIGINT NOT NULL,
    UNIQUE (root, root_seq)
);

CREATE TABLE mail_queue (
    id UUID PRIMARY KEY,
    sealed BYTEA NOT NULL,
    attempts BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    lease_until BIGINT,
    created_at BIGINT NOT NULL,
    last_error TEXT
) WITH (fillfactor = 70);
CREATE INDEX mail_queue_next_attempt_at ON mail_queue (next_attempt_at);

CREATE TABLE merges (
    id UUID PRIMARY KEY,
    survivor UUID NOT NULL REFERENCES customers (id),
    absorbed UUID NOT NULL REFERENCES customers (id),
    actor TEXT NOT NULL,
    reason JSONB NOT NULL,
    moved JSONB NOT NULL,                                    -- exactly the customers whose root changed
    merged_at BIGINT NOT NULL,
    undone_at BIGINT,
    undone_by TEXT,
    CHECK (survivor <> absorbed),
    CHECK ((undone_at IS NULL) = (undone_by IS NULL))
);
CREATE UNIQUE INDEX merges_open ON merges (absorbed) WHERE undone_at IS NULL;
CREATE INDEX merges_survivor ON merges (survivor);

CREATE TABLE not_same (
    a UUID NOT NULL REFERENCES customers (id),
    b UUID NOT NULL REFERENCES customers (id),
    actor TEXT NOT NULL,
    reason JSONB NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (a, b),
    CHECK (a < b)
);
CREATE INDEX not_same_b ON not_same (b);
