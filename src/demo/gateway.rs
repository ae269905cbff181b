//! The gateway of the demonstration: an ordinary one, from a configuration file that anybody can read.
//!
//! The file is written to the data directory and then loaded as `samesake serve --config` would, so that it is an
//! example too, and the other commands work on the running demonstration.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use toml::{Table, Value, toml};

use super::{Credentials, Urls, personalization, provider};
use crate::app::{App, connect};
use crate::clock::Clock;
use crate::config::{Config, MASTER_KEY_FILE, load_or_generate};

const HEAD: &str = "# Written by `samesake demo` at each start: the gateway that it runs. Try it with other commands, such as\n\
                    #   samesake customer show social:chirp:ronja --config THIS_FILE\n\n";

/// The name of the configuration file in the data directory.
const FILE: &str = "demo.toml";

/// Where the configuration file is.
pub(super) fn config_file(data: &Path) -> PathBuf {
    data.join(FILE)
}

/// Writes the configuration, loads it, and builds the application on a migrated database.
pub(super) async fn build(urls: &Urls, credentials: &Credentials, data: &Path, clock: Clock) -> anyhow::Result<App> {
    let file = config_file(data);
    let text = format!("{HEAD}{}", toml::to_string(&configuration(urls, credentials, data)?)?);
    write_private(&file, &text).with_context(|| format!("{} cannot be written", file.display()))?;
    load_or_generate(data).context("the master key cannot be kept")?;
    let config = Config::load_with(Some(&file), &[])?;
    let (store, kv) = connect(&config, &clock).await?;
    Ok(App::build(config, clock, store, kv).await?)
}

/// It holds client secrets.
fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    let mut open = OpenOptions::new();
    open.write(true).create(true).truncate(true).mode(0o600).open(file)?.write_all(text.as_bytes())
}

fn configuration(urls: &Urls, credentials: &Credentials, data: &Path) -> anyhow::Result<Table> {
    let data = data.to_str().context("the data directory's path is not UTF-8")?;
    let (gateway, database) = (urls.gateway.as_str(), format!("sqlite://{data}/samesake.db"));
    let listen = gateway.trim_start_matches("http://");
    let mut table = toml! {
        // Fit for loopback only, and said so.
        unsafe_allow = ["http_issuer", "in_process_state", "sqlite", "loopback_redirect", "mail_transport", "connector_http"]

        [server]
        // The personalization page stands behind a proxy on this machine.
        trusted_proxies = ["127.0.0.1/32"]
        shutdown_grace = "2s"

        [mail]
        transport = "memory"
        from = "Fernweh <no-reply@fernweh.example>"

        [brand]
        name = "Fernweh"
        accent = "#1f5a43"

        [outbound]
        allow = ["127.0.0.1"]

        [log]
        level = "warn"
    };
    set(&mut table, "server", [("listen", listen), ("issuer", gateway)]);
    set(&mut table, "database", [("url", database.as_str())]);
    set(&mut table, "secrets", [("master_key_file", MASTER_KEY_FILE)]);
    let clients = vec![shop(urls, credentials), magazine(urls, credentials)];
    table.insert("clients".to_owned(), Value::Array(clients));
    table.insert("connectors".to_owned(), Value::Array(vec![connector(urls, credentials)]));
    table.insert("destinations".to_owned(), Value::Array(vec![destination(urls)]));
    Ok(table)
}

fn set<const N: usize>(table: &mut Table, section: &str, values: [(&str, &str); N]) {
    let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(section) = section {
        section.extend(values.map(|(name, value)| (name.to_owned(), Value::from(value))));
    }
}

fn shop(urls: &Urls, credentials: &Credentials) -> Value {
    let mut client = app("shop", "Fernweh Outfitters", &urls.shop, &credentials.shop);
    client.insert("scope".to_owned(), "openid profile email orders".into());
    client.insert("resources".to_owned(), vec![urls.back_end.clone(), urls.gateway.clone()].into());
    Value::Table(client)
}

fn magazine(urls: &Urls, credentials: &Credentials) -> Value {
    let mut client = app("magazine", "Fernweh Magazine", &urls.second, &credentials.second);
    client.insert("scope".to_owned(), "openid profile email".into());
    client.insert("id_token_signed_response_alg".to_owned(), "ES256".into());
    Value::Table(client)
}

/// A confidential client of the company's own: no consent page.
fn app(id: &str, name: &str, home: &str, client_secret: &str) -> Table {
    Table::from_iter([
        ("client_id".to_owned(), id.into()),
        ("client_name".to_owned(), name.into()),
        ("client_secret".to_owned(), client_secret.into()),
        ("client_uri".to_owned(), format!("{home}/").into()),
        ("redirect_uris".to_owned(), vec![format!("{home}/callback")].into()),
        ("post_logout_redirect_uris".to_owned(), vec![format!("{home}/signed-out")].into()),
        ("first_party".to_owned(), true.into()),
    ])
}

fn connector(urls: &Urls, credentials: &Credentials) -> Value {
    Value::Table(Table::from_iter([
        ("id".to_owned(), provider::CONNECTOR.into()),
        ("name".to_owned(), "Chirp".into()),
        ("issuer".to_owned(), urls.provider.as_str().into()),
        ("client_id".to_owned(), provider::CLIENT_ID.into()),
        ("client_secret".to_owned(), credentials.provider.as_str().into()),
        ("email_trust".to_owned(), "verified".into()),
    ]))
}

fn destination(urls: &Urls) -> Value {
    Value::Table(Table::from_iter([
        ("id".to_owned(), personalization::AUDIENCE.into()),
        ("name".to_owned(), "Personalization".into()),
        ("origins".to_owned(), vec![urls.personalization.clone()].into()),
        ("policy".to_owned(), "observe".into()),
    ]))
}
