//! Every operation and every role: each operation asks for the role that its row of the table names, and no less.

use reqwest::Method;
use samesake::board::role::may;
use samesake::http::admin_api::{Access, Operation, operations};
use samesake::protocol::admin_role::AdminRole;

use super::{Office, assert_problem};
use crate::harness::Env;
use crate::harness::relying_party::answer;
use crate::on_both;

/// The path with something that has the form of each variable and is nobody's.
fn filled(operation: &Operation) -> String {
    let nobody = "019a0000-0000-7000-8000-000000000000";
    let parts = operation.path.split('/').map(|part| if part.starts_with('{') { nobody } else { part });
    parts.collect::<Vec<_>>().join("/")
}

on_both! {
    async fn every_operation_asks_for_its_role(env: &Env) {
        let office = Office::start(env).await;
        let mut tokens = Vec::new();
        for role in AdminRole::ALL {
            tokens.push((Some(role), office.robot(role).await));
        }
        let nobody = office.token_of("robot-nobody", &[]).await.body["access_token"].as_str().unwrap().to_owned();
        tokens.push((None, nobody));
        let (mut refused, mut let_in) = (0, 0);
        for operation in operations() {
            let Access::Needs(act) = operation.access else { continue };
            for (role, token) in &tokens {
                let method = Method::from_bytes(operation.method.as_str().as_bytes()).unwrap();
                let request = office.request(method, &filled(operation)).bearer_auth(token);
                let answer = answer(request).await;
                if role.is_some_and(|role| may(role, act)) {
                    assert!(![401, 403, 405, 500].contains(&answer.status.as_u16()), "{} {role:?}: {}", operation.id, answer.text);
                    let_in += 1;
                } else {
                    assert_problem(&answer, 403, "role-too-low");
                    assert_eq!(answer.body["needs"], act.needs().as_str(), "{} {role:?}", operation.id);
                    refused += 1;
                }
            }
        }
        assert!(refused > 10 && let_in > 10, "{refused} and {let_in}");
    }
}
