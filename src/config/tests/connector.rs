//! Connectors by kind: the keys each has, and what it is where the file does not say.

use std::time::Duration;

use super::{ConnectorAuthMethod, ConnectorConfig, ConnectorKind, EmailTrust};
use crate::config::{BirthdateTrust, BreakerConfig, ImportAction, ImportConfig, ImportRule, ImportUpdate, OnConflict};

const KEYS: &str = "id = \"c\"\nname = \"C\"\nclient_id = \"x\"\n";
const SECRET: &str = "client_secret = \"y\"\n";
const APPLE: &str = "team_id = \"T\"\nkey_id = \"K\"\nprivate_key = \"-----BEGIN PRIVATE KEY-----\"\n";
const ENDPOINTS: &str = "authorization_endpoint = \"https://c.example/a\"\ntoken_endpoint = \"https://c.example/t\"\n\
                         userinfo_endpoint = \"https://c.example/u\"\n";

/// The connector, or the keys that were refused.
fn load(kind: ConnectorKind, more: &str) -> Result<ConnectorConfig, Vec<String>> {
    let own = match kind {
        ConnectorKind::Oidc => format!("{SECRET}issuer = \"https://c.example\"\n"),
        ConnectorKind::OAuth2 => format!("{SECRET}{ENDPOINTS}"),
        ConnectorKind::Apple => APPLE.to_owned(),
        _ => SECRET.to_owned(),
    };
    load_text(&format!("[[connectors]]\nkind = \"{}\"\n{KEYS}{own}{more}", kind.as_str()))
}

fn load_text(text: &str) -> Result<ConnectorConfig, Vec<String>> {
    match super::load(text, &[]) {
        Ok(config) => Ok(config.connectors.into_iter().next().unwrap()),
        Err(problems) => Err(problems.0.into_iter().map(|problem| problem.key).collect()),
    }
}

#[test]
fn each_kind_has_its_own_keys_and_defaults() {
    use ConnectorAuthMethod::{ClientSecretBasic, ClientSecretPost};
    use EmailTrust::{Authoritative, Unverified, Verified};
    for (kind, scopes, trust, auth_method) in [
        (ConnectorKind::Oidc, "openid email profile", Unverified, ClientSecretBasic),
        (ConnectorKind::OAuth2, "", Unverified, ClientSecretBasic),
        (ConnectorKind::Google, "openid email profile", Authoritative, ClientSecretPost),
        (ConnectorKind::Apple, "openid email name", Verified, ClientSecretPost),
        (ConnectorKind::Facebook, "public_profile email", Unverified, ClientSecretPost),
        (ConnectorKind::X, "users.read tweet.read", Unverified, ClientSecretBasic),
        (ConnectorKind::GitHub, "read:user user:email", Verified, ClientSecretPost),
        (ConnectorKind::Microsoft, "openid email profile", Verified, ClientSecretPost),
        (ConnectorKind::LinkedIn, "openid email profile", Verified, ClientSecretPost),
    ] {
        let config = load(kind, "timeout = \"5s\"\n").unwrap();
        assert_eq!((config.kind, config.scopes().join(" ").as_str()), (kind, scopes));
        assert_eq!((config.email_trust(), config.auth_method()), (trust, auth_method), "{kind:?}");
        assert_eq!(config.timeout, Some(std::time::Duration::from_secs(5)));
        let config = load(kind, "scopes = [\"openid\", \"z\"]\nemail_trust = \"unverified\"\n").unwrap();
        assert_eq!((config.scopes().join(" ").as_str(), config.email_trust()), ("openid z", Unverified), "{kind:?}");
    }
    assert_eq!(ConnectorKind::ALL.len(), 9);
}

