//! The database: who is who, what was granted, what happened.
//!
//! `Store` is the pools, `Tx` one unit of work, with one method per statement or two, named `noun_verb`, in one file per
//! noun. One SQL text serves Postgres and SQLite (`driver`). Nothing here decides: rules are the domain's, this holds
//! what must be atomic. Knows no HTTP and no protocol beyond the words it stores. Rules: the identity specification.

mod admin_roles;
mod audit;
mod audit_log;
mod candidates;
mod clients;
mod compared;
mod conflicts;
mod consents;
mod credentials;
mod customers;
mod driver;
mod duplicate_keys;
mod duplicate_scans;
mod erasure;
mod flags;
mod generations;
mod grants;
mod idempotency;
mod keys;
mod links;
mod mail_queue;
mod members;
mod merge_requests;
mod merges;
mod moved_links;
mod not_same;
mod outbox;
mod pages;
mod proposals;
pub mod retry;
mod search;
mod subjects;
mod tasks;
mod upstream_tokens;
mod values;
mod webhooks;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use driver::{Conn, Driver};
use sqlx::postgres::PgDatabaseError;

pub use admin_roles::{AdminRow, AdminView};
pub use audit::{AuditCheck, AuditEntry, AuditPlace, AuditRow};
pub use audit_log::{AuditQuery, LOOKED};
pub use candidates::{BandCount, Candidate, CandidateState, Decision, LiveIdentifier};
pub use clients::ClientRow;
pub use compared::{Compared, Indexed, Probe};
pub use conflicts::{Conflict, ConflictKind};
pub use consents::{Consent, most_restrictive};
pub use credentials::{Credential, CredentialKind, CredentialState, PasswordLogin};
pub use customers::{Customer, CustomerState};
pub use duplicate_keys::{FollowerState, KeysOf, Touched};
pub use duplicate_scans::DuplicateScan;
pub use flags::Flag;
pub use grants::Grant;
pub use idempotency::Idempotent;
pub use keys::{KeyState, SigningKeyRow};
pub use links::{DisabledReason, Link, LinkLogin, LinkState};
pub use mail_queue::QueuedMail;
pub use members::{Branch, ConsentMember, MOST_MEMBERS, Member, SectorMember, SubjectMember};
pub use merge_requests::{MergeRequest, MergeRequestState};
pub use merges::{Merge, MergeKind};
pub use moved_links::DueMove;
pub use not_same::NotSame;
pub use outbox::{Change, Numbering, OutboxRow, SequencedEvent};
pub use pages::CandidateLine;
pub use proposals::{MergeProposal, ProposalState};
pub use search::NameHit;
pub use subjects::Subject;
pub use tasks::QueuedTask;
pub use upstream_tokens::{LoginNeeded, TokensToStore, UpstreamTokenRow};
pub use webhooks::{DeadLetter, WebhookLease, WebhookProgress, WebhookState};

/// What can go wrong with the database. Nothing found is no error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another row has this key. Where the caller may meet it, the method answers a `bool` or the other row instead.
    #[error("a row with this key exists already")]
    Unique,
    /// A statement of this transaction failed or was abandoned half-way: nothing of it can be kept.
    #[error("a statement of this transaction failed: it can only be rolled back")]
    Poisoned,
    /// Two transactions stood in each other's way; the whole of this one may be tried again.
    #[error("the transaction lost against another one")]
    Contention,
    /// The database cannot be reached, or has no connection to give. The request may be tried again later.
    #[error("the database is unavailable")]
    Unavailable(#[source] sqlx::Error),
    /// A row that other rows rely on is not there.
    #[error("a row that must exist is missing")]
    Missing,
    /// A transaction begun for reading was asked to write.
    #[error("a reading transaction was asked to write")]
    ReadOnly,
    /// The database refused a statement, or a row holds what this version cannot read.
    #[error("the database failed{}", code(.0))]
    Database(#[source] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the schema could not be migrated")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The database URL is of no use.
    #[error("the database URL cannot be used: {0}")]
    Url(&'static str),
}

impl Error {
    /// Whether the same may succeed in a moment.
    pub const fn passes(&self) -> bool {
        matches!(self, Self::Contention | Self::Unavailable(_))
    }
}

/// The result of anything asked of the database.
pub type Result<T> = std::result::Result<T, Error>;

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(refusal) if refusal.is_unique_violation() => Self::Unique,
            sqlx::Error::Database(refusal) => match refusal.code().as_deref() {
                // Postgres: serialization failure, deadlock, lock timeout. SQLite: busy and its kinds.
                Some(code @ ("40001" | "40P01" | "55P03" | "5" | "261" | "517")) => {
                    let at = refusal.try_downcast_ref::<PgDatabaseError>().and_then(PgDatabaseError::r#where);
                    tracing::debug!(code, at, "a transaction lost against another one");
                    Self::Contention
                }
                // Postgres: shutting down, starting up, too many connections.
                Some("57P01" | "57P02" | "57P03" | "53300") => Self::Unavailable(error),
                _ => Self::Database(error),
            },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            _ => Self::Database(error),
        }
    }
}

