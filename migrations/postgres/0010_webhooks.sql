-- Events leave the house: their number in the order in which they were committed, and how far each receiver has got.

-- `position` is given at insertion, so a lower one may become visible after a higher one. `sequence` is given to events
-- that can be seen, one batch after the other: whoever has read up to a number misses nothing below it.
ALTER TABLE outbox ADD COLUMN sequence BIGINT;
CREATE UNIQUE INDEX outbox_sequence ON outbox (sequence) WHERE sequence IS NOT NULL;
CREATE INDEX outbox_unnumbered ON outbox (position) WHERE sequence IS NULL;

CREATE TABLE outbox_counter (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    last BIGINT NOT NULL                                     -- the last number given; locked while numbers are given
) WITH (fillfactor = 10);
INSERT INTO outbox_counter (id, last) VALUES (1, 0);

CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    cursor BIGINT NOT NULL,                                  -- every event up to this number is done with
    replay_from BIGINT,                                      -- asked for; taken over by whoever holds the lease
    attempts BIGINT NOT NULL,                                -- failures in a row
    refusals BIGINT NOT NULL,                                -- those of them that were about the event
    aside_in_row BIGINT NOT NULL,                            -- events put aside since the last delivery
    failing_since BIGINT,
    next_attempt_at BIGINT NOT NULL,
    last_error TEXT,
    stopped_at BIGINT,
    lease_holder UUID,
    lease_until BIGINT NOT NULL,
    delivered BIGINT NOT NULL,
    delivered_at BIGINT,
    created_at BIGINT NOT NULL
) WITH (fillfactor = 50);

-- What a receiver would not take, so that the events after it are not held up.
CREATE TABLE webhook_dead_letters (
    webhook TEXT NOT NULL REFERENCES webhooks (id),
    sequence BIGINT NOT NULL,
    event UUID NOT NULL,
    reason TEXT NOT NULL,
    put_aside_at BIGINT NOT NULL,
    PRIMARY KEY (webhook, sequence)
);
