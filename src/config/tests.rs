//! Tests of loading: what passes, what is refused, and how it is said.

mod connector;
mod namespace;
mod throttle;
mod webhook;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::protocol::client_metadata::{ApplicationType, SubjectType};
use crate::protocol::jwk::SigningAlgorithm;
use crate::secret::random_token;

/// A directory of its own per test, removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("samesake-config-{}", random_token()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let dir = Dir::new();
    let file = dir.write("samesake.toml", text);
    Config::load(Some(&file), variables(environment)).map_err(|errors| named_shortly(errors, &dir))
}

/// Leaves of each file only its name, so that tests can compare lines.
fn named_shortly(errors: ConfigErrors, dir: &Dir) -> ConfigErrors {
    let prefix = format!("{}/", dir.0.display());
    let shorten = |text: String| text.replace(&prefix, "");
    let problems = errors.0.into_iter().map(|problem| Problem {
        file: shorten(problem.file),
        problem: shorten(problem.problem),
        ..problem
    });
    ConfigErrors(problems.collect())
}

fn lines(result: Result<Config, ConfigErrors>) -> Vec<String> {
    result.unwrap_err().to_string().lines().map(str::to_owned).collect()
}

const SECRETS: &[(&str, &str)] = &[
    ("SAMESAKE__DATABASE__URL", "postgres://samesake:hunter2@db.example.internal/samesake?sslmode=verify-full"),
    ("SAMESAKE__REDIS__URL", "rediss://samesake:hunter2@redis.example.internal:6379"),
    ("SAMESAKE__SECRETS__MASTER_KEY", "q1MhRkMtw1ZB9vXyO2pVbJtq8y3kq0nS0m5k3sQbYxE="),
    ("SAMESAKE__MAIL__SMTP_URL", "smtps://samesake:hunter2@mail.example.com"),
    ("SAMESAKE__CLIENTS__SHOP__CLIENT_SECRET", "9s8d7f6g5h4j3k2l1q0w9e8r7t6y5u4i"),
    ("SAMESAKE__CONNECTORS__GOOGLE__CLIENT_SECRET", "GOCSPX-something-google-made"),
    ("SAMESAKE__WEBHOOKS__CRM__SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
];

const WEBHOOK_SECRET: &str = "\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"";

const PRODUCTION: &str = include_str!("../../config/example.production.toml");

#[test]
fn the_embedded_default_passes() {
    let dir = Dir::new();
    let config = Config::embedded_default(&dir.0).unwrap();
    assert_eq!(config.check_production(), []);
    assert_eq!(config.server.issuer_text(), "http://127.0.0.1:8080");
    assert_eq!(config.database.url.expose(), &format!("sqlite://{}/samesake.db", dir.0.display()));
    assert!(config.redis.url.is_none());
    assert!(matches!(&config.mail.transport, MailTransport::File { dir: mails } if *mails == dir.0.join("mail")));
}

#[test]
fn the_embedded_default_makes_its_master_key_once_and_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = Dir::new();
    let data = dir.0.join("deep/data");
    let first = Config::embedded_default(&data).unwrap().secrets.master_key;
    let second = Config::embedded_default(&data).unwrap().secrets.master_key;
    assert!(first.is_some() && first == second);
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(data.join(MASTER_KEY_FILE)), mode(data.clone())), (0o600, 0o700));
    assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "no draft stays behind");
}

#[test]
fn the_embedded_default_stays_on_loopback() {
    let dir = Dir::new();
    for (listen, refused) in [("127.0.0.1:9000", 0), ("[::1]:9000", 0), ("0.0.0.0:9000", 1), ("10.0.0.1:81", 1)] {
        let listen = Override::from_option("--listen", "server", "listen", listen);
        let config = Config::open(None, Some(&dir.0), std::slice::from_ref(&listen)).unwrap();
        assert_eq!(config.check_production().len(), refused, "{listen:?}");
        assert_eq!(config.server.issuer_text(), format!("http://{}", listen.value), "the issuer follows the listener");
    }
}

#[test]
fn example_production_passes_with_secrets_from_the_environment() {
    let config = load(PRODUCTION, SECRETS).unwrap();
    assert_eq!(config.check_production(), []);
    assert_eq!(config.connectors[0].client_secret.expose(), "GOCSPX-something-google-made");
    assert_eq!(config.clients[1].metadata.application_type, ApplicationType::Native);
    assert_eq!(config.destinations[0].subject_type, SubjectType::Pairwise);
    assert_eq!(config.destinations[0].alg, SigningAlgorithm::Es256);
}

