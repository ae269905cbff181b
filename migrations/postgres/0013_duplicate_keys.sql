-- Customers are weighed against those who share a key with them, as they sign up and change.

CREATE TABLE duplicate_keys (
    key BIGINT NOT NULL,                                     -- a hash of values, such as of a birth date and a name
    customer UUID NOT NULL,                                  -- not a reference: some thirty checks for each customer
    PRIMARY KEY (key, customer)
);

CREATE TABLE duplicate_indexed (
    customer UUID PRIMARY KEY REFERENCES customers (id),
    keys BYTEA NOT NULL                                      -- those in duplicate_keys, eight bytes each
);

-- The one who follows the events, and how far the index of all customers has got.
CREATE TABLE duplicate_follower (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    cursor BIGINT NOT NULL,                                  -- whoever changed up to this event was weighed
    again_from BIGINT,                                       -- asked for; taken over by whoever holds the lease
    lease_holder UUID,
    lease_until BIGINT NOT NULL,
    indexed_with BIGINT,                                     -- how the keys are made
    indexed_from BIGINT,                                     -- the last event when it was begun
    indexed_to UUID,                                         -- the last customer that is done
    indexed_at BIGINT                                        -- when it was whole
) WITH (fillfactor = 50);
INSERT INTO duplicate_follower (id, cursor, lease_until) SELECT 1, last, 0 FROM outbox_counter WHERE id = 1;

-- What a scan has found until the clusters of all of it are known.
CREATE TABLE duplicate_found (
    scan UUID NOT NULL REFERENCES duplicate_scans (id),
    units BIGINT NOT NULL,                                   -- how far the scan was with these
    pairs BYTEA NOT NULL,                                    -- places of two customers, four bytes each
    PRIMARY KEY (scan, units)
);

ALTER TABLE duplicate_scans ADD COLUMN drift JSONB;            -- how far the customers have moved away from the model

ALTER TABLE candidates ADD COLUMN cluster UUID;              -- the first customer of those that are taken for one person
ALTER TABLE candidates ADD COLUMN needs_review BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX candidates_decided ON candidates (updated_at) WHERE state <> 'open';
