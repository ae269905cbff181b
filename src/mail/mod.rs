//! Mail to customers: a message, and the ways out for it.
//!
//! The only user of lettre. It owns how a message becomes MIME and how a failure is judged: gone for good, or worth
//! another try. What it says about a failure never holds an address or a server's words, which quote addresses.
//! Callers do not deliver; they queue within their transaction, and the job in `queue` delivers.

pub mod queue;
pub mod templates;

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::PoolConfig;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::{Clock, Timestamp, uuid_v7};
use crate::config::{MailConfig, MailTransport};
use crate::identity::address::EmailAddress;

/// For each step of the conversation with the SMTP server.
const STEP_TIMEOUT: Duration = Duration::from_secs(15);
/// For one delivery as a whole.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(45);
/// How many messages the memory transport keeps; the oldest go first.
const MEMORY_MESSAGES: usize = 1000;

/// One message to one customer. `Debug` shows nothing of it: it may hold a code.
#[derive(Clone, Serialize, Deserialize)]
pub struct Message {
    pub to: EmailAddress,
    pub subject: String,
    pub text: String,
    pub html: String,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[message]")
    }
}

/// Why a message was not delivered. The reasons are ours: they name neither the customer nor what was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// Trying again cannot help.
    #[error("{0}")]
    Permanent(String),
    /// Another time may be better.
    #[error("{0}")]
    Transient(String),
}

/// Why there is no way out for mail.
#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    /// The sender is no mailbox.
    #[error("mail.from is no mail address")]
    From,
    /// The URL is none that SMTP can use. It is not shown: it may hold a password.
    #[error("mail.smtp_url is not usable")]
    Url,
}

/// A way out for mail. Clones share connections, and the memory transport's messages.
#[derive(Clone)]
pub struct Mailer {
    transport: Transport,
    from: Mailbox,
}

#[derive(Clone)]
enum Transport {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    File(PathBuf),
    Memory(Arc<Mutex<VecDeque<Message>>>),
    None,
}

impl Mailer {
    /// The way out that the configuration names. Connects to nothing yet.
    ///
    /// # Errors
    /// If the sender or the URL cannot be read.
    pub fn from_config(config: &MailConfig) -> Result<Self, MailerError> {
        let transport = match &config.transport {
            MailTransport::Smtp { url } => smtp(url.expose())?,
            MailTransport::File { dir } => Transport::File(dir.clone()),
            MailTransport::Memory => Transport::Memory(Arc::default()),
            MailTransport::None => Transport::None,
        };
        let from = config.from.parse().map_err(|_| MailerError::From)?;
        Ok(Self { transport, from })
    }

    /// Keeps messages in memory, for tests; `sent` shows them.
    pub fn memory() -> Self {
        let from = Mailbox::new(None, Address::new_dangerous("no-reply", "samesake.invalid"));
        Self { transport: Transport::Memory(Arc::default()), from }
    }

    /// What the memory transport keeps, oldest first. Empty for every other one.
    pub fn sent(&self) -> Vec<Message> {
        match &self.transport {
            Transport::Memory(messages) => {
                messages.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
            }
            Transport::Smtp(_) | Transport::File(_) | Transport::None => Vec::new(),
        }
    }

    /// Whether a message can reach anybody: what needs a mailed code is offered only then.
    pub const fn is_offered(&self) -> bool {
        !matches!(self.transport, Transport::None)
    }

    /// Delivers at once. Customers' requests queue instead.
    ///
    /// # Errors
    /// `MailError` says whether trying again can help.
    pub async fn deliver(&self, message: &Message) -> Result<(), MailError> {
        let now = Clock::system().now();
        self.deliver_as(message, uuid_v7(now), now).await
    }

    /// Delivers under a given identity and date, so that a second delivery of the same message after a crash can be
    /// recognized by whoever receives it.
    async fn deliver_as(&self, message: &Message, id: Uuid, date: Timestamp) -> Result<(), MailError> {
        match &self.transport {
            Transport::Smtp(transport) => {
                let sending = transport.send(self.compose(message, id, date)?);
                match tokio::time::timeout(DELIVERY_TIMEOUT, sending).await {
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err(error)) => Err(judge(&error, message)),
                    Err(_) => Err(MailError::Transient("the SMTP server took too long".to_owned())),
                }
            }
            Transport::File(dir) => write(dir, id, &self.compose(message, id, date)?.formatted()).await,
            Transport::Memory(messages) => {
                let mut messages = messages.lock().unwrap_or_else(PoisonError::into_inner);
                if messages.len() >= MEMORY_MESSAGES {
                    messages.pop_front();
                }
                messages.push_back(message.clone());
                Ok(())
            }
            Transport::None => Err(MailError::Permanent("no mail transport is configured".to_owned())),
        }
    }

    fn compose(&self, message: &Message, id: Uuid, date: Timestamp) -> Result<lettre::Message, MailError> {
        let refused = |_| MailError::Permanent("the message cannot be written as mail".to_owned());
        let to = Address::new(message.to.local(), message.to.domain())
            .map_err(|_| MailError::Permanent("the address is not one that mail is sent to".to_owned()))?;
        let since_epoch = date.since(Timestamp::from_micros(0));
        lettre::Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(one_line(&message.subject))
            .date(UNIX_EPOCH + since_epoch)
            .message_id(Some(format!("<{}@{}>", id.simple(), self.from.email.domain())))
            // RFC 3834 §5: no vacation notices in answer to a machine.
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
            .multipart(MultiPart::alternative_plain_html(message.text.clone(), message.html.clone()))
            .map_err(refused)
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match &self.transport {
            Transport::Smtp(_) => "smtp",
            Transport::File(_) => "file",
            Transport::Memory(_) => "memory",
            Transport::None => "none",
        };
        f.debug_tuple("Mailer").field(&transport).finish()
    }
}

