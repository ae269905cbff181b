//! Messages as an SMTP server and a directory receive them, and what a refusal is taken for.

use samesake::config::{MailConfig, MailTransport};
use samesake::mail::{MailError, Mailer};
use samesake::secret::Secret;

use super::message;
use super::smtp_server::{Answer, SmtpServer};
use crate::harness::{Env, Pair};

fn mailer(transport: MailTransport) -> Mailer {
    Mailer::from_config(&MailConfig { transport, from: "Müller <no-reply@shop.example>".to_owned() }).unwrap()
}

fn smtp(server: &SmtpServer) -> Mailer {
    mailer(MailTransport::Smtp { url: Secret::new(server.url()) })
}

#[tokio::test]
async fn a_message_arrives_as_text_and_html() {
    let server = SmtpServer::start(Answer::Accept).await;
    let mailer = smtp(&server);
    mailer.deliver(&message("Alice@Bücher.example")).await.unwrap();
    mailer.deliver(&message("jörg@example.com")).await.unwrap();
    let received = server.received();
    let [first, second] = received.as_slice() else { panic!("{} messages have come", received.len()) };
    assert_eq!(first.from, "no-reply@shop.example");
    assert_eq!(first.to, ["alice@xn--bcher-kva.example"]);
    assert_eq!(second.to, ["jörg@example.com"]);
    for expected in [
        "Subject: Ihr Code =?utf-8?b?",
        "Content-Type: multipart/alternative;",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Type: text/html; charset=utf-8",
        "Enter this code: 012345",
        "<b>012345</b>",
        "Auto-Submitted: auto-generated",
    ] {
        assert!(first.data.contains(expected), "{expected:?} is missing in\n{}", first.data);
    }
}

#[tokio::test]
async fn a_refused_recipient_is_final_and_a_busy_server_is_not() {
    let permanent = |reason: &str| MailError::Permanent(reason.to_owned());
    let transient = |reason: &str| MailError::Transient(reason.to_owned());
    for (answer, expected) in [
        // Servers quote the address; what we say of it never does.
        (
            Answer::RefuseRecipient("550 5.1.1 <alice@example.com>: no such mailbox"),
            permanent("the SMTP server answered 550"),
        ),
        (Answer::RefuseRecipient("452 4.2.2 alice@example.com is full"), transient("the SMTP server answered 452")),
        (Answer::RefuseSender("421 4.3.2 come again"), transient("the SMTP server answered 421")),
        // Our own log-in is wrong: that is no reason to lose customers' mail.
        (Answer::RefuseSender("530 5.7.0 authentication required"), transient("the SMTP server answered 530")),
    ] {
        let server = SmtpServer::start(answer).await;
        assert_eq!(smtp(&server).deliver(&message("alice@example.com")).await, Err(expected));
        assert!(server.received().is_empty());
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_or_is_not_there_may_come_back() {
    let server = SmtpServer::start(Answer::HangUp).await;
    let mailer = smtp(&server);
    assert!(matches!(mailer.deliver(&message("alice@example.com")).await, Err(MailError::Transient(_))));
    server.answer_with(Answer::Accept);
    assert_eq!(mailer.deliver(&message("alice@example.com")).await, Ok(()));

    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", closed.local_addr().unwrap());
    drop(closed);
    let nobody = mailer_at(&url);
    assert!(matches!(nobody.deliver(&message("alice@example.com")).await, Err(MailError::Transient(_))));
}

fn mailer_at(url: &str) -> Mailer {
    mailer(MailTransport::Smtp { url: Secret::new(url.to_owned()) })
}

#[tokio::test]
async fn a_message_becomes_one_whole_file() {
    let env = Env::new(Pair::SqliteInProcess);
    let dir = env.directory().join("mail");
    let mailer = mailer(MailTransport::File { dir: dir.clone() });
    mailer.deliver(&message("alice@example.com")).await.unwrap();
    let files: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = files.as_slice() else { panic!("{} files", files.len()) };
    assert_eq!(file.extension().unwrap(), "eml");
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains("To: alice@example.com\r\n") && text.contains("012345"), "{text}");
}

#[test]
fn an_unusable_configuration_is_refused_without_showing_the_url() {
    let from = "Shop <no-reply@shop.example>".to_owned();
    for url in ["http://user:hunter2@mail.example.com", "smtp://", "not a url"] {
        let transport = MailTransport::Smtp { url: Secret::new(url.to_owned()) };
        let error = Mailer::from_config(&MailConfig { transport, from: from.clone() }).err().unwrap();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    let config = MailConfig { transport: MailTransport::Memory, from: "nobody".to_owned() };
    assert!(Mailer::from_config(&config).is_err());
}
