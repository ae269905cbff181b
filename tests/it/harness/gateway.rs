//! The program as it is shipped: `samesake serve` as a process of its own, to be killed, to be read the logs of.
//!
//! It runs on the back ends of the test's environment. On SQLite its key-value store is in the process, and gone with
//! it.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use samesake::config::ConnectorConfig;
use samesake::secret::MasterKey;
use url::Url;

use super::browser::http_client;
use super::env::{Env, Pair, redis_url};
use super::{free_port, until};

/// One installation of the program, running or not.
pub struct Gateway {
    pub issuer: Url,
    /// Where this replica listens; of the first one the same as `issuer`.
    pub address: Url,
    config: PathBuf,
    /// Where it writes its log.
    pub log: PathBuf,
    running: Option<Child>,
}

impl Gateway {
    /// Writes a configuration with this and `more` of TOML, and starts the program.
    pub async fn start(env: &Env, more: &str) -> Gateway {
        let mut gateway = Self::configured(env, more).await;
        gateway.restart().await;
        gateway
    }

    /// The same without starting it: for commands that need no gateway.
    pub async fn configured(env: &Env, more: &str) -> Gateway {
        let port = free_port();
        let directory = env.directory();
        let config = directory.join(format!("samesake-{port}.toml"));
        let issuer = Url::parse(&format!("http://127.0.0.1:{port}")).unwrap();
        let redis = match env.pair {
            Pair::SqliteInProcess => String::new(),
            Pair::PostgresRedis => format!("[redis]\nurl = {:?}\nprefix = {:?}\n", redis_url(), env.redis_prefix()),
        };
        let text = format!(
            "unsafe_allow = [\"http_issuer\", \"in_process_state\", \"sqlite\", \"database_plaintext\", \
             \"redis_plaintext\", \"mail_transport\", \"connector_http\", \"loopback_redirect\", \
             \"weak_password_hash\", \"webhook_http\"]\n\
             [server]\nlisten = \"127.0.0.1:{port}\"\nissuer = \"http://127.0.0.1:{port}\"\nshutdown_grace = \"1s\"\n\
             trusted_proxies = [\"127.0.0.0/8\"]\n\
             [database]\nurl = {:?}\n{redis}\
             [secrets]\nmaster_key = {:?}\n\
             [password]\nmemory_kib = 64\niterations = 1\n\
             [mail]\ntransport = \"file\"\ndir = {:?}\n\
             [outbound]\nallow = [\"127.0.0.1\"]\n{more}",
            env.database_url().await,
            MasterKey::generate().to_text().as_str(),
            directory.join("mail").display().to_string(),
        );
        std::fs::write(&config, text).unwrap();
        let log = directory.join(format!("samesake-{port}.log"));
        Gateway { address: issuer.clone(), issuer, config, log, running: None }
    }

    /// Another replica of the same installation, on a port of its own, not yet running.
    pub fn replica(&self) -> Gateway {
        let port = free_port();
        let mut address = self.address.clone();
        let text = std::fs::read_to_string(&self.config).unwrap();
        let own = format!("listen = \"127.0.0.1:{}\"", address.port().unwrap());
        assert!(text.contains(&own), "{text}");
        let (config, log) =
            [".toml", ".log"].map(|kind| self.config.with_file_name(format!("samesake-{port}{kind}"))).into();
        std::fs::write(&config, text.replace(&own, &format!("listen = \"127.0.0.1:{port}\""))).unwrap();
        address.set_port(Some(port)).unwrap();
        Gateway { issuer: self.issuer.clone(), address, config, log, running: None }
    }

    /// Starts it again, and waits until it is ready.
    pub async fn restart(&mut self) {
        self.kill();
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let mut command = self.command(&["serve"]);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.running = Some(command.spawn().unwrap());
        let (http, ready) = (http_client(), self.address.join("/health/ready").unwrap());
        until("the program to be ready", async || {
            let ended = self.running.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "it ended with {ended:?}:\n{}", std::fs::read_to_string(&self.log).unwrap());
            http.get(ready.clone()).send().await.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
    }

    /// Ends it as a power cut would: kill -9.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill().unwrap();
            running.wait().unwrap();
        }
    }

    /// Runs another command of the program on the same installation.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The same, not yet running.
    pub fn prepare(&self, arguments: &[&str]) -> Command {
        self.command(arguments)
    }

    /// Everything it has logged and printed so far, in all its lives.
    pub fn logs(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// The messages it has sent, oldest first, as they would travel.
    pub fn mails(&self) -> Vec<String> {
        let Ok(folder) = std::fs::read_dir(self.config.with_file_name("mail")) else { return Vec::new() };
        let paths = folder.map(|entry| entry.unwrap().path());
        let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|ext| ext == "eml")).collect();
        paths.sort_by_key(|path| std::fs::metadata(path).unwrap().modified().unwrap());
        paths.into_iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
    }

    /// The code in the last message to this address, once it is there.
    pub async fn mailed_code(&self, email: &str) -> String {
        let code = || {
            let mails = self.mails();
            let mail = mails.iter().rev().find(|mail| mail.contains(&format!("To: {email}")))?;
            let (_, text) = mail.split_once("\r\n\r\n")?;
            let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
            words.find(|word| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit())).map(str::to_owned)
        };
        until(&format!("a code mailed to {email}"), async || code().is_some()).await;
        code().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_samesake"));
        command.args(arguments).arg("--config").arg(&self.config).env("RUST_LOG", "info,samesake=trace");
        command
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A provider, as the configuration file spells it.
pub fn connector_toml(connector: &ConnectorConfig) -> String {
    format!(
        "[[connectors]]\nid = {:?}\nname = {:?}\nissuer = {:?}\nclient_id = {:?}\nclient_secret = {:?}\n\
         email_trust = \"verified\"\n",
        connector.id,
        connector.name,
        connector.issuer,
        connector.client_id,
        connector.client_secret.expose(),
    )
}

/// A first-party web client, as the configuration file spells it.
pub fn client_toml(client_id: &str, secret: &str) -> String {
    format!(
        "[[clients]]\nclient_id = {client_id:?}\nclient_name = \"The {client_id}\"\nclient_secret = {secret:?}\n\
         redirect_uris = [\"https://{client_id}.example/callback\"]\n\
         post_logout_redirect_uris = [\"https://{client_id}.example/\"]\n\
         grant_types = [\"authorization_code\", \"refresh_token\"]\nscope = \"openid profile email offline_access\"\n\
         first_party = true\n"
    )
}