#[test]
fn example_production_names_every_secret_file_that_is_missing() {
    let keys: Vec<String> = load(PRODUCTION, &[]).unwrap_err().0.into_iter().map(|problem| problem.key).collect();
    assert_eq!(
        keys,
        [
            "clients[shop].client_secret_file",
            "connectors[google].client_secret_file",
            "webhooks[crm].secret_file",
            "mail.smtp_url_file",
            "database.url_file",
            "redis.url_file",
            "secrets.master_key_file",
        ]
    );
}

#[test]
fn the_configuration_compose_mounts_passes() {
    let config = load(include_str!("../../config/compose.toml"), &[]).unwrap();
    assert_eq!(config.check_production(), []);
}

#[test]
fn ten_mistakes_are_reported_in_one_go_with_file_and_key() {
    let text = r##"
unsafe_allow = ["http_isuer"]

[server]
listen = "nowhere"
isuer = "https://id.example.com"
max_connections = "many"
trusted_proxies = ["10.0.0.0/8", "ten", "10.0.0.1", "eleven"]

[session]
idle = "soon"

[mail]
transport = "pigeon"

[sesion]
idle = "1h"

[[clients]]
client_id = "shop"
client_secret = "s"
redirect_uris = ["https://shop.example.com/cb", "http://shop.example.com/cb#x"]
grant_type = ["authorization_code"]

[[connectors]]
id = "google"
issuer = "accounts.google.com"
client_id = "x"
client_secret = 5
"##;
    let expected = [
        "samesake.toml: server.isuer: is not a known key (did you mean `issuer`?); expected one of ",
        "samesake.toml: server.listen: invalid socket address syntax; expected a value such as \"127.0.0.1:8080\"",
        "samesake.toml: server.max_connections: is text; expected a whole number from 0, such as 10000",
        "samesake.toml: server.trusted_proxies[1]: `ten` is no network; expected an address",
        "samesake.toml: server.trusted_proxies[3]: `eleven` is no network; expected an address",
        "samesake.toml: session.idle: `soon` is no duration; expected a number with a unit, such as ",
        "samesake.toml: mail.transport: `pigeon` is not known; expected one of smtp, file, memory, none",
        "samesake.toml: unsafe_allow[0]: `http_isuer` is not known (did you mean `http_issuer`?); expected one of ",
        "samesake.toml: clients[shop].grant_type: is not a known key (did you mean `grant_types`?); expected one of ",
        "samesake.toml: connectors[google].client_secret: is a whole number; expected text in quotes",
        "samesake.toml: sesion: is not a known section (did you mean `session`?); expected one of ",
        "samesake.toml: clients[shop].redirect_uris[1]: `http://shop.example.com/cb#x` has a fragment; expected ",
        "samesake.toml: connectors[google].name: is missing; expected the text of the button",
        "samesake.toml: connectors[google].issuer: `accounts.google.com` is no issuer; expected an https URL",
    ];
    let mut lines = lines(load(text, &[]));
    for start in expected {
        let at = lines.iter().position(|line| line.starts_with(start));
        let at = at.unwrap_or_else(|| panic!("missing: {start}\nin:\n{}", lines.join("\n")));
        lines.remove(at);
    }
    assert!(lines.is_empty(), "more than was wrong:\n{}", lines.join("\n"));
}

#[test]
fn mistakes_in_the_environment_name_the_variable() {
    let environment = [
        ("SAMESAKE__SERVER__LISTEN", "here"),
        ("SAMESAKE__SERVER__PORT", "80"),
        ("SAMESAKE__PASSWORD__THREADS", "two"),
        ("SAMESAKE__CONNECTORS__GOGLE__CLIENT_SECRET", "x"),
        ("SAMESAKE__CLIENTS", "[]"),
        ("SAMESAKE__DATABASE__URL", "mysql://root:hunter2@db/x"),
        ("HOME", "/root"),
        ("SAMESAKE_CONFIG", "x.toml"),
    ];
    let lines = lines(load("", &environment));
    for start in [
        "environment SAMESAKE__SERVER__LISTEN: server.listen: ",
        "environment SAMESAKE__SERVER__PORT: server.port: is not a known key; ",
        "environment SAMESAKE__PASSWORD__THREADS: password.threads: is text; expected a whole number from 0, such as 2",
        "environment SAMESAKE__CONNECTORS__GOGLE__CLIENT_SECRET: connectors.gogle.client_secret: there is no `gogle`",
        "environment SAMESAKE__CLIENTS: clients: ",
        "environment SAMESAKE__DATABASE__URL: database.url: names no database that is supported; ",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(start)), "missing: {start}\nin:\n{}", lines.join("\n"));
    }
    assert_eq!(lines.len(), 6, "{}", lines.join("\n"));
    assert!(!lines.join("\n").contains("hunter2"), "a secret is never shown");
}

