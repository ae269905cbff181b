//! Renders the demonstration with calm and hostile data, also to `samesake-demo` in the temporary directory for looking.

use std::fs;

use super::*;

const HOSTILE: &str = r#"<script>alert("1")</script>'">"#;

fn nav(current: &str) -> Vec<NavLink> {
    let link = |label: &str, href: &str| NavLink { label: label.into(), href: href.into(), current: label == current };
    vec![link("Shop", "shop.html"), link("Magazine", "second.html"), link("Personalization", "personalization.html")]
}

fn customer(name: &str) -> AppCustomer {
    let claims = [
        ("iss", "http://127.0.0.1:8080"),
        ("sub", "019aa5f2-7c1e-7d43-b0a4-6f3f5f0e2b11"),
        ("name", name),
        ("email", "ronja@chirp.example"),
        ("email_verified", "true"),
        ("auth_time", "1795312863 (2 minutes ago)"),
        ("sid", "pL1cT9r9cH9mWvRcIhX3uQ"),
    ];
    AppCustomer {
        name: name.into(),
        customer_id: "019aa5f2-7c1e-7d43-b0a4-6f3f5f0e2b11".into(),
        claims: claims.map(|(name, value)| (name.into(), value.into())).into(),
    }
}

fn shop(customer: Option<AppCustomer>, accepted: Option<bool>) -> ShopPage {
    let back_end = accepted.map(|accepted| BackEndAnswer {
        accepted,
        status: if accepted { "200 OK" } else { "401 Unauthorized" }.into(),
        body: "{\n  \"orders\": 3,\n  \"for\": \"019aa5f2-7c1e-7d43-b0a4-6f3f5f0e2b11\"\n}".into(),
    });
    ShopPage { nav: nav("Shop"), customer, back_end, notice: None }
}

fn personalization(level: &str) -> PersonalizationPage {
    let pick = |title: &str, reason: &str| Recommendation { title: title.into(), reason: reason.into() };
    let known = level != "anonymous";
    PersonalizationPage {
        nav: nav("Personalization"),
        level: level.into(),
        greeting: if known { "Hello again".into() } else { "Hello, whoever you are".into() },
        statement: Some(Statement {
            header: "{\n  \"typ\": \"identity+jwt\",\n  \"alg\": \"ES256\",\n  \"kid\": \"w8mX2c\"\n}".into(),
            claims: format!(
                "{{\n  \"iss\": \"http://127.0.0.1:8080\",\n  \"aud\": \"recommender\",\n  \"sub\": \"p3oB7Zb0\",\n  \"level\": \"{level}\",\n  \"iat\": 1795312863,\n  \"exp\": 1795312923\n}}"
            ),
            jwt: format!(
                "{}.{}.{}",
                "eyJ0eXAiOiJpZGVudGl0eStqd3QiLCJhbGciOiJFUzI1NiJ9",
                "eyJpc3MiOiJodHRwOi8vMTI3LjAuMC4xOjgwODAi".repeat(8),
                "MEUCIQDx0Yk3".repeat(7)
            ),
            seconds_left: 41,
            lifetime: 60,
        }),
        problem: None,
        recommendations: if known {
            vec![
                pick("Gaiters for the Grat boot", "bought in September"),
                pick("Hut map, eastern ridge", "read: Eleven days on foot"),
                pick("Stube lantern", "in the basket"),
            ]
        } else {
            vec![
                pick("Kiefer 2 tent", "popular this week"),
                pick("Stube lantern", "popular this week"),
                pick("Almweg 38 pack", "new"),
            ]
        },
        refreshed_at: "14:21:03 UTC".into(),
        sign_in: (!known).then(|| "/.samesake/personalization/start".into()),
    }
}

fn provider(name: &str) -> ProviderPage {
    let person = |id: &str, name: &str| Person {
        id: id.into(),
        name: name.into(),
        handle: id.into(),
        email: format!("{id}@chirp.example"),
    };
    ProviderPage {
        client_name: "Fernweh".into(),
        action: "/choose".into(),
        fields: vec![("request".into(), name.into())],
        people: vec![person("ronja", name), person("birk", "Birk Borkason")],
    }
}

fn mailbox(name: &str) -> MailboxPage {
    let mail = |subject: &str| Mail {
        to: "ann@mail.example".into(),
        subject: subject.into(),
        text: format!("Hello {name},\n\nyour code is\n\n    492 817\n\nIt is good for ten minutes."),
    };
    MailboxPage { nav: nav("Mailbox"), mails: vec![mail("492817 is your code"), mail("300112 is your code")] }
}

fn all(name: &str) -> Vec<(&'static str, String)> {
    let signed_in = || Some(customer(name));
    let second = |customer, notice| SecondPage { nav: nav("Magazine"), customer, known_already: true, notice };
    vec![
        ("shop", shop(None, None).render().unwrap()),
        ("shop-in", shop(signed_in(), Some(true)).render().unwrap()),
        ("shop-refused", ShopPage { notice: Some(name.into()), ..shop(signed_in(), Some(false)) }.render().unwrap()),
        ("second", second(signed_in(), None).render().unwrap()),
        ("second-out", second(None, Some(name.into())).render().unwrap()),
        ("personalization", personalization("authenticated").render().unwrap()),
        ("personalization-anonymous", personalization("anonymous").render().unwrap()),
        ("provider", provider(name).render().unwrap()),
        ("mailbox", mailbox(name).render().unwrap()),
        ("mailbox-empty", MailboxPage { nav: nav("Mailbox"), mails: vec![] }.render().unwrap()),
    ]
}

#[test]
fn demonstration_pages_escape_what_they_show_and_need_no_inline_anything() {
    for (page, html) in all(HOSTILE) {
        assert!(!html.contains("<script") && !html.contains("<style") && !html.contains(" style="), "{page}: {html}");
        if !page.starts_with("personalization") && page != "shop" && page != "mailbox-empty" {
            assert!(html.contains("&#60;script&#62;"), "{page}: {html}");
        }
    }
}

#[test]
fn the_ladder_marks_one_level() {
    let states = |level: &str| personalization(level).steps().iter().map(|step| step.state).collect::<Vec<_>>();
    assert_eq!(states("authenticated"), ["below", "below", "below", "here", "above"]);
    assert_eq!(states("anonymous"), ["here", "above", "above", "above", "above"]);
    assert_eq!(states("nonsense"), ["above"; 5]);
}

#[test]
fn every_demonstration_page_can_be_looked_at() {
    let folder = std::env::temp_dir().join("samesake-demo");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("demo.css"), STYLE_SHEET).unwrap();
    for (set, name) in [("", "Ronja Mattisdotter"), ("hostile-", HOSTILE)] {
        for (page, html) in all(name) {
            fs::write(folder.join(format!("{set}{page}.html")), html.replace("\"/demo.css\"", "\"demo.css\"")).unwrap();
        }
    }
}
