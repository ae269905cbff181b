//! Birth dates that a provider brings: what is one, whose word verifies it, and that two of them keep two people apart
//! (rules 5, 27; OpenID Connect Core §5.1, OpenID Connect for Identity Assurance).

use samesake::config::{BirthdateTrust, ConnectorConfig};
use samesake::ids::CustomerId;
use samesake::protocol::admin_role::AdminRole;
use serde_json::{Value, json};

use super::{gateway, log_in_and_prove, log_in_as, person};
use crate::admin::{Office, assert_good, assert_problem};
use crate::harness::upstream::{Algorithm, Upstream};
use crate::harness::{Env, TestApp, invariants};
use crate::on_both;

const ANN: &str = "ann@shop.example";
const BEN: &str = "ben@shop.example";

async fn provider(env: &Env) -> Upstream {
    Upstream::start_at(env.clock.clone(), Algorithm::Es256).await
}

fn connector(upstream: &Upstream, id: &str, trust: BirthdateTrust, import: Value) -> ConnectorConfig {
    let import = serde_json::from_value(import).unwrap();
    ConnectorConfig { import, birthdate_trust: trust, ..upstream.config(id) }
}

/// What a provider says of somebody.
fn says(upstream: &Upstream, sub: &str, email: &str, more: Value) {
    let mut claims = person(email);
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    upstream.add_person(sub, claims);
}

fn assured(day: &str) -> Value {
    json!({"verification": {"trust_framework": "eidas"}, "claims": {"birthdate": day}})
}

/// The row whose account this is.
async fn row(app: &TestApp, connector: &str, sub: &str) -> (CustomerId, Value) {
    let mut tx = app.store.background().begin_read().await.unwrap();
    let link = tx.links_find(&format!("social:{connector}"), sub).await.unwrap().remove(0);
    let row = tx.customer_find(link.customer).await.unwrap().unwrap();
    (row.id, row.profile)
}

fn told(profile: &Value) -> (Option<&str>, Option<bool>) {
    (profile["birthdate"]["value"].as_str(), profile["birthdate_verified"]["value"].as_bool())
}

