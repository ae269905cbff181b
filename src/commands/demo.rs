//! `samesake demo`: everything to try the gateway with, on loopback, until it is told to stop.

use std::io::{self, IsTerminal as _, Write as _};

use crate::cli;
use crate::config::{LogConfig, LogFormat};
use crate::demo::{Colors, Demo, Options};
use crate::{serve, telemetry};

/// Runs the demonstration.
///
/// # Errors
/// If a port is taken, or the data directory cannot be used.
pub(super) async fn run(command: &cli::Demo) -> anyhow::Result<()> {
    // Quiet: what is printed is the guide.
    telemetry::init(&LogConfig { format: LogFormat::Text, level: "warn".to_owned() })?;
    let options = Options { port_base: command.port_base, data_dir: command.data_dir.clone() };
    // Waited for from the beginning, so that nothing is left behind by a Ctrl-C during the start.
    let mut stop = Box::pin(serve::signal());
    let demo = tokio::select! {
        demo = Demo::start(options) => demo?,
        () = &mut stop => return Ok(()),
    };
    let colors = match io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        true => Colors::Ansi,
        false => Colors::Plain,
    };
    io::stdout().write_all(demo.guide(colors).as_bytes())?;
    io::stdout().flush()?;
    demo.run_until(stop).await
}
