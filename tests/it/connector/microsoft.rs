//! Microsoft: tenants, subjects of two parts, and addresses that only `xms_edov` verifies.

use serde_json::{Value, json};

use super::{Login, invalid, provider_error, signs_in_and_returns};
use crate::harness::Env;
use crate::harness::providers::microsoft::{CONSUMERS, Microsoft};
use crate::on_both;

const CONTOSO: &str = "6b1a2c3d-0000-4000-8000-00000000c0de";
const FABRIKAM: &str = "6b1a2c3d-0000-4000-8000-00000000fab0";
const OID: &str = "00000000-0000-0000-66f3-3332eca7ea81";

fn account(tid: &str, more: Value) -> Value {
    let mut account = json!({
        "tid": tid, "oid": OID, "name": "Ada Byron", "preferred_username": "ada@contoso.example",
        "email": "ada@contoso.example",
    });
    account.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    account
}

on_both! {
    async fn a_microsoft_customer_signs_in_and_returns(env: &Env) {
        let microsoft = Microsoft::start().await;
        microsoft.stand.log_in_as(account(CONTOSO, json!({})));
        let subject = format!("{CONTOSO}.{OID}");
        let userinfo = signs_in_and_returns(env, microsoft.config("common"), &subject).await;
        assert_eq!(userinfo["name"], "Ada Byron");
        assert_eq!((&userinfo["email"], &userinfo["email_verified"]), (&json!("ada@contoso.example"), &json!(false)));
    }
}

#[tokio::test]
async fn each_setting_lets_in_its_own_tenants_only() {
    let microsoft = Microsoft::start().await;
    let wrong_tenant = Some(invalid("the ID token is from another issuer"));
    let personal = Some(invalid("the account is a personal one"));
    for (setting, tid, refused) in [
        ("common", CONTOSO, None),
        ("common", FABRIKAM, None),
        ("common", CONSUMERS, None),
        ("organizations", CONTOSO, None),
        ("organizations", CONSUMERS, personal),
        ("consumers", CONSUMERS, None),
        ("consumers", CONTOSO, wrong_tenant.clone()),
        (CONTOSO, CONTOSO, None),
        (CONTOSO, FABRIKAM, wrong_tenant),
    ] {
        microsoft.stand.log_in_as(account(tid, json!({})));
        let outcome = Login::with(microsoft.config(setting)).run().await;
        assert_eq!(outcome.as_ref().err(), refused.as_ref(), "{setting} {tid}");
        if let Ok(identity) = outcome {
            assert_eq!(identity.subject, format!("{tid}.{OID}"));
        }
    }
}

/// One key set serves every tenant, so a token's issuer and tenant must fit, or one tenant could speak for another.
#[tokio::test]
async fn an_issuer_and_a_tenant_that_do_not_fit_are_refused() {
    let microsoft = Microsoft::start().await;
    let base = microsoft.stand.desk.base.clone();
    let login = Login::with(microsoft.config("common"));
    let issuer = invalid("the ID token is from another issuer");
    let tenant = invalid("the ID token names no tenant");
    let object = invalid("the ID token has no object ID: the scope profile is needed");
    for (changes, expected) in [
        (json!({"iss": format!("{base}/{FABRIKAM}/v2.0")}), issuer.clone()),
        (json!({"iss": format!("{base}/{{tenantid}}/v2.0")}), issuer.clone()),
        (json!({"iss": format!("https://evil.example/{CONTOSO}/v2.0")}), issuer),
        (json!({"tid": "{tenantid}"}), tenant.clone()),
        (json!({"tid": "../x"}), tenant.clone()),
        (json!({"tid": null}), tenant),
        (json!({"oid": null}), object.clone()),
        (json!({"oid": ""}), object),
    ] {
        microsoft.stand.log_in_as(account(CONTOSO, changes.clone()));
        assert_eq!(login.run().await.err(), Some(expected), "{changes}");
    }
}

/// An administrator types whatever address he likes (spec/identity.md rule 8).
#[tokio::test]
async fn an_address_is_verified_by_xms_edov_only() {
    let microsoft = Microsoft::start().await;
    let login = Login::with(microsoft.config("common"));
    for (said, verified) in [
        (json!({}), false),
        (json!({"email_verified": true}), false),
        (json!({"xms_edov": true}), true),
        (json!({"xms_edov": 1}), true),
        (json!({"xms_edov": "1"}), true),
        (json!({"xms_edov": "true"}), true),
        (json!({"xms_edov": false, "email_verified": true}), false),
        (json!({"xms_edov": "0"}), false),
    ] {
        microsoft.stand.log_in_as(account(CONTOSO, said.clone()));
        let identity = login.run().await.unwrap();
        assert_eq!((identity.email.is_some(), identity.email_verified), (true, verified), "{said}");
    }
}

#[tokio::test]
async fn a_wrong_secret_is_named_as_such() {
    let microsoft = Microsoft::start().await;
    microsoft.stand.log_in_as(account(CONTOSO, json!({})));
    let mut config = microsoft.config("common");
    config.client_secret = samesake::secret::Secret::new("wrong".to_owned());
    assert_eq!(Login::with(config).run().await.err(), Some(provider_error("invalid_client")));
}
