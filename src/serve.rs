//! Serving: the listener, its limits, the jobs beside it, and a graceful end.
//!
//! hyper-util instead of `axum::serve`, which has no header-read timeout and no bound on connections.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt;

use crate::app::{App, key_policy};
use crate::clock::Timestamp;
use crate::events::retention::Retention;
use crate::handoff::known::Follower;
use crate::http;
use crate::http::context::Peer;
use crate::identity::candidates::{Follower as Weigher, Rules};
use crate::identity::{merge, other_names};
use crate::keys;
use crate::mail::queue::MailJob;
use crate::store::{self, Store};

/// How often a replica asks whether clients, keys or customers have changed.
const POLL: Duration = Duration::from_millis(500);
/// How often it is looked whether a key rotation is due and whether there is anything to throw away.
const HOUSEKEEPING: Duration = Duration::from_secs(3600);
/// How often it is looked whether the overlap of a moved account is over.
const MOVES: Duration = Duration::from_secs(60);
/// How long a grant is kept after its end, to tell a reuse from an unknown token.
const GRANTS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// For how long a repeated change is answered as the first time.
const IDEMPOTENCY_KEYS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
const PURGE_BATCH: i64 = 1000;
/// After an error of `accept`, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Limits of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub max_connections: usize,
    pub header_timeout: Duration,
    pub shutdown_grace: Duration,
}

/// Runs the application and its jobs until `shutdown`.
///
/// # Errors
/// If the listener fails for good.
pub async fn run(app: App, listener: TcpListener, shutdown: impl Future<Output = ()> + Send) -> std::io::Result<()> {
    let server = &app.config.server;
    let limits = Limits {
        max_connections: server.max_connections,
        header_timeout: server.header_timeout,
        shutdown_grace: server.shutdown_grace,
    };
    let (stop, stopped) = watch::channel(false);
    let jobs = spawn_jobs(&app, &stopped);
    let closing = app.clone();
    let shutdown = async move {
        shutdown.await;
        // What stays open ends by itself, and is not waited for.
        closing.closing.send_replace(true);
    };
    let served = listen(http::router(&app), listener, limits, shutdown).await;
    // The jobs finish the round they are in.
    stop.send_replace(true);
    for job in jobs {
        if let Err(error) = job.await {
            tracing::error!(%error, "a job ended abnormally");
        }
    }
    served
}

/// Serves a router until `shutdown`, then lets requests under way finish.
///
/// # Errors
/// If the listener fails for good.
pub async fn listen(
    router: Router,
    listener: TcpListener,
    limits: Limits,
    shutdown: impl Future<Output = ()> + Send,
) -> std::io::Result<()> {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).max_buf_size(32 * 1024);
    let graceful = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(limits.max_connections));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &permits) => accepted,
        };
        let Some((stream, peer, permit)) = accepted else { continue };
        let _ = stream.set_nodelay(true);
        let service = router.clone().map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            request
        });
        let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.shutdown_grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still under way at the end of the grace period");
    }
    Ok(())
}

type Accepted = (tokio::net::TcpStream, std::net::SocketAddr, tokio::sync::OwnedSemaphorePermit);

/// The next connection, once there is room for it.
async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> Option<Accepted> {
    let permit = permits.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, permit)),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

fn spawn_jobs(app: &App, stopped: &watch::Receiver<bool>) -> Vec<tokio::task::JoinHandle<()>> {
    let mail = MailJob::new(app.store(), app.mailer.clone(), app.secrets.mail.clone(), app.clock.clone());
    let mut jobs = vec![
        tokio::spawn(mail.run(wait_for(stopped.clone()), app.mail_queued.clone())),
        tokio::spawn(app.worker.clone().run(wait_for(stopped.clone()), app.task_queued.clone())),
        tokio::spawn(follow_changes(app.clone(), stopped.clone())),
        tokio::spawn(follow_customers(app.clone(), stopped.clone())),
        tokio::spawn(keep_house(app.clone(), stopped.clone())),
        tokio::spawn(end_moves(app.clone(), stopped.clone())),
    ];
    if app.config.duplicates.follow {
        let rules = Rules::new(&app.config.duplicates, &app.config.merge);
        let weigher = Weigher::new(app.store(), rules, app.clock.clone());
        jobs.push(tokio::spawn(weigher.run(wait_for(stopped.clone()))));
    }
    if let Some(retention) = Retention::of(&app.config, app.store(), app.clock.clone()) {
        jobs.push(tokio::spawn(retention.run(wait_for(stopped.clone()))));
    }
    if app.relay.has_receivers() {
        jobs.push(tokio::spawn(app.relay.clone().run(wait_for(stopped.clone()))));
    }
    jobs
}

