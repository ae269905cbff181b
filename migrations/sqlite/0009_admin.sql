-- Who may use the admin API, what it has answered to repeated requests, and what its searches read.

CREATE TABLE admin_roles (
    customer BLOB PRIMARY KEY NOT NULL REFERENCES customers (id), -- this very one: a merge hands no rights to anybody
    role TEXT NOT NULL CHECK (role IN ('viewer', 'support', 'merger', 'approver', 'owner')),
    granted_by TEXT NOT NULL,
    granted_at INTEGER NOT NULL
) STRICT;

CREATE TABLE idempotency_keys (
    actor TEXT NOT NULL,
    key TEXT NOT NULL,
    request_hash BLOB NOT NULL,
    answer TEXT,                                             -- null while the effect is on its way
    created_at INTEGER NOT NULL,
    PRIMARY KEY (actor, key)
) STRICT;
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);

-- The whole audit log by time.
CREATE INDEX audit_at ON audit (at, chain, seq);

-- Names, for a search by their beginning.
CREATE INDEX customers_name ON customers (lower(profile -> 'name' ->> 'value'), id);
CREATE INDEX customers_family_name ON customers (lower(profile -> 'family_name' ->> 'value'), id);
CREATE INDEX customers_given_name ON customers (lower(profile -> 'given_name' ->> 'value'), id);
