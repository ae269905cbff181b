//! A real nginx in front of whatever a test wants in front of: one process, one configuration, one free port.
//!
//! The caller writes the inside of the `server` block; the rest keeps nginx off every path but its own directory.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use url::Url;

use super::{free_port, until};

/// A running nginx, stopped on drop.
pub struct Nginx {
    /// Where it answers.
    pub url: Url,
    child: Child,
    directory: PathBuf,
}

impl Nginx {
    /// Starts nginx in `directory` with these directives inside its one `server`.
    pub async fn start(directory: &Path, server: &str) -> Nginx {
        Self::start_at(free_port(), directory, server).await
    }

    /// The same on a port that somebody had to be told before.
    pub async fn start_at(port: u16, directory: &Path, server: &str) -> Nginx {
        let directory = directory.join(format!("nginx-{port}"));
        std::fs::create_dir(&directory).unwrap();
        let at = directory.display();
        // `master_process off`: a child that dies with the test, and needs no second user when run as root.
        let configuration = format!(
            "daemon off;\nmaster_process off;\npid {at}/pid;\nerror_log {at}/error.log;\nevents {{}}\nhttp {{\n\
             access_log {at}/access.log;\nclient_body_temp_path {at}/body;\nproxy_temp_path {at}/proxy;\n\
             fastcgi_temp_path {at}/fastcgi;\nuwsgi_temp_path {at}/uwsgi;\nscgi_temp_path {at}/scgi;\n\
             server {{\nlisten 127.0.0.1:{port};\n{server}\n}}\n}}\n"
        );
        let file = directory.join("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        // It lives in sbin, which is not on everybody's PATH.
        let program = if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" };
        let child = Command::new(program)
            .args(["-e", "stderr", "-p", &at.to_string(), "-c", &file.display().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|error| panic!("nginx does not start ({error}): run tests/run, which installs it"));
        let url = Url::parse(&format!("http://127.0.0.1:{port}")).unwrap();
        let nginx = Nginx { url, child, directory };
        until("nginx", async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
        nginx
    }

    /// What it complained about so far.
    pub fn errors(&self) -> String {
        std::fs::read_to_string(self.directory.join("error.log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
