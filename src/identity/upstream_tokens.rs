//! The providers' tokens of a customer: kept sealed with the link they came by, and renewed when somebody needs one.
//!
//! One replica at a time asks the provider; it holds a lease, never a row. What cannot be known is said: a refresh whose
//! answer was lost may have used up the refresh token at a provider that rotates them, so it is noted before it is sent.
//! It is tried again with the token we have, and if the provider then refuses that, the row says that an answer was
//! lost, and the customer has to sign in there again. It knows no HTTP and no clients.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::namespace::Namespace;
use crate::clock::Timestamp;
use crate::connector::{Connector, ConnectorError, UpstreamTokens};
use crate::ids::{CustomerId, LinkId};
use crate::secret::{DerivedKey, Secret, base64url, from_base64url};
use crate::store::{self, LoginNeeded, Store, TokensToStore, Tx, UpstreamTokenRow};

/// A token that ends sooner is renewed before it is given out.
const MARGIN: Duration = Duration::from_secs(60);
/// Longer than a request to a provider may take.
const LEASE: Duration = Duration::from_secs(90);
/// How often, and how many times, it is looked whether whoever asks has an answer.
const PAUSE: Duration = Duration::from_millis(200);
const LOOKS: usize = 40;

/// Tokens as they are stored, and as they wait in a login flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SealedTokens {
    access: String,
    refresh: Option<String>,
    scope: String,
    expires_at: Option<Timestamp>,
}

impl SealedTokens {
    /// Stores them with their link, over older ones.
    ///
    /// # Errors
    /// If the database fails; `Contention` if the link has ended meanwhile.
    pub async fn keep(&self, tx: &mut Tx, link: LinkId, now: Timestamp) -> Result<(), store::Error> {
        if tx.upstream_tokens_put(link, &self.to_store(), now).await? { Ok(()) } else { Err(store::Error::Contention) }
    }

    fn to_store(&self) -> TokensToStore<'_> {
        TokensToStore {
            access: &self.access,
            refresh: self.refresh.as_deref(),
            scope: &self.scope,
            expires_at: self.expires_at,
        }
    }
}

/// A provider's access token, for a client that may have it.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamAccess {
    pub token: Secret<String>,
    pub scope: String,
    pub expires_at: Option<Timestamp>,
}

/// What asking for a token met.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    Token(UpstreamAccess),
    /// The customer has no account at this provider whose tokens are kept.
    NotKept,
    /// The customer has to sign in at the provider again.
    LoginNeeded,
    /// The provider does not answer now.
    Unavailable,
}

/// Keeps tokens: the database and the key they are sealed with.
#[derive(Clone)]
pub struct Keeper {
    store: Store,
    key: DerivedKey,
}

impl Keeper {
    /// Keeps them in this database, under this key.
    pub fn new(store: Store, key: DerivedKey) -> Self {
        Self { store, key }
    }

    /// Seals tokens for the account they are of.
    pub fn seal(&self, connector: &str, subject: &str, tokens: &UpstreamTokens) -> SealedTokens {
        let seal = |kind: &str, token: &Secret<String>| {
            base64url(&self.key.seal(&context(kind, connector, subject), token.expose().as_bytes()))
        };
        SealedTokens {
            access: seal("access", &tokens.access),
            refresh: tokens.refresh.as_ref().map(|token| seal("refresh", token)),
            scope: tokens.scope.clone(),
            expires_at: tokens.expires_at,
        }
    }

    /// `None` if the master key is another one now: then the tokens are lost, as with everything sealed.
    fn open(&self, kind: &str, connector: &str, subject: &str, sealed: &str) -> Option<Secret<String>> {
        let opened = self.key.open(&context(kind, connector, subject), &from_base64url(sealed)?)?;
        String::from_utf8(opened.to_vec()).ok().map(Secret::new)
    }

    /// Gives a sealed refresh token back to the provider it came from (RFC 7009).
    ///
    /// # Errors
    /// As [`Connector::revoke`]; a token that does not open any more cannot be given back.
    pub async fn give_back(
        &self,
        connector: &dyn Connector,
        subject: &str,
        sealed: &str,
        now: Timestamp,
    ) -> Result<(), ConnectorError> {
        match self.open("refresh", connector.id(), subject, sealed) {
            Some(token) => connector.revoke(&token, now).await,
            None => Err(ConnectorError::invalid("the token cannot be opened with this installation's key")),
        }
    }

