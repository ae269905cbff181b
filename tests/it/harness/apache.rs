//! A real Apache whose mod_auth_openidc signs customers in and passes their claims to a back end as headers.
//!
//! Its configuration is tests/interop/mod_auth_openidc.conf; Apache itself fills in the variables.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use url::Url;

use super::until;

/// A running Apache, stopped on drop.
pub struct Apache {
    /// Where it answers. What is below `/app` needs a login.
    pub url: Url,
    child: Child,
    directory: PathBuf,
}

/// Where Apache on this port takes callbacks, for the client's registration.
pub fn redirect_uri(port: u16) -> String {
    format!("http://127.0.0.1:{port}/app/callback")
}

impl Apache {
    /// Starts Apache as this client of the issuer, in front of `backend`.
    pub async fn start(directory: &Path, port: u16, issuer: &Url, client: (&str, &str), backend: &Url) -> Apache {
        let directory = directory.join(format!("apache-{port}"));
        std::fs::create_dir(&directory).unwrap();
        let configuration = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/mod_auth_openidc.conf");
        // One process, in the foreground: it dies with the test.
        let child = Command::new("/usr/sbin/apache2")
            .args(["-X", "-f", &configuration.display().to_string()])
            .env("DIRECTORY", &directory)
            .env("PORT", port.to_string())
            .env("ISSUER", issuer.as_str().trim_end_matches('/'))
            .env("CLIENT_ID", client.0)
            .env("CLIENT_SECRET", client.1)
            .env("BACKEND", backend.as_str().trim_end_matches('/'))
            .env("PASSPHRASE", "for this test alone")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("Apache does not start ({error}): run tests/run, which installs it"));
        let url = Url::parse(&format!("http://127.0.0.1:{port}")).unwrap();
        let apache = Apache { url, child, directory };
        until("Apache", async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
        apache
    }

    /// What it logged so far.
    pub fn errors(&self) -> String {
        std::fs::read_to_string(self.directory.join("error.log")).unwrap_or_default()
    }
}

impl Drop for Apache {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