#[test]
fn the_environment_wins_over_the_file_and_has_numbers_flags_and_lists() {
    let text = "[server]\nissuer = \"https://file.example\"\n[password]\nthreads = 3\nqueue = 7\n";
    let environment = [
        ("SAMESAKE__SERVER__ISSUER", "https://environment.example"),
        ("SAMESAKE__SERVER__TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.7"),
        ("SAMESAKE__OUTBOUND__ALLOW", "[\"idp.internal\"]"),
        ("SAMESAKE__PASSWORD__THREADS", "4"),
        ("SAMESAKE__PASSWORD__SIGN_UP", "false"),
        ("SAMESAKE__SESSION__IDLE", "90m"),
        ("SAMESAKE__UNSAFE_ALLOW", "sqlite,http_issuer"),
    ];
    let config = load(text, &environment).unwrap();
    assert_eq!(config.server.issuer_text(), "https://environment.example");
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert_eq!(config.outbound.allow, ["idp.internal"]);
    assert_eq!((config.password.threads, config.password.queue, config.password.sign_up), (4, 7, false));
    assert_eq!(config.session.idle, Duration::from_secs(5400));
    assert_eq!(config.unsafe_allow, [Danger::Sqlite, Danger::HttpIssuer]);
}

#[test]
fn a_secret_from_a_later_layer_replaces_the_file_of_an_earlier_one() {
    let dir = Dir::new();
    dir.write("url", "redis://from-file:6379\n");
    let file = dir.write("samesake.toml", "[redis]\nurl_file = \"url\"\n[database]\nurl_file = \"absent\"\n");
    let environment = [("SAMESAKE__DATABASE__URL", "sqlite://x.db")];
    let config = Config::load(Some(&file), variables(&environment)).unwrap();
    assert_eq!(config.redis.url.as_ref().map(|url| url.expose().as_str()), Some("redis://from-file:6379"));
    assert_eq!(config.database.url.expose(), "sqlite://x.db");

    let url_file = dir.0.join("url").display().to_string();
    let file = dir.write("samesake.toml", "[redis]\nurl = \"redis://from-toml:6379\"\n");
    let config = Config::load(Some(&file), variables(&[("SAMESAKE__REDIS__URL_FILE", &url_file)])).unwrap();
    assert_eq!(config.redis.url.as_ref().map(|url| url.expose().as_str()), Some("redis://from-file:6379"));
}

#[test]
fn a_secret_given_twice_in_one_file_is_refused() {
    let key = "q1MhRkMtw1ZB9vXyO2pVbJtq8y3kq0nS0m5k3sQbYxE=";
    let text = format!("[secrets]\nmaster_key = \"{key}\"\nmaster_key_file = \"x\"\n");
    let lines = lines(load(&text, &[]));
    assert!(lines[0].starts_with("samesake.toml: secrets.master_key_file: is given beside master_key; "), "{lines:?}");
    assert!(!lines.join("").contains(key));
}

#[test]
fn what_is_no_toml_is_refused_with_its_line() {
    let lines = lines(load("[server]\nlisten = \nissuer = https\n", &[]));
    assert!(lines.iter().any(|line| line.starts_with("samesake.toml: line 2, column ")), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("samesake.toml: line 3, column ")), "{lines:?}");
    let missing = Config::load(Some(Path::new("/nowhere/samesake.toml")), []).unwrap_err().to_string();
    assert!(missing.starts_with("/nowhere/samesake.toml: the file itself: cannot be read"), "{missing}");
}

