//! Google: whose mailboxes it runs, and accounts of one domain only.

use samesake::config::EmailTrust;
use serde_json::{Value, json};

use super::{Login, invalid, signs_in_and_returns};
use crate::harness::Env;
use crate::harness::providers::google;
use crate::harness::upstream::Upstream;
use crate::on_both;

async fn google_with(claims: Value) -> Upstream {
    let upstream = Upstream::start().await;
    upstream.add_person("110169484474386276334", claims);
    upstream
}

on_both! {
    async fn a_google_customer_signs_in_and_returns(env: &Env) {
        let upstream = google_with(json!({"email": "ada@gmail.com", "email_verified": true, "name": "Ada Byron"})).await;
        let userinfo = signs_in_and_returns(env, google::config(&upstream), "110169484474386276334").await;
        assert_eq!((&userinfo["email"], &userinfo["email_verified"]), (&json!("ada@gmail.com"), &json!(true)));
    }
}

/// It runs the mailboxes of gmail.com and of hosted domains (spec/identity.md rule 8); any other address it once sent a
/// mail to.
#[tokio::test]
async fn google_is_authoritative_for_its_own_mailboxes_only() {
    for (email, hosted, expected) in [
        ("ada@gmail.com", None, EmailTrust::Authoritative),
        ("ada@GMail.com", None, EmailTrust::Authoritative),
        ("ada@shop.example", Some("shop.example"), EmailTrust::Authoritative),
        ("ada@shop.example", None, EmailTrust::Verified),
        ("ada@shop.example", Some(""), EmailTrust::Verified),
        ("ada@notgmail.com", None, EmailTrust::Verified),
        ("gmail.com@evil.example", None, EmailTrust::Verified),
    ] {
        let upstream = google_with(json!({"email": email, "email_verified": true, "name": "A", "hd": hosted})).await;
        let login = Login::with(google::config(&upstream));
        let identity = login.run().await.unwrap();
        assert_eq!(login.connector.email_trust(&identity), expected, "{email} {hosted:?}");
        // What the configuration says is the upper end.
        let mut config = google::config(&upstream);
        config.email_trust = Some(EmailTrust::Unverified);
        assert_eq!(Login::with(config).connector.email_trust(&identity), EmailTrust::Unverified);
    }
}

#[tokio::test]
async fn accounts_of_another_domain_are_refused_whatever_the_page_let_them_choose() {
    for (hosted, accepted) in
        [(Some("shop.example"), true), (Some("Shop.Example"), true), (Some("evil.example"), false)]
            .into_iter()
            .chain([(None, false)])
    {
        let upstream = google_with(json!({"email": "a@shop.example", "name": "A", "hd": hosted})).await;
        let mut config = google::config(&upstream);
        config.hosted_domain = Some("shop.example".to_owned());
        let outcome = Login::with(config).run().await;
        assert_eq!(upstream.last_authorization()["hd"], "shop.example");
        let refused = (!accepted).then(|| invalid("the account is not of the hosted domain"));
        assert_eq!(outcome.err(), refused, "{hosted:?}");
    }
}
