-- What providers gave us to keep, and accounts on their way from one subject to another.

CREATE TABLE upstream_tokens (
    link UUID PRIMARY KEY REFERENCES links (id),
    access TEXT NOT NULL,                                    -- sealed under the master key
    refresh TEXT,                                            -- sealed
    scope TEXT NOT NULL,
    expires_at BIGINT,                                       -- of the access token; null: the provider did not say
    generation BIGINT NOT NULL,                              -- rises whenever the tokens change
    lease_until BIGINT,                                      -- one replica is asking the provider
    asked_at BIGINT,                                         -- a refresh was sent that has not been answered
    login_needed TEXT CHECK (login_needed IN ('refused', 'reply_lost')),
    updated_at BIGINT NOT NULL
);

-- Two live links of one account at a provider.
CREATE TABLE moved_links (
    link UUID PRIMARY KEY REFERENCES links (id),             -- the later one
    old UUID NOT NULL REFERENCES links (id),
    ends_at BIGINT,                                          -- of the old one; null: both stay
    ended_at BIGINT,
    created_at BIGINT NOT NULL
);
CREATE INDEX moved_links_old ON moved_links (old);
CREATE INDEX moved_links_due ON moved_links (ends_at) WHERE ended_at IS NULL AND ends_at IS NOT NULL;

-- What a provider will call an account while it moves.
CREATE TABLE transfer_subjects (
    namespace TEXT NOT NULL,
    transfer_sub TEXT NOT NULL,
    old_sub TEXT NOT NULL,
    ends_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (namespace, transfer_sub)
);
CREATE INDEX transfer_subjects_due ON transfer_subjects (ends_at);