#[test]
fn wrong_values_are_refused_by_their_section() {
    let connector = "[[connectors]]\nid = \"g\"\nname = \"G\"\nissuer = \"https://g.example\"\nclient_id = \"x\"\n\
                     client_secret = \"y\"\n";
    let destination = "[[destinations]]\nid = \"d\"\n";
    let client = "[[clients]]\nclient_id = \"c\"\nclient_secret = \"x\"\nredirect_uris = [\"https://c.example/\"]\n";
    let public = "[[clients]]\nclient_id = \"c\"\ntoken_endpoint_auth_method = \"none\"\n\
                  redirect_uris = [\"https://c.example/\"]\n";
    let exchanging = format!("{client}grant_types = [\"urn:ietf:params:oauth:grant-type:token-exchange\"]\n");
    for (text, key) in [
        ("[server]\nissuer = \"https://id.example.com/path\"".to_owned(), "server.issuer"),
        ("[server]\nissuer = \"ftp://id.example.com\"".to_owned(), "server.issuer"),
        ("[server]\nissuer = \"https://me@id.example.com\"".to_owned(), "server.issuer"),
        ("[server]\nmax_connections = 0".to_owned(), "server.max_connections"),
        ("[server]\nmax_connections = -1".to_owned(), "server.max_connections"),
        ("server = 5".to_owned(), "server"),
        ("[events]\nkeep = \"23h\"".to_owned(), "events.keep"),
        ("[database]\nurl = \"sqlite://\"".to_owned(), "database.url"),
        ("[redis]\nurl = \"http://x\"".to_owned(), "redis.url"),
        ("[redis]\nprefix = \"{a}\"".to_owned(), "redis.prefix"),
        ("[secrets]\nmaster_key = \"short\"".to_owned(), "secrets.master_key"),
        ("[session]\nidle = \"31d\"".to_owned(), "session.idle"),
        ("[tokens]\ncode = \"1h\"".to_owned(), "tokens.code"),
        ("[tokens]\nsigned_identity = \"6m\"".to_owned(), "tokens.signed_identity"),
        ("[tokens]\nrefresh_idle = \"200d\"".to_owned(), "tokens.refresh_idle"),
        ("[keys]\nrotate_after = \"1h\"".to_owned(), "keys.rotate_after"),
        ("[password]\nmin_length = 4".to_owned(), "password.min_length"),
        ("[mail]\ntransport = \"smtp\"".to_owned(), "mail.smtp_url"),
        ("[mail]\nfrom = \"nobody\"".to_owned(), "mail.from"),
        ("[brand]\naccent = \"blue\"".to_owned(), "brand.accent"),
        ("[brand]\nlogo = \"javascript:x\"".to_owned(), "brand.logo"),
        ("[outbound]\nallow = [\"a b\"]".to_owned(), "outbound.allow[0]"),
        ("[log]\nlevel = \"samesake=loud\"".to_owned(), "log.level"),
        ("[log]\nformat = \"xml\"".to_owned(), "log.format"),
        ("clients = 5".to_owned(), "clients"),
        ("clients = [5]".to_owned(), "clients[0]"),
        ("[[clients]]\nclient_secret = \"x\"\nredirect_uris = [\"https://c/\"]".to_owned(), "clients[0].client_id"),
        (format!("{client}{client}"), "clients[1].client_id"),
        (format!("{client}grant_types = []"), "clients[c].grant_types"),
        (format!("{client}grant_types = [\"password\"]"), "clients[c].grant_types[0]"),
        (format!("{client}grant_types = [\"refresh_token\"]"), "clients[c].grant_types"),
        (format!("{client}upstream_tokens = [\"g\"]\n{connector}store_tokens = true"), "clients[c].upstream_tokens"),
        (format!("{exchanging}upstream_tokens = [\"g\"]\n{connector}"), "clients[c].upstream_tokens[0]"),
        (format!("{client}scope = \"openid \\\"x\\\"\""), "clients[c].scope"),
        (format!("{client}logo_uri = \"javascript:x\""), "clients[c].logo_uri"),
        (format!("{client}resources = [\"https://api/#x\"]"), "clients[c].resources[0]"),
        (format!("{client}client_secret_fil = \"x\""), "clients[c].client_secret_fil"),
        ("[[clients]]\nclient_id = \"c\"\nredirect_uris = [\"https://c/\"]".to_owned(), "clients[c].client_secret"),
        ("[[clients]]\nclient_id = \"c\"\nclient_secret = \"x\"".to_owned(), "clients[c].redirect_uris"),
        (format!("{public}client_secret = \"x\""), "clients[c].client_secret"),
        (format!("{public}require_pkce = false"), "clients[c].require_pkce"),
        (format!("{public}grant_types = [\"client_credentials\"]"), "clients[c].grant_types"),
        (format!("{connector}scopes = [\"email\"]"), "connectors[g].scopes"),
        (format!("{connector}email_trust = \"yes\""), "connectors[g].email_trust"),
        (format!("{connector}kind = \"facebok\""), "connectors[g].kind"),
        (format!("{connector}timeout = \"2m\""), "connectors[g].timeout"),
        (format!("{connector}prompt = \"none\""), "connectors[g].prompt"),
        (format!("{connector}{connector}"), "connectors[1].id"),
        (connector.replace("\"g\"", "\"Has Space\""), "connectors[Has Space].id"),
        (format!("{destination}alg = \"PS256\""), "destinations[d].alg"),
        (format!("{destination}alg = \"HS256\""), "destinations[d].alg"),
        (format!("{destination}policy = \"authenticated\""), "destinations[d].origins"),
        (destination.replace("\"d\"", "\"..\""), "destinations[..].id"),
        (format!("{destination}subject_type = \"public\""), "destinations[d].subject_type"),
        (format!("{destination}sector = \"s\"\n{client}sector = \"s\""), "destinations[d].sector"),
        (format!("{destination}origins = [\"https://d.example/x\"]"), "destinations[d].origins[0]"),
        (format!("{destination}origins = [\"http://d.example\"]"), "destinations[d].origins[0]"),
    ] {
        let keys: Vec<String> = match load(&text, &[]) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.0.into_iter().map(|problem| problem.key).collect(),
        };
        assert_eq!(keys, [key], "{text}");
    }
}