#[test]
fn keys_of_another_kind_are_refused() {
    for (key, text, kinds) in [
        ("pkce", "pkce = false", "oauth2"),
        ("subject_claim", "subject_claim = \"id\"", "oauth2"),
        ("hosted_domain", "hosted_domain = \"c.example\"", "google"),
        ("tenant", "tenant = \"common\"", "microsoft"),
        ("emails_endpoint", "emails_endpoint = \"https://c.example/e\"", "github"),
        ("userinfo", "userinfo = true", "oidc google microsoft"),
        ("prompt", "prompt = \"login\"", "oidc oauth2 google github microsoft"),
        ("pass_login_hint", "pass_login_hint = true", "oidc oauth2 google github microsoft"),
        ("auth_method", "auth_method = \"client_secret_post\"", "oidc oauth2 google microsoft"),
        ("levels", "levels = [{ acr = \"1\", level = \"gold\" }]", "oidc google apple microsoft"),
        ("native_client_ids", "native_client_ids = [\"com.c.app\"]", "oidc google apple facebook microsoft"),
        ("jwks_uri", "jwks_uri = \"https://c.example/k\"", "facebook"),
        ("business_apps", "business_apps = { 123 = \"c\" }", "facebook"),
        ("store_tokens", "store_tokens = true", "oidc oauth2 google apple facebook x github microsoft linkedin"),
    ] {
        for kind in ConnectorKind::ALL {
            let takes = kinds.split(' ').any(|name| name == kind.as_str());
            let refused = (!takes).then(|| vec![format!("connectors[c].{key}")]);
            assert_eq!(load(kind, text).err(), refused, "{key} {kind:?}");
        }
    }
    assert_eq!(load(ConnectorKind::Apple, SECRET).err(), Some(vec!["connectors[c].client_secret".to_owned()]));
    assert_eq!(load(ConnectorKind::Google, APPLE).err().unwrap().len(), 3);
}

#[test]
fn everything_that_a_kind_lacks_is_said_at_once() {
    let bare = |kind: &str| load_text(&format!("[[connectors]]\nkind = \"{kind}\"\nid = \"c\"\nname = \"C\"\n")).err();
    let keys = |names: &[&str]| Some(names.iter().map(|name| format!("connectors[c].{name}")).collect::<Vec<_>>());
    assert_eq!(bare("oidc"), keys(&["issuer", "client_id", "client_secret"]));
    assert_eq!(bare("apple"), keys(&["client_id", "team_id", "key_id", "private_key"]));
    assert_eq!(bare("github"), keys(&["client_id", "client_secret"]));
    let endpoints = ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "client_id", "client_secret"];
    assert_eq!(bare("oauth2"), keys(&endpoints));
    for (kind, text, key) in [
        (ConnectorKind::Microsoft, "tenant = \"contoso.example\"", "tenant"),
        (ConnectorKind::OAuth2, "claims = { sub = \"id\" }", "claims.sub"),
        (ConnectorKind::Google, "scopes = [\"email\"]", "scopes"),
        (ConnectorKind::Google, "issuer = \"accounts.google.com\"", "issuer"),
        (ConnectorKind::GitHub, "token_endpoint = \"ftp://c.example/t\"", "token_endpoint"),
        (ConnectorKind::X, "timeout = \"1ms\"", "timeout"),
        (ConnectorKind::Google, "native_client_ids = [\"two words\"]", "native_client_ids"),
        (ConnectorKind::Facebook, "jwks_uri = \"ftp://c.example/k\"", "jwks_uri"),
        (ConnectorKind::Facebook, "business_apps = { app = \"c\" }", "business_apps"),
        (ConnectorKind::Facebook, "business_apps = { 123 = \"other\" }", "business_apps.123"),
    ] {
        assert_eq!(load(kind, text).err(), keys(&[key]), "{text}");
    }
    let apple =
        format!("[[connectors]]\nkind = \"apple\"\n{KEYS}team_id = \"T\"\nkey_id = \"K\"\nprivate_key = \"P\"\n");
    assert_eq!(load_text(&apple).err(), keys(&["private_key"]));
}

#[test]
fn what_is_imported_is_an_action_or_a_table_for_each_claim() {
    let text = "[connectors.import]\nupdate = \"never\"\nname = \"force\"\npicture = \"ignore\"\n\
                locale = { action = \"require\", on_conflict = \"replace\" }\n";
    let config = load(ConnectorKind::Google, text).unwrap();
    let rule = |action, on_conflict| ImportRule { action, on_conflict };
    let expected = ImportConfig {
        update: ImportUpdate::Never,
        name: rule(ImportAction::Force, None),
        picture: rule(ImportAction::Ignore, None),
        locale: rule(ImportAction::Require, Some(OnConflict::Replace)),
        ..ImportConfig::default()
    };
    assert_eq!(config.import, expected);
    assert_eq!(config.import.name.forced(), Some(OnConflict::Set), "the default");
    assert_eq!(config.import.given_name.forced(), None, "suggested by default");
    assert_eq!(load(ConnectorKind::Google, "").unwrap().import, ImportConfig::default());
}