    /// A token of this customer at this provider that is good for a minute at least, renewed if need be. It is a key:
    /// `leading` are the rows whose ways in are those of whoever asks (spec/identity.md rule 25).
    ///
    /// # Errors
    /// If the database fails.
    pub async fn access_token(
        &self,
        (root, leading): (CustomerId, &[CustomerId]),
        connector: &dyn Connector,
        now: Timestamp,
    ) -> Result<Asked, store::Error> {
        let namespace = Namespace::Social(connector.id().to_owned()).to_string();
        for _ in 0..LOOKS {
            let rows = self.store.begin_read().await?.upstream_tokens_of(root, &namespace).await?;
            let row = rows.into_iter().find(|row| leading.contains(&row.customer));
            let Some(row) = row else { return Ok(Asked::NotKept) };
            let ends = |margin: Duration| row.expires_at.is_some_and(|at| at <= now + margin);
            if !ends(MARGIN) {
                return Ok(self.given(connector.id(), &row));
            }
            if row.login_needed.is_some() || row.refresh.is_none() {
                return Ok(if ends(Duration::ZERO) { Asked::LoginNeeded } else { self.given(connector.id(), &row) });
            }
            let mut tx = self.store.begin().await?;
            let mine = tx.upstream_tokens_lease(row.link, row.generation, now + LEASE, now).await?;
            tx.commit().await?;
            if mine {
                return self.renew(connector, &row, now).await;
            }
            // Somebody else asks. The old token serves as long as it lasts.
            if !ends(Duration::ZERO) {
                return Ok(self.given(connector.id(), &row));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(Asked::Unavailable)
    }

    fn given(&self, connector: &str, row: &UpstreamTokenRow) -> Asked {
        match self.open("access", connector, &row.external_id, &row.access) {
            Some(token) => Asked::Token(UpstreamAccess { token, scope: row.scope.clone(), expires_at: row.expires_at }),
            None => Asked::LoginNeeded,
        }
    }

    /// Asks the provider, with the lease in hand and no transaction open.
    async fn renew(
        &self,
        connector: &dyn Connector,
        row: &UpstreamTokenRow,
        now: Timestamp,
    ) -> Result<Asked, store::Error> {
        let sealed = row.refresh.as_deref().unwrap_or_default();
        let Some(refresh_token) = self.open("refresh", connector.id(), &row.external_id, sealed) else {
            return Ok(Asked::LoginNeeded);
        };
        let answer = connector.refresh(&refresh_token, now).await;
        let mut tx = self.store.begin().await?;
        let asked = match answer {
            Ok(tokens) => {
                let sealed = self.seal(connector.id(), &row.external_id, &tokens);
                tx.upstream_tokens_refreshed(row.link, row.generation, &sealed.to_store(), now).await?;
                let UpstreamTokens { access: token, scope, expires_at, .. } = tokens;
                Asked::Token(UpstreamAccess { token, scope, expires_at })
            }
            Err(ConnectorError::Provider { code }) if code == "invalid_grant" => {
                let why = if row.asked_at.is_some() { LoginNeeded::ReplyLost } else { LoginNeeded::Refused };
                tracing::info!(connector.id = connector.id(), why = why.as_str(), "a refresh token is of no more use");
                tx.upstream_tokens_refused(row.link, row.generation, why, now).await?;
                Asked::LoginNeeded
            }
            Err(error) => {
                tracing::warn!(connector.id = connector.id(), %error, "a provider's token was not renewed");
                // A provider that is left alone was not asked.
                let sent = (error != ConnectorError::Paused).then_some(now);
                tx.upstream_tokens_release(row.link, row.generation, row.asked_at.or(sent)).await?;
                Asked::Unavailable
            }
        };
        tx.commit().await?;
        Ok(asked)
    }
}

/// What a token is sealed for: moved to another account or taken for the other kind it does not open.
fn context(kind: &str, connector: &str, subject: &str) -> Vec<u8> {
    format!("{kind}\n{connector}\n{subject}").into_bytes()
}