#[test]
fn redirect_uris_are_exact_and_lead_to_a_place_the_client_owns() {
    for (uri, application_type, passes) in [
        ("https://shop.example.com/cb?x=1", "web", true),
        ("http://localhost:3000/cb", "web", true),
        ("http://127.0.0.1/cb", "native", true),
        ("http://[::1]:9/cb", "native", true),
        ("com.example.app:/cb", "native", true),
        ("com.example.app:/cb", "web", false),
        ("myapp:/cb", "native", false),
        ("http://shop.example.com/cb", "web", false),
        ("http://localhost.evil.example/cb", "web", false),
        ("https://*.example.com/cb", "web", false),
        ("https://shop.example.com/cb#", "web", false),
        ("https://user@shop.example.com/cb", "web", false),
        ("https:\\\\shop.example.com/cb", "web", false),
        ("https://shop.example.com/a b", "web", false),
        ("/cb", "web", false),
        ("javascript:alert(1)", "native", false),
    ] {
        let text = format!(
            "[[clients]]\nclient_id = \"c\"\nclient_secret = \"x\"\napplication_type = \"{application_type}\"\n\
             redirect_uris = ['{uri}']\n"
        );
        assert_eq!(load(&text, &[]).is_ok(), passes, "{uri} of a {application_type} client");
    }
}

