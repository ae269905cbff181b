//! What happens when the way to Redis is bad: an answer within seconds, nothing done twice, nothing told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use samesake::kv::{Error, Kv};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::LONG;
use crate::harness::{Env, env};
use crate::on_servers;

/// Stands between a client and Redis, and can lose a reply: the request gets through, then the connection is cut.
struct Wire {
    url: String,
    lose_next_reply: Arc<AtomicBool>,
    connections: Arc<AtomicU32>,
}

impl Wire {
    async fn to(redis: &str) -> Wire {
        let mut url = Url::parse(redis).unwrap();
        let target = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(6379));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let wire = Wire { url: url.into(), lose_next_reply: Arc::default(), connections: Arc::default() };
        let (lose, connections) = (Arc::clone(&wire.lose_next_reply), Arc::clone(&wire.connections));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let server = TcpStream::connect(&target).await.unwrap();
                tokio::spawn(carry(client, server, Arc::clone(&lose)));
            }
        });
        wire
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, lose_next_reply: Arc<AtomicBool>) {
    let (mut request, mut reply) = (Vec::new(), Vec::new());
    loop {
        tokio::select! {
            read = client.read_buf(&mut request) => {
                if read.unwrap_or(0) == 0 {
                    return;
                }
                server.write_all(&request).await.unwrap();
                request.clear();
            }
            read = server.read_buf(&mut reply) => {
                if read.unwrap_or(0) == 0 || lose_next_reply.swap(false, Ordering::SeqCst) {
                    return;
                }
                client.write_all(&reply).await.unwrap();
                reply.clear();
            }
        }
    }
}

on_servers! {
    async fn a_lost_reply_is_an_error_and_nothing_is_done_twice(env: &Env) {
        let wire = Wire::to(&env::redis_url()).await;
        let kv = Kv::connect(&wire.url, &env.redis_prefix()).await.unwrap();
        assert_eq!(kv.increment("n", LONG).await.unwrap(), 1);
        wire.lose_next_reply.store(true, Ordering::SeqCst);
        assert!(matches!(kv.increment("n", LONG).await, Err(Error::Unavailable(_))));
        let direct = env.kv().await;
        assert_eq!(direct.get("n").await.unwrap(), Some(b"2".to_vec()));
        // The connection comes back by itself.
        assert_eq!(kv.increment("n", LONG).await.unwrap(), 3);
        // On a busy machine the manager may have dialed more than once.
        assert!(wire.connections.load(Ordering::SeqCst) >= 2);
    }

    async fn a_lost_read_is_read_again(env: &Env) {
        let wire = Wire::to(&env::redis_url()).await;
        let kv = Kv::connect(&wire.url, &env.redis_prefix()).await.unwrap();
        kv.set("a", b"1".to_vec(), LONG).await.unwrap();
        wire.lose_next_reply.store(true, Ordering::SeqCst);
        assert_eq!(kv.get("a").await.unwrap(), Some(b"1".to_vec()));
    }

    async fn keys_never_leave_their_prefix(env: &Env) {
        let kv = env.kv().await;
        let everything = Kv::connect(&env::redis_url(), "").await.unwrap();
        let name = env.redis_prefix();
        assert!(kv.set_new("a", b"1".to_vec(), LONG).await.unwrap());
        assert_eq!(kv.increment("n", LONG).await.unwrap(), 1);
        assert_eq!(everything.get(&format!("{name}a")).await.unwrap(), Some(b"1".to_vec()));
        assert_eq!(everything.get(&format!("{name}n")).await.unwrap(), Some(b"1".to_vec()));
        let outside = format!("outside {name}");
        everything.set(&outside, b"1".to_vec(), Duration::from_secs(60)).await.unwrap();
        assert_eq!(kv.get(&outside).await.unwrap(), None);
        assert_eq!(kv.take(&outside).await.unwrap(), None);
        assert_eq!(kv.swap(&outside, b"2".to_vec(), LONG).await.unwrap(), None);
        assert!(!kv.replace(&outside, b"2".to_vec(), LONG).await.unwrap());
        assert!(!kv.delete(&outside).await.unwrap());
        assert_eq!(everything.take(&outside).await.unwrap(), Some(b"1".to_vec()));
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_reported() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let url = format!("redis://:hunter2@127.0.0.1:{port}/");
    let error = Kv::connect(&url, "").await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    assert!(!error.to_string().contains("hunter2"));
}

#[tokio::test]
async fn a_server_that_never_answers_is_reported() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}/", silent.local_addr().unwrap());
    assert!(matches!(Kv::connect(&url, "").await, Err(Error::Unavailable(_))));
}

#[tokio::test]
async fn a_url_that_is_none_is_refused_without_repeating_it() {
    for url in ["", "hunter2", "http://hunter2@localhost", "localhost:6379"] {
        let Err(Error::Url(message)) = Kv::connect(url, "").await else { panic!("accepted {url}") };
        assert!(message.contains("redis://") && !message.contains("hunter2"), "{message}");
    }
}
