//! Mail on its way: the queue on both databases, and delivery to an SMTP server and into files.

mod queue;
mod smtp;
mod smtp_server;

use samesake::clock::Timestamp;
use samesake::identity::address::EmailAddress;
use samesake::mail::Message;

const NOON: Timestamp = Timestamp::from_seconds(1_800_014_400);

fn message(to: &str) -> Message {
    Message {
        to: EmailAddress::parse(to).unwrap(),
        subject: "Ihr Code für Müller".to_owned(),
        text: "Enter this code: 012345\n".to_owned(),
        html: "<p>Enter this code: <b>012345</b></p>".to_owned(),
    }
}

/// The one thing that is there.
fn only<T>(things: Vec<T>) -> T {
    let count = things.len();
    match things.into_iter().next() {
        Some(thing) if count == 1 => thing,
        _ => panic!("one was expected, there are {count}"),
    }
}