#[test]
fn each_production_refusal_can_be_waived_by_its_name() {
    const NETWORK: &str = "SAMESAKE__DATABASE__URL";
    let cases: &[(Danger, &str, &str)] = &[
        (Danger::HttpIssuer, "SAMESAKE__SERVER__ISSUER", "http://id.example.com"),
        (Danger::InProcessState, "SAMESAKE__REDIS__URL", ""),
        (Danger::Sqlite, NETWORK, "sqlite://x.db"),
        (Danger::DatabasePlaintext, NETWORK, "postgres://db.example.internal/samesake?sslmode=prefer"),
        (Danger::RedisPlaintext, "SAMESAKE__REDIS__URL", "redis://redis.example.internal"),
        (Danger::MasterKey, "SAMESAKE__SECRETS__MASTER_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        (Danger::MailTransport, "SAMESAKE__MAIL__TRANSPORT", "memory"),
        (Danger::MailPlaintext, "SAMESAKE__MAIL__SMTP_URL", "smtp://mail.example.com:25"),
        (Danger::ClientSecret, "SAMESAKE__CLIENTS__SHOP__CLIENT_SECRET", "secret"),
        (Danger::LoopbackRedirect, "SAMESAKE__CLIENTS__SHOP__REDIRECT_URIS", "http://localhost:3000/cb"),
        (Danger::ConnectorHttp, "SAMESAKE__CONNECTORS__GOOGLE__ISSUER", "http://google.example"),
        (Danger::WebhookHttp, "SAMESAKE__WEBHOOKS__CRM__URL", "http://crm.example.com/events"),
        (Danger::TrustedProxies, "SAMESAKE__SERVER__TRUSTED_PROXIES", "0.0.0.0/0"),
        (Danger::OutboundAllow, "SAMESAKE__OUTBOUND__ALLOW", "::/0"),
        (Danger::WeakPasswordHash, "SAMESAKE__PASSWORD__MEMORY_KIB", "64"),
    ];
    let covered: Vec<Danger> = cases.iter().map(|(danger, ..)| *danger).collect();
    assert_eq!(covered, Danger::ALL);
    for (danger, name, value) in cases {
        let mut environment: Vec<_> = SECRETS.iter().filter(|(other, _)| other != name).copied().collect();
        let text = if value.is_empty() {
            PRODUCTION.replace("url_file = \"/run/secrets/redis_url\"", "")
        } else {
            environment.push((name, value));
            PRODUCTION.to_owned()
        };
        let refused = load(&text, &environment).unwrap().check_production();
        assert_eq!(refused.len(), 1, "{danger:?}: {refused:?}");
        let waiver = format!("or \"{}\" in unsafe_allow", danger.as_str());
        assert!(refused[0].expected.ends_with(&waiver), "{}", refused[0]);
        environment.push(("SAMESAKE__UNSAFE_ALLOW", danger.as_str()));
        assert_eq!(load(&text, &environment).unwrap().check_production(), [], "{danger:?} waived");
    }
}

#[test]
fn default_toml_documents_every_waiver_and_every_key() {
    for danger in Danger::ALL {
        assert!(DEFAULT_TOML.contains(&format!("#   {} ", danger.as_str())), "{danger:?}");
    }
    // The commented examples are complete and right: uncommented, they load.
    let example: String = DEFAULT_TOML
        .lines()
        .skip_while(|line| !line.starts_with("# [[clients]]"))
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')))
        .map(|line| line.replace("_file = \"/run/secrets/", " = \"") + "\n")
        .collect();
    let example = example.replace("apple.p8", "-----BEGIN PRIVATE KEY-----").replace("\"webhook\"", WEBHOOK_SECRET);
    let config = load(&example, &[]).unwrap();
    assert_eq!((config.clients.len(), config.destinations.len(), config.webhooks.len()), (1, 1, 1));
    let kinds: Vec<_> = config.connectors.iter().map(|connector| connector.kind).collect();
    assert_eq!(kinds, ConnectorKind::ALL);
    assert_eq!(config.connectors[0].import.picture.forced(), Some(OnConflict::Replace));
}

#[test]
fn client_files_are_read_as_toml_or_json_and_checked() {
    let dir = Dir::new();
    let toml = dir.write("a.toml", "client_id = \"a\"\nredirect_uris = [\"https://a.example/cb\"]\n");
    let json = dir.write("a.json", r#"{"client_id": "a", "redirect_uris": ["https://a.example/cb"]}"#);
    assert_eq!(read_client_file(&toml).unwrap(), read_client_file(&json).unwrap());

    let wrong = dir.write("b.json", r#"{"redirect_uris": ["/cb"], "scope": 5, "clientname": "B"}"#);
    let keys: Vec<String> = read_client_file(&wrong).unwrap_err().0.into_iter().map(|problem| problem.key).collect();
    assert_eq!(keys, ["client.clientname", "client.scope", "client.client_id", "client.redirect_uris[0]"]);
    let broken = dir.write("c.json", "{\n  \"client_id\": }");
    assert!(read_client_file(&broken).unwrap_err().to_string().contains("c.json: line 2, column 16: "));
}

#[test]
fn debug_output_shows_no_secret() {
    let config = load(PRODUCTION, SECRETS).unwrap();
    let text = format!("{config:?}");
    for (name, value) in SECRETS {
        assert!(!text.contains(value), "{name}");
    }
}

#[test]
fn durations_have_one_unit() {
    for (text, millis) in [("500ms", 500), ("60s", 60_000), ("15m", 900_000), ("12h", 43_200_000), ("0s", 0)] {
        let duration = forms::parse_duration(text).unwrap();
        assert_eq!(duration.as_millis(), millis, "{text}");
        assert_eq!(forms::parse_duration(&forms::format_duration(duration)), Some(duration));
    }
    for text in ["", "15", "m", "-1s", "1.5h", "1h30m", "15 m", "1w", "99999999999999999999s", "9999999999999999999d"] {
        assert_eq!(forms::parse_duration(text), None, "{text}");
    }
}

#[test]
fn the_nearest_word_is_a_slip_away() {
    for (word, nearest) in [
        ("isuer", Some("issuer")),
        ("isseur", Some("issuer")),
        ("lisen", Some("listen")),
        ("listen_on", Some("listen")),
        ("port", None),
        ("", None),
    ] {
        assert_eq!(problem::nearest(word, &["issuer", "listen", "request_timeout"]), nearest, "{word}");
    }
}
