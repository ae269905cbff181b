-- Who may use the admin API, what it has answered to repeated requests, and what its searches read.

CREATE TABLE admin_roles (
    customer UUID PRIMARY KEY REFERENCES customers (id),     -- this very one: a merge hands no rights to anybody
    role TEXT NOT NULL CHECK (role IN ('viewer', 'support', 'merger', 'approver', 'owner')),
    granted_by TEXT NOT NULL,
    granted_at BIGINT NOT NULL
);

CREATE TABLE idempotency_keys (
    actor TEXT NOT NULL,
    key TEXT NOT NULL,
    request_hash BYTEA NOT NULL,
    answer JSONB,                                            -- null while the effect is on its way
    created_at BIGINT NOT NULL,
    PRIMARY KEY (actor, key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);

-- The whole audit log by time.
CREATE INDEX audit_at ON audit (at, chain, seq);

-- Names, for a search by their beginning. Byte order, so that a prefix is a range.
CREATE INDEX customers_name ON customers ((lower(profile -> 'name' ->> 'value') COLLATE "C"), id);
CREATE INDEX customers_family_name ON customers ((lower(profile -> 'family_name' ->> 'value') COLLATE "C"), id);
CREATE INDEX customers_given_name ON customers ((lower(profile -> 'given_name' ->> 'value') COLLATE "C"), id);