async fn wait_for(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is the end as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Takes over changes of clients and keys that another replica or a command made.
async fn follow_changes(app: App, stopped: watch::Receiver<bool>) {
    let store = app.store().background();
    let mut known: Option<Vec<(String, i64)>> = None;
    while !ended(&stopped, POLL).await {
        let read = async { store.begin_read().await?.generations().await };
        let current = match read.await {
            Ok(current) => current,
            Err(error) => {
                tracing::warn!(%error, "changes of clients and keys cannot be followed");
                continue;
            }
        };
        if known.as_ref() == Some(&current) {
            continue;
        }
        let clients = app.reload_clients().await.map_err(|error| error.to_string());
        let keys = app.provider.keys.reload(&store, app.clock.now()).await.map_err(|error| error.to_string());
        match clients.and(keys) {
            Ok(()) => {
                app.statements.forget();
                known = Some(current);
            }
            Err(error) => tracing::error!(error, "changed clients or keys could not be taken over"),
        }
    }
}

/// Notices what happens to customers, here or on another replica, so that destinations hear of it.
async fn follow_customers(app: App, stopped: watch::Receiver<bool>) {
    let store = app.store().background();
    let mut follower = Follower::default();
    while !ended(&stopped, POLL).await {
        if let Err(error) = follower.catch_up(&store, &app.known_customers, app.clock.now()).await {
            tracing::warn!(%error, "changes of customers cannot be followed");
        }
    }
}

/// Rotates the signing keys when they are due, removes grants that ended and keys that were used long ago, and closes
/// proposals that have lapsed. The database lets one replica do each.
async fn keep_house(app: App, stopped: watch::Receiver<bool>) {
    let store = app.store().background();
    while !ended(&stopped, HOUSEKEEPING).await {
        let now = app.clock.now();
        match keys::rotate_when_due(&store, &app.secrets.master, key_policy(&app.config), now).await {
            Ok(Some(keys::Rotation::Done(_))) => tracing::info!("the signing keys were rotated"),
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "the signing keys could not be rotated"),
        }
        if let Err(error) = purge_grants(&store, now - GRANTS_KEPT).await {
            tracing::error!(%error, "ended grants could not be removed");
        }
        match merge::close_lapsed(&store, PURGE_BATCH, now).await {
            Ok(0) => {}
            Ok(proposals) => tracing::info!(proposals, "proposals have lapsed"),
            Err(error) => tracing::error!(%error, "lapsed proposals could not be closed"),
        }
        if let Err(error) = purge_idempotency_keys(&store, now - IDEMPOTENCY_KEYS_KEPT).await {
            tracing::error!(%error, "old idempotency keys could not be removed");
        }
    }
}

/// Ends old subjects of accounts that providers have moved, when their overlap is over.
async fn end_moves(app: App, stopped: watch::Receiver<bool>) {
    let store = app.store().background();
    while !ended(&stopped, MOVES).await {
        match other_names::end_due(&store, app.clock.now()).await {
            Ok(0) => {}
            Ok(links) => tracing::info!(links, "old subjects of moved accounts ended"),
            Err(error) => tracing::error!(%error, "old subjects of moved accounts could not be ended"),
        }
    }
}

async fn purge_grants(store: &Store, ended_before: Timestamp) -> Result<(), store::Error> {
    loop {
        let mut tx = store.begin().await?;
        let removed = tx.grants_purge(ended_before, PURGE_BATCH).await?;
        tx.commit().await?;
        if removed == 0 {
            return Ok(());
        }
    }
}

async fn purge_idempotency_keys(store: &Store, before: Timestamp) -> Result<(), store::Error> {
    loop {
        let mut tx = store.begin().await?;
        let removed = tx.idempotency_purge(before, PURGE_BATCH).await?;
        tx.commit().await?;
        if removed == 0 {
            return Ok(());
        }
    }
}

/// Waits; `true` if it is time to stop.
async fn ended(stopped: &watch::Receiver<bool>, pause: Duration) -> bool {
    tokio::time::timeout(pause, wait_for(stopped.clone())).await.is_ok()
}

/// Ends on Ctrl-C or SIGTERM.
pub async fn signal() {
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => {
            tracing::error!(%error, "SIGTERM cannot be waited for");
            return;
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping");
}
