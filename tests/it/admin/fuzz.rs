//! The API as an outside tester asks it: whatever its document allows, and much that it does not (experience rule 9).
//!
//! schemathesis makes requests from the document alone and judges each answer by it: status, headers, schema; what must be
//! refused is refused, and nothing ever fails. The seed is fixed, and the number of requests with it.

use samesake::protocol::admin_role::AdminRole;

use super::queues::{candidate, conflict, request};
use super::{ANN, BEN, Office};
use crate::harness::{Env, invariants, program};
use crate::on_servers;

on_servers! {
    async fn an_outside_tester_finds_nothing_wrong(env: &Env) {
        let office = Office::start(env).await;
        let (ann, ben) = (office.app.customer(ANN, "Ann").await, office.app.customer(BEN, "Ben").await);
        candidate(&office, ann, ben, 0.9, "queue").await;
        request(&office, ann, ben).await;
        conflict(&office, ann, ben).await;
        let document = office.app.url("/api/v1/openapi.json").to_string();
        for (role, phases) in [(AdminRole::Owner, "coverage,fuzzing"), (AdminRole::Viewer, "coverage")] {
            let token = format!("Authorization: Bearer {}", office.robot(role).await);
            let words = ["run", &document, "--header", &token, "--phases", phases, "--max-examples", "3", "--seed", "1",
                "--checks", "all", "--exclude-checks", "positive_data_acceptance", "--suppress-health-check", "all",
                "--no-shrink", "--no-color"];
            let arguments = words.iter().map(|&word| word.to_owned()).collect();
            let variables = vec![("CUSTOMER", ann.to_string()), ("OTHER", ben.to_string())];
            let output = program::schemathesis(env.directory(), arguments, variables).await;
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{role}: {said}{}", String::from_utf8_lossy(&output.stderr));
            assert!(said.contains("passed"), "{role}: {said}");
        }
        let log = office.get(&office.robot(AdminRole::Owner).await, &format!("/audit?customer={ann}&limit=100&looks=true")).await;
        for what in ["customer_get", "customer_links", "customer_timeline"] {
            assert!(log.text.contains(what), "it asked for what is there: {what}");
        }
        invariants::check(env).await;
    }
}
