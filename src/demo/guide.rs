//! What `samesake demo` prints: what to open, and what to try.

use std::fmt::Write as _;
use std::path::Path;

use super::{Urls, gateway, people};

/// Whether the text is for a terminal that shows colors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colors {
    Plain,
    Ansi,
}

impl Colors {
    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Ansi => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }

    fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn link(self, text: &str) -> String {
        self.paint("36;4", text)
    }

    fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }
}

/// The whole text.
pub(super) fn text(urls: &Urls, data: &Path, kept: bool, colors: Colors) -> String {
    let mut text = String::new();
    let data_dir = data.display();
    let end = if kept { "ends it; the data stays" } else { "ends it and removes its data" };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}  Everything is on this machine. Ctrl-C {end}.\n", colors.bold("Samesake demo"));
    let _ = writeln!(text, "{}", colors.bold("Open"));
    text.push_str(&places(urls, colors));
    let _ = writeln!(text, "\n{}", colors.bold("Try"));
    let steps = [
        "Put Personalization beside the Shop: to it, you are nobody yet.",
        "In the Shop, sign in, continue with Chirp, choose Ronja. Personalization sees it within five seconds.",
        "Call the back end: it verifies the access token by itself, with the gateway's published keys.",
        "Open the Magazine: signed in already, as the same customer ID.",
        "Sign out anywhere: the Shop, the Magazine and Personalization forget you.",
        "Sign up with an e-mail address instead: the code is in the Mailbox.",
        "Look after customers at the Desk, in another browser window: compare a pair, merge it, undo it.",
    ];
    for (number, step) in (1..).zip(steps) {
        let _ = writeln!(text, "  {number}  {step}");
    }
    let admins =
        format!("{} (owner) or {} (approver), password: {}", people::OWNER, people::APPROVER, people::PASSWORD);
    let _ = writeln!(text, "     Sign in as {admins}");
    let file = gateway::config_file(data);
    let command = format!("samesake customer show social:chirp:ronja --config {}", file.display());
    let _ = writeln!(text, "  8  Ask who is behind an ID, from another terminal:\n     {command}");
    let _ = writeln!(text, "\n{}", colors.dim(&format!("Data in {data_dir}. RUST_LOG=info shows what happens.")));
    text
}

fn places(urls: &Urls, colors: Colors) -> String {
    let (mailbox, desk) = (urls.mailbox(), urls.desk());
    let places = [
        ("Shop", urls.shop.as_str(), "an app with a back end"),
        ("Magazine", &urls.second, "a second app of the same company"),
        ("Personalization", &urls.personalization, "a service that sees signed identities only"),
        ("Mailbox", &mailbox, "the mails that the gateway sends"),
        ("Desk", &desk, "where people look after customers"),
        ("Gateway", &urls.gateway, "Samesake itself"),
        ("Chirp", &urls.provider, "a stand-in for a social provider"),
        ("Back end", &urls.back_end, "the shop's API"),
    ];
    let width = places.iter().map(|(_, url, _)| url.len()).max().unwrap_or_default();
    let mut text = String::new();
    for (name, url, what) in places {
        let gap = " ".repeat(width.saturating_sub(url.len()));
        let _ = writeln!(text, "  {name:<16} {}{gap}  {}", colors.link(url), colors.dim(what));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls() -> Urls {
        let origin = |port: u16| format!("http://127.0.0.1:{port}");
        Urls {
            gateway: origin(8080),
            shop: origin(8081),
            second: origin(8082),
            back_end: origin(8083),
            personalization: origin(8084),
            provider: origin(8085),
        }
    }

    #[test]
    fn the_guide_is_aligned_and_has_no_colors_outside_a_terminal() {
        let text = text(&urls(), Path::new("/tmp/d"), false, Colors::Plain);
        assert!(!text.contains('\x1b'), "{text}");
        assert!(
            text.contains("\n  Shop             http://127.0.0.1:8081          an app with a back end\n"),
            "{text}"
        );
        assert!(text.contains("\n  Mailbox          http://127.0.0.1:8081/mailbox  the mails"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
    }
}
