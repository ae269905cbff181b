-- Customers are weighed against those who share a key with them, as they sign up and change.

CREATE TABLE duplicate_keys (
    key INTEGER NOT NULL,                                    -- a hash of values, such as of a birth date and a name
    customer BLOB NOT NULL,                                  -- not a reference: some thirty checks for each customer
    PRIMARY KEY (key, customer)
) STRICT, WITHOUT ROWID;

CREATE TABLE duplicate_indexed (
    customer BLOB PRIMARY KEY NOT NULL REFERENCES customers (id),
    keys BLOB NOT NULL                                       -- those in duplicate_keys, eight bytes each
) STRICT;

-- The one who follows the events, and how far the index of all customers has got.
CREATE TABLE duplicate_follower (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    cursor INTEGER NOT NULL,                                 -- whoever changed up to this event was weighed
    again_from INTEGER,                                      -- asked for; taken over by whoever holds the lease
    lease_holder BLOB,
    lease_until INTEGER NOT NULL,
    indexed_with INTEGER,                                    -- how the keys are made
    indexed_from INTEGER,                                    -- the last event when it was begun
    indexed_to BLOB,                                         -- the last customer that is done
    indexed_at INTEGER                                       -- when it was whole
) STRICT;
INSERT INTO duplicate_follower (id, cursor, lease_until) SELECT 1, last, 0 FROM outbox_counter WHERE id = 1;

-- What a scan has found until the clusters of all of it are known.
CREATE TABLE duplicate_found (
    scan BLOB NOT NULL REFERENCES duplicate_scans (id),
    units INTEGER NOT NULL,                                  -- how far the scan was with these
    pairs BLOB NOT NULL,                                     -- places of two customers, four bytes each
    PRIMARY KEY (scan, units)
) STRICT;

ALTER TABLE duplicate_scans ADD COLUMN drift TEXT;             -- how far the customers have moved away from the model

ALTER TABLE candidates ADD COLUMN cluster BLOB;              -- the first customer of those that are taken for one person
ALTER TABLE candidates ADD COLUMN needs_review INTEGER NOT NULL DEFAULT 0;
CREATE INDEX candidates_decided ON candidates (updated_at) WHERE state <> 'open';
