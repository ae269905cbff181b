//! The outcome as Markdown.

use std::time::Duration;

use crate::gateway::{Embedded, Gateway};
use crate::load::Measured;
use crate::operations::Operation;

/// What the numbers were measured on.
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown processor", |(_, model)| model);
    let count = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = read("/proc/sys/kernel/osrelease");
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    format!("{count} x {model}, Linux {}, {profile} build\n", kernel.trim())
}

/// A row for each operation. What Postgres and Redis used stands beside what the gateway used.
pub fn table(rows: &[(Operation, Measured)]) -> String {
    let mut table = String::from(
        "| Operation | operations | seconds | gateway CPU-s | per gateway CPU-s | Postgres CPU-s | Redis CPU-s | p50 | p99 |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for (operation, measured) in rows {
        table.push_str(&format!(
            "| {} | {} | {:.1} | {:.2} | {:.0} | {:.2} | {:.2} | {} | {} |\n",
            operation.name(),
            measured.operations,
            measured.wall.as_secs_f64(),
            measured.gateway,
            measured.operations as f64 / measured.gateway.max(0.01),
            measured.postgres,
            measured.redis,
            milliseconds(measured.quantile(0.5)),
            milliseconds(measured.quantile(0.99)),
        ));
    }
    table
}

/// Memory, and the time from starting the program to its first answer.
pub fn memory(gateway: &Gateway, embedded: &Embedded) -> String {
    format!(
        "| | |\n|---|---:|\n\
         | embedded default, first start to ready | {} |\n\
         | embedded default, next start to ready | {} |\n\
         | embedded default, resident when ready | {:.1} MiB |\n\
         | the gateway above, resident after the load | {:.1} MiB |\n",
        milliseconds(embedded.first_start),
        milliseconds(embedded.next_start),
        embedded.resident,
        gateway.cpu.resident(),
    )
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}
