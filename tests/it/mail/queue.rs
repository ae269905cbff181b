//! What is queued with a commit is delivered, once unless a job dies, and a lost cause stays visible.

use std::sync::Arc;
use std::time::Duration;

use samesake::clock::{Clock, Timestamp};
use samesake::config::{MailConfig, MailTransport};
use samesake::mail::queue::{self, LEASE, MAIL_LIFETIME, MailJob, MailState, NEVER};
use samesake::mail::{Mailer, Message};
use samesake::secret::{DerivedKey, MasterKey, Secret};
use samesake::store::{QueuedMail, Store};
use tokio::sync::{Notify, oneshot};

use super::smtp_server::{Answer, SmtpServer};
use super::{NOON, message, only};
use crate::harness::Env;
use crate::on_both;

fn key() -> DerivedKey {
    MasterKey::generate().derive("mail")
}

fn smtp(server: &SmtpServer) -> Mailer {
    let transport = MailTransport::Smtp { url: Secret::new(server.url()) };
    Mailer::from_config(&MailConfig { transport, from: "no-reply@shop.example".to_owned() }).unwrap()
}

async fn put(store: &Store, key: &DerivedKey, message: &Message) {
    let mut tx = store.begin().await.unwrap();
    queue::queue(&mut tx, key, message, NOON).await.unwrap();
    tx.commit().await.unwrap();
}

/// Every row that is still there, whatever its state: no lease and no backoff reaches beyond the end of time.
///
/// A test's last look only: nothing is committed, and until the rollback has reached the server, which nobody waits
/// for, other jobs step over the rows.
async fn rows(store: &Store) -> Vec<QueuedMail> {
    let mut tx = store.begin().await.unwrap();
    // Not committed: looking changes nothing.
    tx.mail_lease(NEVER, NEVER, 100).await.unwrap()
}

