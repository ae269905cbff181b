//! The search by the beginning of a name: in order, in pages, everybody once.

use std::collections::BTreeSet;

use samesake::clock::Clock;
use samesake::ids::CustomerId;
use samesake::protocol::admin_role::AdminRole;
use samesake::store::Customer;
use serde_json::json;

use super::{ANN, Office, assert_problem, ids};
use crate::harness::Env;
use crate::on_both;

/// Customers of these names; a second word is also their family name.
async fn add(office: &Office, names: &[String]) -> Vec<String> {
    let mut tx = office.app.store.background().begin().await.unwrap();
    let mut added = Vec::new();
    for name in names {
        let now = Clock::system().now();
        let mut profile = json!({ "name": { "value": name, "at": 0 } });
        if let Some((given, family)) = name.split_once(' ') {
            profile["given_name"] = json!({ "value": given, "at": 0 });
            profile["family_name"] = json!({ "value": family, "at": 0 });
        }
        let customer = Customer::new(CustomerId::new(now), profile, now);
        tx.customer_insert(&customer).await.unwrap();
        added.push(customer.id.to_string());
    }
    tx.commit().await.unwrap();
    added
}

/// Every page of a search, as one list.
async fn all(office: &Office, token: &str, text: &str, limit: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = office.get(token, &format!("/customers?q={text}&limit={limit}{cursor}")).await;
        let ids = ids(&page);
        assert!(ids.len() <= limit, "{} of {limit}", ids.len());
        found.extend(ids.into_iter().map(str::to_owned));
        match page.body["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

on_both! {
    async fn pages_of_names_have_everybody_once_and_in_order(env: &Env) {
        let office = Office::start(env).await;
        let token = office.robot(AdminRole::Viewer).await;
        // Many of one name, and some whose given name and family name both fit.
        let names: Vec<String> = (0..17)
            .map(|number| match number % 4 {
                0 => "Mara Example".to_owned(),
                1 => format!("mara {number}"),
                2 => format!("Zoe Maran{number}"),
                _ => "MARA Maron".to_owned(),
            })
            .collect();
        let added: BTreeSet<String> = add(&office, &names).await.into_iter().collect();
        add(&office, &["Mar".to_owned(), "Nora Example".to_owned()]).await;
        for limit in [1, 3, 17, 100] {
            let found = all(&office, &token, "mara", limit).await;
            assert_eq!(found.len(), added.len(), "limit {limit}");
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), added, "limit {limit}");
        }
        let whole = office.get(&token, "/customers?q=mara&limit=100").await;
        let order: Vec<String> =
            whole.body["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_lowercase()).collect();
        let first_word_fits: Vec<&String> = order.iter().take_while(|name| name.starts_with("mara")).collect();
        assert!(first_word_fits.is_sorted(), "{order:?}");
    }

    /// An ID goes before the names, and a page that it fills goes on with them.
    async fn an_id_comes_before_the_names(env: &Env) {
        let office = Office::start(env).await;
        let token = office.robot(AdminRole::Viewer).await;
        let ann = office.app.customer(ANN, "Somebody Else").await.to_string();
        let named = add(&office, &["ann@example.com the Second".to_owned()]).await;
        let found = all(&office, &token, ANN, 1).await;
        assert_eq!(found, [ann, named[0].clone()]);
    }

    async fn a_cursor_is_of_no_use_elsewhere(env: &Env) {
        let office = Office::start(env).await;
        let token = office.robot(AdminRole::Support).await;
        add(&office, &["Mara One".to_owned(), "Mara Two".to_owned()]).await;
        let page = office.get(&token, "/customers?q=mara&limit=1").await;
        let cursor = page.body["next"].as_str().unwrap();
        assert!(!cursor.to_lowercase().contains("mara"));
        for path in [
            format!("/customers?q=mar&cursor={cursor}"),
            format!("/audit?cursor={cursor}"),
            format!("/customers?q=mara&cursor={}", &cursor[1..]),
            format!("/customers?q=mara&cursor={cursor}A"),
            "/customers?q=mara&cursor=x".to_owned(),
        ] {
            assert_problem(&office.get(&token, &path).await, 400, "invalid-cursor");
        }
    }
}
