//! The audit log: what admins did and at whom they looked, in pages, newest first.

use std::time::Duration;

use samesake::protocol::admin_role::AdminRole;
use serde_json::{Value, json};

use super::{ANN, BEN, Office, assert_good, assert_problem};
use crate::harness::relying_party::Answer;
use crate::harness::{Browser, Env, invariants};
use crate::on_both;

fn actions(answer: &Answer) -> Vec<&str> {
    assert_good(answer);
    answer.body["items"].as_array().unwrap().iter().map(|item| item["action"].as_str().unwrap()).collect()
}

on_both! {
    async fn who_looked_at_whom_is_on_record(env: &Env) {
        let office = Office::start(env).await;
        let ann = office.admin(ANN, AdminRole::Viewer).await;
        let ben = office.app.customer(BEN, "Ben").await;
        let token = office.sign_in(&Browser::new(), ANN).await.access_token;
        for path in [
            format!("/customers?q={BEN}"),
            format!("/customers/{ben}"),
            format!("/customers/{ben}/timeline"),
            format!("/links?namespace=email&external_id={BEN}"),
        ] {
            assert_good(&office.get(&token, &path).await);
        }
        // Who finds nobody has looked at nobody.
        assert_good(&office.search(&token, "nobody at all").await);
        let log = office.get(&office.robot(AdminRole::Support).await, &format!("/audit?customer={ben}&looks=true")).await;
        let looks: Vec<(&Value, &Value)> = log.body["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|item| item["action"] == "admin.looked")
            .map(|item| (&item["actor"], &item["detail"]["what"]))
            .collect();
        let actor = json!(format!("admin:{ann}"));
        let expected = ["link_resolve", "customer_timeline", "customer_get", "customer_search"].map(|what| json!(what));
        assert_eq!(looks, expected.iter().map(|what| (&actor, what)).collect::<Vec<_>>());
        assert!(!log.text.contains(BEN) || !log.body["items"][0].to_string().contains(BEN), "the text is not kept");
        invariants::check(env).await;
    }

    async fn a_search_that_finds_several_names_them_in_one_entry(env: &Env) {
        let office = Office::start(env).await;
        let (ann, ben) = (office.app.customer(ANN, "Sam A").await, office.app.customer(BEN, "Sam B").await);
        assert_good(&office.search(&office.robot(AdminRole::Viewer).await, "sam").await);
        let log = office.get(&office.robot(AdminRole::Support).await, "/audit?limit=1&looks=true").await;
        let entry = &log.body["items"][0];
        assert_eq!((&entry["actor"], &entry["customer"]), (&json!("admin:client:robot-viewer"), &Value::Null));
        assert_eq!(entry["detail"]["customers"], json!([ann.to_string(), ben.to_string()]));
    }

    /// Who looked at whom is left out unless it is asked for, and then it is there, on each way of reading.
    async fn the_log_is_read_by_actor_and_by_kind_without_looks(env: &Env) {
        let office = Office::start(env).await;
        let (ann, ben) = (office.app.customer(ANN, "Ann").await, office.app.customer(BEN, "Ben").await);
        let (support, owner) = (office.robot(AdminRole::Support).await, office.robot(AdminRole::Owner).await);
        let why = json!({ "reason": "x" });
        for customer in [ann, ben] {
            assert_good(&office.post(&owner, &format!("/customers/{customer}/hold"), &customer.to_string(), &why).await);
            for token in [&owner, &support] {
                assert_good(&office.get(token, &format!("/customers/{customer}")).await);
            }
        }
        let list = async |query: &str| {
            let answer = office.get(&support, &format!("/audit?limit=100&{query}")).await;
            actions(&answer).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let of = |kinds: &[&str]| kinds.iter().map(|&kind| kind.to_owned()).collect::<Vec<_>>();
        let looked = "admin.looked";
        let (by_owner, by_support) = ("actor=admin:client:robot-owner", "actor=admin:client:robot-support");
        assert_eq!(list(by_owner).await, of(&["customer.held", "customer.held"]));
        assert_eq!(list(&format!("{by_owner}&looks=true")).await.len(), 4);
        assert_eq!(list(&format!("{by_owner}&action=customer.held")).await.len(), 2);
        assert_eq!(list(&format!("{by_owner}&action=link.added")).await, of(&[]));
        assert_eq!(list(&format!("{by_owner}&action={looked}")).await, of(&[looked, looked]), "the kind itself asks for it");
        assert_eq!(list(by_support).await, of(&[]));
        assert_eq!(list(&format!("{by_support}&looks=true")).await, of(&[looked, looked]));
        assert_eq!(list("action=customer.created").await.len(), 2);
        assert_eq!(list(&format!("action={looked}")).await.len(), 4);
        assert_eq!(list("actor=nobody").await, of(&[]));
        assert_eq!(list("action=no.such").await, of(&[]));
        assert!(!list("").await.contains(&looked.to_owned()) && list("looks=true").await.contains(&looked.to_owned()));
        let of_ann = format!("customer={ann}");
        assert!(!list(&of_ann).await.contains(&looked.to_owned()));
        assert_eq!(list(&format!("{of_ann}&{by_owner}")).await, of(&["customer.held"]));
        assert_eq!(list(&format!("{of_ann}&{by_owner}&looks=true")).await, of(&[looked, "customer.held"]));
        assert_eq!(list(&format!("{of_ann}&{by_support}&action={looked}")).await, of(&[looked]));
        assert_eq!(list(&format!("{of_ann}&action=customer.held")).await, of(&["customer.held"]));
        // Each way goes on page by page.
        for query in [by_owner.to_owned(), format!("{by_owner}&looks=true"), "looks=true".to_owned(), format!("{of_ann}&looks=true"), "action=link.added".to_owned()] {
            let (whole, mut paged, mut cursor) = (list(&query).await, Vec::new(), String::new());
            loop {
                let page = office.get(&support, &format!("/audit?limit=1&{query}{cursor}")).await;
                paged.extend(actions(&page).into_iter().map(str::to_owned));
                match page.body["next"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(paged, whole, "{query}");
        }
        let page = office.get(&support, &format!("/audit?limit=1&{by_owner}")).await;
        let stolen = format!("/audit?limit=1&{by_owner}&looks=true&cursor={}", page.body["next"].as_str().unwrap());
        assert_problem(&office.get(&support, &stolen).await, 400, "invalid-cursor");
        // And a customer at whom everybody looks has a timeline of what happened.
        for _ in 0..30 {
            assert_good(&office.get(&support, &format!("/customers/{ann}")).await);
        }
        let timeline = office.get(&support, &format!("/customers/{ann}/timeline?limit=5")).await;
        assert_eq!(actions(&timeline).first(), Some(&"customer.held"), "{}", timeline.text);
        invariants::check(env).await;
    }

    async fn the_log_is_read_in_pages_by_customer_and_by_time(env: &Env) {
        let office = Office::start(env).await;
        let ann = office.app.customer(ANN, "Ann").await;
        office.app.clock.advance(Duration::from_secs(3600));
        let later = office.app.clock.now();
        office.app.clock.advance(Duration::from_secs(3600));
        office.app.customer(BEN, "Ben").await;
        let token = office.robot(AdminRole::Support).await;
        let all = office.get(&token, "/audit?limit=100").await;
        let (all, count) = (actions(&all), actions(&all).len());
        let mut paged = Vec::new();
        let mut cursor = String::new();
        for _ in 0..=count {
            let page = office.get(&token, &format!("/audit?limit=2{cursor}")).await;
            paged.extend(actions(&page).into_iter().map(str::to_owned));
            match page.body["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(paged, all);
        let (since, until) = (format!("/audit?since={later}"), format!("/audit?until={later}"));
        let (since, until) = (office.get(&token, &since).await, office.get(&token, &until).await);
        assert_eq!(actions(&since).len() + actions(&until).len(), count);
        assert_eq!(actions(&since).iter().filter(|action| **action == "customer.created").count(), 1);
        let of_ann = office.get(&token, &format!("/audit?customer={ann}")).await;
        assert_eq!(actions(&of_ann), actions(&until));
        let later = office.get(&token, &format!("/audit?customer={ann}&since={later}")).await;
        assert_eq!(actions(&later), Vec::<&str>::new());
        for wrong in ["looks=1", "looks=", "action=x", "action=A.b", "action=a.b.c", "actor=", &format!("actor={}", "x".repeat(256)), "since=yesterday", "until=1", "customer=", "limit=", "limit=0", "limit=101", "limit=x"] {
            assert_problem(&office.get(&token, &format!("/audit?{wrong}")).await, 400, "invalid-request");
        }
        for nobody in ["x", "019a0000-0000-7000-8000-000000000000"] {
            assert_problem(&office.get(&token, &format!("/audit?customer={nobody}")).await, 404, "not-found");
        }
    }
}