on_both! {
    async fn a_queued_message_is_delivered_once_and_is_gone(env: &Env) {
        let (store, key, mailer) = (env.store().await, key(), Mailer::memory());
        put(&store, &key, &message("alice@example.com")).await;
        assert_eq!(MailJob::run_once(&store, &mailer, &key, NOON).await.unwrap(), 1);
        assert_eq!(MailJob::run_once(&store, &mailer, &key, NOON + LEASE * 2).await.unwrap(), 0);
        let sent = only(mailer.sent());
        assert_eq!((sent.to.normalized(), sent.text.as_str()), ("alice@example.com", "Enter this code: 012345\n"));
        assert!(rows(&store).await.is_empty());
    }

    async fn a_message_of_a_transaction_that_did_not_commit_is_never_sent(env: &Env) {
        let (store, key, mailer) = (env.store().await, key(), Mailer::memory());
        let mut tx = store.begin().await.unwrap();
        queue::queue(&mut tx, &key, &message("alice@example.com"), NOON).await.unwrap();
        drop(tx);
        assert_eq!(MailJob::run_once(&store, &mailer, &key, NOON).await.unwrap(), 0);
    }

    async fn a_message_rests_unreadable_in_the_database(env: &Env) {
        let (store, key) = (env.store().await, key());
        put(&store, &key, &message("alice@example.com")).await;
        let row = only(rows(&store).await);
        let sealed = String::from_utf8_lossy(&row.sealed);
        assert!(!sealed.contains("alice") && !sealed.contains("012345"));
    }

    async fn a_message_survives_a_job_that_dies_between_taking_and_sending(env: &Env) {
        let (store, key, mailer) = (env.store().await, key(), Mailer::memory());
        put(&store, &key, &message("alice@example.com")).await;
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.mail_lease(NOON, NOON + LEASE, 10).await.unwrap().len(), 1);
        tx.commit().await.unwrap();
        // That job is never heard of again. Until its lease ends the message is its own.
        let almost = NOON + LEASE - Duration::from_secs(1);
        assert_eq!(MailJob::run_once(&store, &mailer, &key, almost).await.unwrap(), 0);
        assert_eq!(MailJob::run_once(&store, &mailer, &key, NOON + LEASE).await.unwrap(), 1);
        assert_eq!(mailer.sent().len(), 1);
        assert!(rows(&store).await.is_empty());
    }

    async fn a_second_delivery_of_a_message_carries_the_same_identity(env: &Env) {
        let (store, key, server) = (env.store().await, key(), SmtpServer::start(Answer::Accept).await);
        put(&store, &key, &message("alice@example.com")).await;
        // The job dies after the server has taken the message and before that is written down.
        let mut tx = store.begin().await.unwrap();
        let leased = only(tx.mail_lease(NOON, NOON + LEASE, 10).await.unwrap());
        tx.commit().await.unwrap();
        let mailer = smtp(&server);
        MailJob::run_once(&store, &mailer, &key, NOON + LEASE).await.unwrap();
        let received = only(server.received());
        let id = format!("Message-ID: <{}@shop.example>", leased.id.simple());
        assert!(received.data.contains(&id), "{}", received.data);
        assert!(received.data.contains("Date: Fri, 15 Jan 2027 12:00:00 +0000"), "{}", received.data);
    }

    async fn two_jobs_at_once_deliver_each_message_once(env: &Env) {
        let (store, other, key, mailer) = (env.store().await, env.store().await, key(), Mailer::memory());
        for number in 0..25 {
            put(&store, &key, &message(&format!("customer{number}@example.com"))).await;
        }
        loop {
            let (one, two) = tokio::join!(
                MailJob::run_once(&store, &mailer, &key, NOON),
                MailJob::run_once(&other, &mailer, &key, NOON),
            );
            if one.unwrap() + two.unwrap() == 0 {
                break;
            }
        }
        let mut to: Vec<String> = mailer.sent().iter().map(|message| message.to.normalized().to_owned()).collect();
        to.sort_unstable();
        let before = to.len();
        to.dedup();
        assert_eq!((to.len(), before), (25, 25));
    }

    async fn a_busy_server_is_tried_again_later_and_the_message_arrives(env: &Env) {
        let (store, key) = (env.store().await, key());
        let server = SmtpServer::start(Answer::RefuseRecipient("451 4.7.1 greylisted alice@example.com")).await;
        let mailer = smtp(&server);
        put(&store, &key, &message("alice@example.com")).await;
        assert_eq!(MailJob::run_once(&store, &mailer, &key, NOON).await.unwrap(), 1);
        assert_eq!(MailJob::run_once(&store, &mailer, &key, NOON).await.unwrap(), 0, "it waits first");
        // Another job takes it when its time has come, and finds why it waited; then that job dies.
        let retry = NOON + Duration::from_secs(1);
        let mut tx = store.begin().await.unwrap();
        let row = only(tx.mail_lease(retry, retry + LEASE, 10).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!((row.attempts, row.last_error.as_deref()), (2, Some("the SMTP server answered 451")));
        server.answer_with(Answer::Accept);
        // A mailer of its own: the other one may still hold a connection that began before the server changed its mind.
        assert_eq!(MailJob::run_once(&store, &smtp(&server), &key, retry + LEASE).await.unwrap(), 1);
        assert_eq!(server.received().len(), 1);
        assert!(rows(&store).await.is_empty());
    }

    async fn a_message_refused_for_good_is_given_up_and_stays_visible(env: &Env) {
        let (store, key) = (env.store().await, key());
        let server = SmtpServer::start(Answer::RefuseRecipient("550 5.1.1 alice@example.com is unknown")).await;
        put(&store, &key, &message("alice@example.com")).await;
        assert_eq!(MailJob::run_once(&store, &smtp(&server), &key, NOON).await.unwrap(), 1);
        let years_later = NOON + Duration::from_secs(10 * 365 * 24 * 60 * 60);
        assert_eq!(MailJob::run_once(&store, &smtp(&server), &key, years_later).await.unwrap(), 0);
        let row = only(rows(&store).await);
        assert_eq!(row.last_error.as_deref(), Some("the SMTP server answered 550"));
    }

    async fn a_message_is_given_up_after_a_day_of_failures(env: &Env) {
        let (store, key) = (env.store().await, key());
        let server = SmtpServer::start(Answer::RefuseSender("421 4.3.2 down for repair")).await;
        put(&store, &key, &message("alice@example.com")).await;
        let (mut now, mut tries) = (NOON, 0);
        while now < NOON + MAIL_LIFETIME * 2 {
            tries += MailJob::run_once(&store, &smtp(&server), &key, now).await.unwrap();
            now = now + Duration::from_secs(30 * 60);
        }
        assert!((20..30).contains(&tries), "{tries} tries in a day and a half");
        assert_eq!(only(rows(&store).await).last_error.as_deref(), Some("the SMTP server answered 421"));
    }

    async fn a_code_is_not_delivered_when_it_no_longer_works(env: &Env) {
        let (store, key, mailer) = (env.store().await, key(), Mailer::memory());
        let mut tx = store.begin().await.unwrap();
        let until = NOON + Duration::from_secs(600);
        queue::queue_until(&mut tx, &key, &message("alice@example.com"), until, NOON).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(MailJob::run_once(&store, &mailer, &key, until).await.unwrap(), 1);
        assert!(mailer.sent().is_empty());
        assert_eq!(rows(&store).await.len(), 1, "it is given up, visibly");
    }

    async fn a_message_sealed_by_another_key_is_given_up_and_holds_up_nobody(env: &Env) {
        let (store, key, mailer) = (env.store().await, key(), Mailer::memory());
        put(&store, &MasterKey::generate().derive("mail"), &message("bob@example.com")).await;
        put(&store, &key, &message("alice@example.com")).await;
        assert_eq!(MailJob::run_once(&store, &mailer, &key, NOON).await.unwrap(), 2);
        assert_eq!(mailer.sent().len(), 1);
        assert_eq!(MailJob::run_once(&store, &mailer, &key, NOON + MAIL_LIFETIME).await.unwrap(), 0);
    }

    async fn the_job_delivers_when_it_is_woken_and_ends_when_it_is_told(env: &Env) {
        let (store, key, mailer) = (env.store().await, key(), Mailer::memory());
        let (notify, (stop, stopped)) = (Arc::new(Notify::new()), oneshot::channel::<()>());
        let clock = Clock::system();
        let job = MailJob::new(&store, mailer.clone(), key.clone(), clock.clone());
        let shutdown = async move {
            stopped.await.ok();
        };
        let running = tokio::spawn(job.run(shutdown, Arc::clone(&notify)));
        let mut tx = store.begin().await.unwrap();
        queue::queue(&mut tx, &key, &message("alice@example.com"), clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        let statements = store.statements();
        notify.notify_one();
        wait_until(|| mailer.sent().len() == 1).await;
        assert_eq!(store.statements(), statements, "a job's statements are not a request's");
        stop.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(10), running).await.unwrap().unwrap();
    }
}

async fn wait_until(condition: impl Fn() -> bool) {
    crate::harness::wait::until("the mail", async || condition()).await;
}

#[test]
fn the_end_of_time_is_beyond_every_clock() {
    assert_eq!(MailState::of(NOON), MailState::Waiting { next_attempt_at: NOON });
    assert!(NEVER > Timestamp::from_seconds(i64::MAX / 2_000_000));
}