/// The database's own code for a refusal. Its message stays in the source: it may quote values.
fn code(error: &sqlx::Error) -> String {
    match error.as_database_error().and_then(|refusal| refusal.code()) {
        Some(code) => format!(" with code {code}"),
        None => String::new(),
    }
}

/// The statements that requests wait for, by the method that sends them: a test holds their plans to indexes.
pub const HOT_STATEMENTS: &[(&str, &str)] = &[
    ("link_resolve", links::LINK_RESOLVE),
    ("link_login", links::LINK_LOGIN),
    ("links_find", links::LINKS_FIND),
    ("links_begun", links::LINKS_BEGUN),
    ("mail_is_stopped", links::MAIL_IS_STOPPED),
    ("customer_living", customers::CUSTOMER_LIVING),
    ("members_of", members::MEMBERS_OF),
    ("members_seen", members::MEMBERS_SEEN),
    ("members_seen_by_sub", members::MEMBERS_SEEN_BY_SUB),
    ("merges_open", merges::MERGES_OPEN),
    ("not_same_between", not_same::NOT_SAME_BETWEEN),
    ("candidates_settle", candidates::CANDIDATES_SETTLE),
    ("candidates_part_a", candidates::CANDIDATES_PART[0]),
    ("candidates_part_b", candidates::CANDIDATES_PART[1]),
    ("merge_requests_settle", merge_requests::MERGE_REQUESTS_SETTLE),
    ("subject_find", subjects::SUBJECT_FIND),
    ("subject_resolve", subjects::SUBJECT_RESOLVE),
    ("subject_holder", subjects::SUBJECT_HOLDER),
    ("subject_resolve_any", subjects::SUBJECT_RESOLVE_ANY),
    ("password_login", credentials::PASSWORD_LOGIN),
    ("consent_find", consents::CONSENT_FIND),
    ("members_consenting", members::MEMBERS_CONSENTING),
    ("admin_view_by_sub", admin_roles::ADMIN_VIEW_BY_SUB),
    ("grant_find", grants::GRANT_FIND),
    ("grant_rotate", grants::GRANT_ROTATE),
    ("grants_end_session", grants::GRANTS_END_SESSION),
    ("grants_revoke_customer", grants::GRANTS_REVOKE_CUSTOMER),
    ("grants_revoke_session", grants::GRANTS_REVOKE_SESSION),
    ("grants_of_sessions", grants::GRANTS_OF_SESSIONS),
    ("outbox_sequenced", outbox::OUTBOX_SEQUENCED),
    ("former_roots", erasure::FORMER_ROOTS),
    ("candidates_page", pages::CANDIDATES_PAGE),
    ("candidates_of", pages::CANDIDATES_OF),
    ("links_page", pages::LINKS_PAGE),
    ("merge_requests_of", pages::MERGE_REQUESTS_OF),
    ("proposals_of", pages::PROPOSALS_OF),
    ("proposals_lapsed", proposals::PROPOSALS_LAPSED),
    ("audit_all", audit_log::AUDIT_ALL),
    ("audit_deeds", audit_log::AUDIT_DEEDS),
    ("audit_by", audit_log::AUDIT_BY),
    ("audit_deeds_by", audit_log::AUDIT_DEEDS_BY),
    ("audit_kind", audit_log::AUDIT_KIND),
    ("audit_of", audit_log::AUDIT_OF),
    ("audit_deeds_of", audit_log::AUDIT_DEEDS_OF),
    ("conflicts_of", pages::CONFLICTS_OF),
];

/// The statements of searches, on Postgres and on SQLite: no table may be scanned for them either.
pub const SEARCH_STATEMENTS: &[(&str, &str, &str)] = &[
    ("customers_by_name", search::NAMES_POSTGRES, search::NAMES_SQLITE),
    ("links_anywhere", search::LINKS_ANYWHERE, search::LINKS_ANYWHERE),
];

