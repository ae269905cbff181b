//! Receivers of events: what each must have, and what it is where the file does not say.

use super::Webhook;

const KEYS: &str = "id = \"crm\"\nurl = \"https://crm.example/events\"\n";
const SECRET: &str = "secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n";

/// The receiver, or the keys that were refused.
fn load(text: &str) -> Result<Webhook, Vec<String>> {
    match super::load(&format!("[[webhooks]]\n{text}"), &[]) {
        Ok(config) => Ok(config.webhooks.into_iter().next().unwrap()),
        Err(problems) => Err(problems.0.into_iter().map(|problem| problem.key).collect()),
    }
}

#[test]
fn a_receiver_hears_everything_it_may_unless_it_asks_for_less() {
    let webhook = load(&format!("{KEYS}{SECRET}sector = \"shops\"\n")).unwrap();
    assert_eq!(webhook.events, ["*"]);
    assert!(!webhook.internal && webhook.timeout.is_none());
}

#[test]
fn wrong_values_are_refused_by_their_key() {
    for (text, key) in [
        (format!("{KEYS}internal = true\n"), "webhooks[crm].secret"),
        (format!("{KEYS}{SECRET}"), "webhooks[crm].audience"),
        (format!("{KEYS}{SECRET}internal = true\nsector = \"s\"\n"), "webhooks[crm].audience"),
        (format!("{KEYS}{SECRET}audience = \"a\"\nsector = \"s\"\n"), "webhooks[crm].audience"),
        (format!("{KEYS}secret = \"hunter2\"\ninternal = true\n"), "webhooks[crm].secret"),
        (format!("{KEYS}{SECRET}previous_secret = \"old\"\ninternal = true\n"), "webhooks[crm].previous_secret"),
        (format!("{KEYS}{SECRET}internal = true\nevents = [\"Link.Added\"]\n"), "webhooks[crm].events"),
        (format!("{KEYS}{SECRET}internal = true\ntimeout = \"2m\"\n"), "webhooks[crm].timeout"),
        (format!("{KEYS}{SECRET}internal = true\nsecret_fil = \"x\"\n"), "webhooks[crm].secret_fil"),
        (format!("id = \"crm\"\n{SECRET}internal = true\n"), "webhooks[crm].url"),
        (format!("id = \"crm\"\nurl = \"ftp://crm.example\"\n{SECRET}internal = true\n"), "webhooks[crm].url"),
        (format!("id = \"crm\"\nurl = \"https://me:pw@crm.example\"\n{SECRET}internal = true\n"), "webhooks[crm].url"),
        (format!("id = \"C R M\"\nurl = \"https://crm.example\"\n{SECRET}internal = true\n"), "webhooks[C R M].id"),
    ] {
        assert_eq!(load(&text).unwrap_err(), [key], "{text}");
    }
}

#[test]
fn an_audience_means_one_thing() {
    let both = "[[clients]]\nclient_id = \"shop\"\nclient_secret = \"x\"\nredirect_uris = [\"https://shop.example/\"]\n\
                [[destinations]]\nid = \"shop\"\n";
    let refused = load(&format!("{KEYS}{SECRET}audience = \"shop\"\n{both}")).unwrap_err();
    assert_eq!(refused, ["webhooks[crm].audience"]);
}