#[test]
fn whose_birth_dates_are_verified_is_said_where_birth_dates_come_from() {
    let trust = |kind, value: &str| load(kind, &format!("birthdate_trust = \"{value}\"\n"));
    assert_eq!(load(ConnectorKind::Oidc, "").unwrap().birthdate_trust, BirthdateTrust::Unverified);
    assert_eq!(trust(ConnectorKind::OAuth2, "verified").unwrap().birthdate_trust, BirthdateTrust::Verified);
    let claims = trust(ConnectorKind::Oidc, "verified_claims").unwrap().birthdate_trust;
    assert_eq!(claims, BirthdateTrust::VerifiedClaims);
    for (kind, value) in [
        (ConnectorKind::Oidc, "yes"),
        (ConnectorKind::OAuth2, "verified_claims"),
        (ConnectorKind::Google, "verified"),
        (ConnectorKind::Facebook, "verified_claims"),
    ] {
        assert_eq!(
            trust(kind, value).err(),
            Some(vec!["connectors[c].birthdate_trust".to_owned()]),
            "{kind:?} {value}"
        );
    }
}

#[test]
fn an_import_that_would_not_do_what_it_says_is_refused() {
    for (kind, import, key) in [
        (ConnectorKind::Google, "email = \"force\"", "email"),
        (ConnectorKind::Google, "name = \"always\"", "name"),
        (ConnectorKind::Google, "name = true", "name"),
        (ConnectorKind::Google, "name = { on_conflict = \"set\" }", "name.action"),
        (ConnectorKind::Google, "name = { action = \"force\", on_conflict = \"merge\" }", "name.on_conflict"),
        (ConnectorKind::Google, "name = { action = \"force\", when = \"x\" }", "name.when"),
        (ConnectorKind::Google, "name = { action = \"suggest\", on_conflict = \"fail\" }", "name.on_conflict"),
        (ConnectorKind::Google, "update = true", "update"),
        (ConnectorKind::Apple, "family_name = \"require\"", "family_name"),
    ] {
        let refused = load(kind, &format!("[connectors.import]\n{import}\n")).err();
        assert_eq!(refused, Some(vec![format!("connectors[c].import.{key}")]), "{import}");
    }
    assert!(load(ConnectorKind::Apple, "import = { name = \"force\", picture = \"require\" }").is_ok());
}

#[test]
fn a_level_is_a_word_for_one_of_the_providers() {
    let levels = "levels = [{ acr = \"urn:mfa\", level = \"gold\" }, { amr = \"mfa\", level = \"silver\" }]";
    assert_eq!(load(ConnectorKind::Oidc, levels).unwrap().levels.len(), 2);
    for (level, key) in [
        ("{ level = \"gold\" }", ""),
        ("{ acr = \"a\", amr = \"b\", level = \"gold\" }", ""),
        ("{ acr = \"a\" }", ".level"),
        ("{ acr = \"a\", level = \"gold coin\" }", ".level"),
        ("{ acr = \"a b\", level = \"gold\" }", ".acr"),
        ("{ amr = \"\", level = \"gold\" }", ".amr"),
    ] {
        let refused = load(ConnectorKind::Oidc, &format!("levels = [{level}]")).err();
        assert_eq!(refused, Some(vec![format!("connectors[c].levels[0]{key}")]), "{level}");
    }
}

#[test]
fn a_breaker_opens_at_some_time_and_closes_again() {
    let breaker = |text: &str| load(ConnectorKind::X, &format!("breaker = {{ {text} }}")).map(|config| config.breaker);
    let expected = BreakerConfig { failures: 3, pause: Duration::from_secs(20) };
    assert_eq!(breaker("failures = 3, pause = \"20s\""), Ok(expected));
    assert_eq!(breaker(""), Ok(BreakerConfig { failures: 5, pause: Duration::from_secs(30) }));
    for (text, key) in [("failures = 0", "failures"), ("pause = \"0s\"", "pause"), ("pause = \"1h\"", "pause")] {
        assert_eq!(breaker(text), Err(vec![format!("connectors[c].breaker.{key}")]), "{text}");
    }
}
