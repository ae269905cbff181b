//! An SMTP server of a few lines (RFC 5321), on a port of its own: it takes mail, or answers as it was told to.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the server says when a message has come in.
#[derive(Clone, Copy)]
pub enum Answer {
    Accept,
    /// A reply code and its text, at `RCPT TO`.
    RefuseRecipient(&'static str),
    /// A reply code and its text, at `MAIL FROM`.
    RefuseSender(&'static str),
    /// It closes the connection without a word.
    HangUp,
}

/// One message as it came in.
#[derive(Clone, Debug)]
pub struct Received {
    pub from: String,
    pub to: Vec<String>,
    pub data: String,
}

/// The server. It ends with the test's runtime.
pub struct SmtpServer {
    port: u16,
    answer: Arc<Mutex<Answer>>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl SmtpServer {
    pub async fn start(answer: Answer) -> SmtpServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = SmtpServer { port, answer: Arc::new(Mutex::new(answer)), received: Arc::default() };
        let (answer, received) = (Arc::clone(&server.answer), Arc::clone(&server.received));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, received) = (*answer.lock().unwrap(), Arc::clone(&received));
                // A client that goes away in mid-sentence is its own business.
                tokio::spawn(async move { converse(stream, answer, &received).await.ok() });
            }
        });
        server
    }

    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// For connections from now on.
    pub fn answer_with(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

async fn converse(stream: TcpStream, answer: Answer, received: &Mutex<Vec<Received>>) -> std::io::Result<()> {
    if matches!(answer, Answer::HangUp) {
        return Ok(());
    }
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let (mut from, mut to) = (String::new(), Vec::new());
    writer.write_all(b"220 test ESMTP\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let command = line.to_ascii_uppercase();
        let reply = if command.starts_with("EHLO") {
            "250-test\r\n250-8BITMIME\r\n250 SMTPUTF8".to_owned()
        } else if command.starts_with("MAIL FROM:") {
            from = bracketed(&line);
            match answer {
                Answer::RefuseSender(reply) => reply.to_owned(),
                Answer::Accept | Answer::RefuseRecipient(_) | Answer::HangUp => "250 sender".to_owned(),
            }
        } else if command.starts_with("RCPT TO:") {
            to.push(bracketed(&line));
            match answer {
                Answer::RefuseRecipient(reply) => reply.to_owned(),
                Answer::Accept | Answer::RefuseSender(_) | Answer::HangUp => "250 recipient".to_owned(),
            }
        } else if command == "DATA" {
            writer.write_all(b"354 go on\r\n").await?;
            let mut data = String::new();
            while let Some(line) = lines.next_line().await? {
                if line == "." {
                    break;
                }
                data.push_str(line.strip_prefix('.').unwrap_or(&line));
                data.push('\n');
            }
            let message = Received { from: std::mem::take(&mut from), to: std::mem::take(&mut to), data };
            received.lock().unwrap().push(message);
            "250 taken".to_owned()
        } else if command == "QUIT" {
            writer.write_all(b"221 bye\r\n").await?;
            return Ok(());
        } else {
            "250 as you say".to_owned()
        };
        writer.write_all(format!("{reply}\r\n").as_bytes()).await?;
    }
    Ok(())
}

fn bracketed(line: &str) -> String {
    let inside = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map(|(address, _)| address.to_owned()).unwrap_or_default()
}