fn smtp(url: &str) -> Result<Transport, MailerError> {
    let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|_| MailerError::Url)?;
    // An idle connection is dropped before the servers do it: RFC 5321 §4.5.3.2.7 gives it five minutes.
    let pool = PoolConfig::new().max_size(10).idle_timeout(Duration::from_secs(60));
    Ok(Transport::Smtp(builder.timeout(Some(STEP_TIMEOUT)).pool_config(pool).build()))
}

async fn write(dir: &Path, id: Uuid, email: &[u8]) -> Result<(), MailError> {
    let unwritten = |error: std::io::Error| MailError::Transient(format!("the mail file: {}", error.kind()));
    tokio::fs::create_dir_all(dir).await.map_err(unwritten)?;
    // Whoever watches the directory for `.eml` files finds whole ones only.
    let unfinished = dir.join(format!("{id}.part"));
    tokio::fs::write(&unfinished, email).await.map_err(unwritten)?;
    tokio::fs::rename(&unfinished, dir.join(format!("{id}.eml"))).await.map_err(unwritten)
}

fn judge(error: &lettre::transport::smtp::Error, message: &Message) -> MailError {
    if let Some(status) = error.status() {
        let code = u16::from(status);
        let reason = format!("the SMTP server answered {code}");
        return if is_final(code) { MailError::Permanent(reason) } else { MailError::Transient(reason) };
    }
    // lettre itself refuses what the server cannot take: the address needs SMTPUTF8 (RFC 6531).
    if error.is_client() && !message.to.normalized().is_ascii() {
        return MailError::Permanent("the SMTP server takes ASCII addresses only".to_owned());
    }
    let reason = if error.is_timeout() {
        "the SMTP server took too long"
    } else if error.is_tls() {
        "no TLS connection to the SMTP server"
    } else if error.is_client() {
        "the SMTP server offers no way in that we know"
    } else if error.is_response() {
        "the SMTP server's answer could not be read"
    } else {
        "no connection to the SMTP server"
    };
    MailError::Transient(reason.to_owned())
}

/// Whether a reply speaks about this message (RFC 5321 §4.2.1: 5yz). Those about our own log-in or about the order of
/// commands (RFC 4954 §6) end when somebody mends the installation, and no customer's mail is lost over them.
const fn is_final(code: u16) -> bool {
    code >= 500 && !matches!(code, 500..=504 | 530..=538)
}

/// A subject is one line, whatever a brand is called.
fn one_line(subject: &str) -> String {
    subject.split(char::is_control).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(to: &str) -> Message {
        Message {
            to: EmailAddress::parse(to).unwrap(),
            subject: "Grüße\r\nBcc: eve@example.com".to_owned(),
            text: "Your code: 123456\n".to_owned(),
            html: "<p>Your code: <b>123456</b></p>".to_owned(),
        }
    }

    #[test]
    fn a_message_goes_to_the_normalized_address_with_one_recipient_and_a_fixed_identity() {
        let now = Timestamp::from_seconds(1_800_014_400);
        let id = uuid_v7(now);
        let email = Mailer::memory().compose(&message("Alice@BÜCHER.example"), id, now).unwrap();
        let to: Vec<String> = email.envelope().to().iter().map(ToString::to_string).collect();
        assert_eq!(to, ["alice@xn--bcher-kva.example"]);
        let text = String::from_utf8(email.formatted()).unwrap();
        assert!(text.contains(&format!("Message-ID: <{}@samesake.invalid>\r\n", id.simple())), "{text}");
        assert!(text.contains("Date: Fri, 15 Jan 2027 12:00:00 +0000\r\n"), "{text}");
        assert!(text.contains("Auto-Submitted: auto-generated\r\n"), "{text}");
        assert!(!text.to_lowercase().contains("\r\nbcc:"), "{text}");
    }

    #[test]
    fn every_address_that_parses_can_be_mailed_to() {
        let now = Timestamp::from_seconds(1_800_014_400);
        for to in
            ["a@example.com", "!#$%&'*+-/=?^_`{|}~@example.com", "jörg@example.com", "a.b+c@xn--bcher-kva.example"]
        {
            assert!(Mailer::memory().compose(&message(to), uuid_v7(now), now).is_ok(), "{to}");
        }
    }

    #[test]
    fn replies_about_the_message_are_final_and_those_about_us_are_not() {
        for code in [550, 551, 552, 553, 554, 555, 556] {
            assert!(is_final(code), "{code}");
        }
        for code in [421, 450, 451, 452, 454, 500, 502, 503, 530, 534, 535, 538] {
            assert!(!is_final(code), "{code}");
        }
    }

    #[test]
    fn a_message_does_not_print() {
        assert_eq!(format!("{:?}", message("alice@example.com")), "[message]");
    }

    #[tokio::test]
    async fn without_a_transport_nothing_is_promised() {
        let config = MailConfig { transport: MailTransport::None, from: "Shop <shop@example.com>".to_owned() };
        let mailer = Mailer::from_config(&config).unwrap();
        assert!(!mailer.is_offered());
        assert!(matches!(mailer.deliver(&message("alice@example.com")).await, Err(MailError::Permanent(_))));
    }

    #[tokio::test]
    async fn the_memory_transport_is_bounded() {
        let mailer = Mailer::memory();
        for _ in 0..MEMORY_MESSAGES + 5 {
            mailer.deliver(&message("alice@example.com")).await.unwrap();
        }
        assert_eq!(mailer.sent().len(), MEMORY_MESSAGES);
    }
}
