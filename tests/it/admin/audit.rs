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
        let log = office.get(&office.robot(AdminRole::Support).await, &format!("/audit?customer={ben}")).await;
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
        let log = office.get(&office.robot(AdminRole::Support).await, "/audit?limit=1").await;
        let entry = &log.body["items"][0];
        assert_eq!((&entry["actor"], &entry["customer"]), (&json!("admin:client:robot-viewer"), &Value::Null));
        assert_eq!(entry["detail"]["customers"], json!([ann.to_string(), ben.to_string()]));
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
        for wrong in ["since=yesterday", "until=1", "customer=", "limit=", "limit=0", "limit=101", "limit=x"] {
            assert_problem(&office.get(&token, &format!("/audit?{wrong}")).await, 400, "invalid-request");
        }
        for nobody in ["x", "019a0000-0000-7000-8000-000000000000"] {
            assert_problem(&office.get(&token, &format!("/audit?customer={nobody}")).await, 404, "not-found");
        }
    }
}
