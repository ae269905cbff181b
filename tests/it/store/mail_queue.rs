//! The mail queue: a mail is leased to one worker at a time, and again when its lease runs out.

use samesake::clock::uuid_v7;
use samesake::store::QueuedMail;
use uuid::Uuid;

use super::samples::at;
use crate::harness::Env;
use crate::on_both;

fn leased(id: Uuid, sealed: &[u8], attempts: i64, created: i64) -> QueuedMail {
    QueuedMail { id, sealed: sealed.to_vec(), attempts, created_at: at(created), last_error: None }
}

on_both! {
    async fn a_mail_is_leased_once_and_again_when_the_lease_runs_out(env: &Env) {
        let store = env.store().await;
        let (first, second) = (uuid_v7(at(0)), uuid_v7(at(1)));
        let mut tx = store.begin().await.unwrap();
        tx.mail_put(second, b"two", at(1)).await.unwrap();
        tx.mail_put(first, b"one", at(0)).await.unwrap();
        assert_eq!(tx.mail_lease(at(0), at(60), 10).await.unwrap(), [leased(first, b"one", 1, 0)]);
        assert_eq!(tx.mail_lease(at(2), at(60), 10).await.unwrap(), [leased(second, b"two", 1, 1)]);
        assert_eq!(tx.mail_lease(at(59), at(120), 10).await.unwrap(), []);
        let again = [leased(first, b"one", 2, 0), leased(second, b"two", 2, 1)];
        assert_eq!(tx.mail_lease(at(60), at(120), 10).await.unwrap(), again);
    }

    async fn the_oldest_are_leased_first(env: &Env) {
        let store = env.store().await;
        let mut tx = store.begin().await.unwrap();
        for number in (0..5).rev() {
            tx.mail_put(uuid_v7(at(number)), b"x", at(number)).await.unwrap();
        }
        let ages = |mails: Vec<QueuedMail>| mails.iter().map(|mail| mail.created_at).collect::<Vec<_>>();
        assert_eq!(ages(tx.mail_lease(at(10), at(60), 2).await.unwrap()), [at(0), at(1)]);
        assert_eq!(ages(tx.mail_lease(at(10), at(60), 2).await.unwrap()), [at(2), at(3)]);
        assert_eq!(ages(tx.mail_lease(at(10), at(60), 2).await.unwrap()), [at(4)]);
    }

    async fn a_failed_mail_waits_and_a_sent_one_is_gone(env: &Env) {
        let store = env.store().await;
        let id = uuid_v7(at(0));
        let mut tx = store.begin().await.unwrap();
        tx.mail_put(id, b"x", at(0)).await.unwrap();
        tx.mail_lease(at(0), at(60), 10).await.unwrap();
        tx.mail_failed(id, at(30), "greylisted").await.unwrap();
        assert_eq!(tx.mail_lease(at(29), at(60), 10).await.unwrap(), []);
        let again = QueuedMail { last_error: Some("greylisted".to_owned()), ..leased(id, b"x", 2, 0) };
        assert_eq!(tx.mail_lease(at(30), at(90), 10).await.unwrap(), [again]);
        tx.mail_done(id).await.unwrap();
        assert_eq!(tx.mail_lease(at(1000), at(2000), 10).await.unwrap(), []);
    }
}