/// The statements by which one customer is weighed against all others, on Postgres and on SQLite.
pub const WEIGHING_STATEMENTS: &[(&str, &str, &str)] = &[
    ("compared_find", compared::INDEXED_POSTGRES, compared::INDEXED_SQLITE),
    ("compared_sharing", compared::SHARING_POSTGRES, compared::SHARING_SQLITE),
    ("duplicate_indexed_swap", duplicate_keys::INDEXED_SWAP_POSTGRES, duplicate_keys::INDEXED_SWAP_SQLITE),
    ("duplicate_keys_remove", duplicate_keys::KEYS_REMOVE_POSTGRES, duplicate_keys::KEYS_REMOVE_SQLITE),
    ("not_same_among", compared::NOT_SAME_AMONG_POSTGRES, compared::NOT_SAME_AMONG_SQLITE),
    ("candidates_open_of", candidates::CANDIDATES_OPEN_OF, candidates::CANDIDATES_OPEN_OF),
];

/// One database. Clones share its connections and the count of statements.
#[derive(Clone, Debug)]
pub struct Store {
    driver: Driver,
    statements: Arc<AtomicU64>,
}

impl Store {
    /// Opens a database: `postgres://user:password@host/name` or `sqlite://path/to/file`, which is created if missing.
    ///
    /// Two parameters are ours: `max_connections` (Postgres, 20) and `synchronous` (SQLite: `full`, `normal` or `off`).
    ///
    /// # Errors
    /// `Url` if it is neither, `Unavailable` if nothing answers there.
    pub async fn connect(url: &str) -> Result<Self> {
        Ok(Self { driver: Driver::connect(url).await?, statements: Arc::default() })
    }

    /// Brings the schema up to date. Replicas that do it at once take turns.
    ///
    /// # Errors
    /// `Migrate` if a migration fails, or one that was applied has since been changed.
    pub async fn migrate(&self) -> Result<()> {
        self.driver.migrate().await
    }

    /// Whether `migrate` has something to do. Writes nothing.
    pub async fn migrations_pending(&self) -> Result<bool> {
        self.driver.migrations_pending().await
    }

    /// Begins a unit of work. Open it late, and close it before hashing or talking to anyone else.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(self.tx(self.driver.begin().await?))
    }

    /// Takes a connection for reading. There is no transaction around it: each statement sees what is committed by
    /// then, and costs one round trip.
    pub async fn begin_read(&self) -> Result<Tx> {
        Ok(self.tx(self.driver.begin_read().await?))
    }

    /// Asks whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        self.driver.ping().await
    }

    /// Statements sent so far; BEGIN, COMMIT and ROLLBACK are not counted.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// The same database with a count of its own: for jobs, so that requests can be measured beside them.
    #[must_use]
    pub fn background(&self) -> Self {
        Self { driver: self.driver.clone(), statements: Arc::default() }
    }

    /// Closes all connections, once those in use are back. Every clone is closed with it.
    pub async fn close(&self) {
        self.driver.close().await;
    }

    fn tx(&self, conn: Conn) -> Tx {
        Tx { conn, statements: Arc::clone(&self.statements), poisoned: false, audit: Vec::new() }
    }
}

/// One unit of work: all of it is kept by `commit`, none of it otherwise.
pub struct Tx {
    conn: Conn,
    statements: Arc<AtomicU64>,
    /// True while a statement runs and after one failed: a future dropped half-way leaves it true.
    poisoned: bool,
    /// Entries to chain at commit (see `audit`).
    audit: Vec<AuditEntry>,
}

impl Tx {
    /// Keeps everything this transaction did.
    ///
    /// # Errors
    /// `Poisoned` after any statement failed. `Unavailable` leaves open whether it was kept.
    pub async fn commit(mut self) -> Result<()> {
        if self.poisoned {
            return Err(Error::Poisoned);
        }
        self.audit_flush().await?;
        self.conn.commit().await
    }

    /// Before each statement.
    fn enter(&mut self, sql: &str) -> Result<()> {
        if self.poisoned {
            return Err(Error::Poisoned);
        }
        if self.conn.is_read_only() && !sql.starts_with("SELECT") {
            self.poisoned = true;
            return Err(Error::ReadOnly);
        }
        self.poisoned = true;
        self.statements.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// After each statement.
    fn leave<T>(&mut self, outcome: sqlx::Result<T>) -> Result<T> {
        self.poisoned = outcome.is_err();
        Ok(outcome?)
    }
}
