-- Events leave the house: their number in the order in which they were committed, and how far each receiver has got.

-- `position` is given at insertion, so a lower one may become visible after a higher one. `sequence` is given to events
-- that can be seen, one batch after the other: whoever has read up to a number misses nothing below it.
ALTER TABLE outbox ADD COLUMN sequence INTEGER;
CREATE UNIQUE INDEX outbox_sequence ON outbox (sequence) WHERE sequence IS NOT NULL;
CREATE INDEX outbox_unnumbered ON outbox (position) WHERE sequence IS NULL;

CREATE TABLE outbox_counter (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    last INTEGER NOT NULL                                    -- the last number given; locked while numbers are given
) STRICT;
INSERT INTO outbox_counter (id, last) VALUES (1, 0);

CREATE TABLE webhooks (
    id TEXT PRIMARY KEY NOT NULL,
    cursor INTEGER NOT NULL,                                 -- every event up to this number is done with
    replay_from INTEGER,                                     -- asked for; taken over by whoever holds the lease
    attempts INTEGER NOT NULL,                               -- failures in a row
    refusals INTEGER NOT NULL,                               -- those of them that were about the event
    aside_in_row INTEGER NOT NULL,                           -- events put aside since the last delivery
    failing_since INTEGER,
    next_attempt_at INTEGER NOT NULL,
    last_error TEXT,
    stopped_at INTEGER,
    lease_holder BLOB,
    lease_until INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    delivered_at INTEGER,
    created_at INTEGER NOT NULL
) STRICT;

-- What a receiver would not take, so that the events after it are not held up.
CREATE TABLE webhook_dead_letters (
    webhook TEXT NOT NULL REFERENCES webhooks (id),
    sequence INTEGER NOT NULL,
    event BLOB NOT NULL,
    reason TEXT NOT NULL,
    put_aside_at INTEGER NOT NULL,
    PRIMARY KEY (webhook, sequence)
) STRICT;