on_both! {
    async fn a_birth_date_is_verified_only_where_the_connector_says_so(env: &Env) {
        use BirthdateTrust::{Unverified, Verified, VerifiedClaims};
        let (bank, eid, club) = (provider(env).await, provider(env).await, provider(env).await);
        let (app, rp) = gateway(env, [
            connector(&bank, "bank", Verified, json!({})),
            connector(&eid, "eid", VerifiedClaims, json!({})),
            connector(&club, "club", Unverified, json!({})),
        ]).await;
        let both = json!({"birthdate": "1990-01-01", "verified_claims": [assured("1980-02-03")]});
        let only_plain = json!({"birthdate": "1990-01-01"});
        let none = (None, None);
        for (sub, said, by_bank, by_eid, by_club) in [
            ("both", both, (Some("1990-01-01"), Some(true)), (Some("1980-02-03"), Some(true)), (Some("1990-01-01"), Some(false))),
            ("plain", only_plain, (Some("1990-01-01"), Some(true)), (Some("1990-01-01"), Some(false)), (Some("1990-01-01"), Some(false))),
            // Neither is a day.
            ("year", json!({"birthdate": "1990"}), none, none, none),
            ("kept-back", json!({"birthdate": "0000-02-03"}), none, none, none),
        ] {
            for (upstream, id, expected) in [(&bank, "bank", by_bank), (&eid, "eid", by_eid), (&club, "club", by_club)] {
                says(upstream, sub, &format!("{sub}-{id}@shop.example"), said.clone());
                log_in_as(&rp, upstream, id, sub).await;
                let asked = upstream.last_authorization().get("claims").cloned();
                let wanted = r#"{"id_token":{"verified_claims":{"claims":{"birthdate":null},"verification":{"trust_framework":null}}}}"#;
                assert_eq!(asked.as_deref(), (id == "eid").then_some(wanted));
                assert_eq!(told(&row(&app, id, sub).await.1), expected, "{sub} {id}");
            }
        }
        invariants::check(env).await;
    }

    /// Rule 27: from what two providers said at two logins to the refusal of a merge.
    async fn two_verified_birth_dates_are_two_people(env: &Env) {
        use BirthdateTrust::{Unverified, Verified, VerifiedClaims};
        let (bank, eid, club) = (provider(env).await, provider(env).await, provider(env).await);
        says(&bank, "ann", ANN, json!({"birthdate": "1980-02-03"}));
        says(&eid, "ben", BEN, json!({"verified_claims": assured("1981-02-03")}));
        says(&club, "cid", "cid@shop.example", json!({"birthdate": "1982-02-03"}));
        let app = TestApp::builder(env)
            .web_client("shop")
            .connector(connector(&bank, "bank", Verified, json!({})))
            .connector(connector(&eid, "eid", VerifiedClaims, json!({})))
            .connector(connector(&club, "club", Unverified, json!({})))
            .configure(|config| config.merge.approval_from_risk = 100)
            .start()
            .await;
        let rp = app.relying_party("shop").await;
        for (upstream, id, sub) in [(&bank, "bank", "ann"), (&eid, "eid", "ben"), (&club, "club", "cid")] {
            log_in_as(&rp, upstream, id, sub).await;
        }
        let (ann, ben, cid) = (row(&app, "bank", "ann").await.0, row(&app, "eid", "ben").await.0, row(&app, "club", "cid").await.0);
        let office = Office::of(app).await;
        let token = office.robot(AdminRole::Merger).await;
        let planned = office.ask(&token, "/merges/plan", &json!({"survivor": ann, "absorbed": ben})).await;
        assert_good(&planned);
        assert_eq!(planned.body["refusals"][0]["name"], "two-verified-birth-dates", "{}", planned.text);
        let fields = planned.body["fields"].as_array().unwrap();
        let births = fields.iter().find(|field| field["name"] == "birthdate").unwrap();
        let shown: Vec<_> = births["candidates"].as_array().unwrap().iter().map(|one| (&one["value"], &one["verified"])).collect();
        assert_eq!(shown, [(&json!("1980-02-03"), &json!(true)), (&json!("1981-02-03"), &json!(true))]);
        let wanted = json!({"survivor": ann, "absorbed": ben, "plan_hash": planned.body["hash"], "reason": "they look alike"});
        assert_problem(&office.post(&token, "/merges", "k", &wanted).await, 409, "refused");
        // What somebody typed somewhere keeps nobody apart; the verified one is what counts.
        let planned = office.ask(&token, "/merges/plan", &json!({"survivor": cid, "absorbed": ben})).await;
        assert_eq!(planned.body["refusals"], json!([]), "{}", planned.text);
        let wanted = json!({"survivor": cid, "absorbed": ben, "plan_hash": planned.body["hash"], "reason": "they wrote to us"});
        assert_good(&office.post(&token, "/merges", "l", &wanted).await);
        let planned = office.ask(&token, "/merges/plan", &json!({"survivor": ann, "absorbed": cid})).await;
        assert_eq!(planned.body["refusals"][0]["name"], "two-verified-birth-dates", "after a merge too: {}", planned.text);
        invariants::check(env).await;
    }

    /// A second provider that verifies what the first one only said, and a third that says something else.
    async fn a_verified_birth_date_gives_way_to_a_verified_one_only(env: &Env) {
        use BirthdateTrust::{Unverified, Verified};
        let (club, bank, other) = (provider(env).await, provider(env).await, provider(env).await);
        let replace = json!({"birthdate": {"action": "force", "on_conflict": "replace"}});
        let (app, rp) = gateway(env, [
            connector(&club, "club", Unverified, replace.clone()),
            connector(&bank, "bank", Verified, json!({})),
            connector(&other, "other", Verified, replace),
        ]).await;
        says(&club, "ann", ANN, json!({"birthdate": "1980-02-03"}));
        log_in_as(&rp, &club, "club", "ann").await;
        assert_eq!(told(&row(&app, "club", "ann").await.1), (Some("1980-02-03"), Some(false)));
        says(&bank, "ann", ANN, json!({"birthdate": "1980-02-03"}));
        log_in_and_prove(&app, &rp, &bank, "bank", "ann", ANN).await;
        assert_eq!(told(&row(&app, "bank", "ann").await.1), (Some("1980-02-03"), Some(true)), "now it is verified");
        says(&club, "ann", ANN, json!({"birthdate": "1999-09-09"}));
        let before = invariants::check(env).await.events.len();
        log_in_as(&rp, &club, "club", "ann").await;
        assert_eq!(told(&row(&app, "club", "ann").await.1), (Some("1980-02-03"), Some(true)));
        assert_eq!(invariants::check(env).await.events.len(), before, "nothing changed, and nothing is told");
        says(&other, "ann", ANN, json!({"birthdate": "1980-03-02"}));
        log_in_and_prove(&app, &rp, &other, "other", "ann", ANN).await;
        assert_eq!(told(&row(&app, "other", "ann").await.1), (Some("1980-03-02"), Some(true)), "as configured");
        let graph = invariants::check(env).await;
        let fields = graph.events.iter().filter(|event| event.kind == "profile.updated").map(|event| &event.payload["fields"]);
        assert_eq!(fields.collect::<Vec<_>>(), [&json!(["birthdate"]), &json!(["birthdate"])]);
    }

    /// Neither the claim nor the same among the verified ones, and not beside the link.
    async fn an_ignored_birth_date_is_kept_nowhere(env: &Env) {
        let eid = provider(env).await;
        says(&eid, "ann", ANN, json!({"birthdate": "1980-02-03", "verified_claims": [assured("1980-02-03")]}));
        let (app, rp) =
            gateway(env, [connector(&eid, "eid", BirthdateTrust::VerifiedClaims, json!({"birthdate": "ignore"}))]).await;
        log_in_as(&rp, &eid, "eid", "ann").await;
        assert_eq!(told(&row(&app, "eid", "ann").await.1), (None, None));
        let mut tx = app.store.background().begin_read().await.unwrap();
        let kept = tx.links_find("social:eid", "ann").await.unwrap().remove(0).profile.to_string();
        assert!(!kept.contains("1980") && kept.contains("eidas"), "{kept}");
    }
}
