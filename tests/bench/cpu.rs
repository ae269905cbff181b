//! What processes have used so far, as Linux tells it in /proc.

use std::path::Path;
use std::process::Command;

/// The processes of one server on this machine.
pub struct Processes {
    pid: u32,
    /// Whether it serves each connection by a process of its own, as Postgres does.
    forks: bool,
}

/// The fields of /proc/PID/stat that are wanted here.
struct Stat {
    parent: u32,
    /// Of the process itself, in clock ticks.
    own: u64,
    /// Of its children that have ended.
    reaped: u64,
}

impl Processes {
    /// A server that is one process.
    pub fn of(pid: u32) -> Self {
        Self { pid, forks: false }
    }

    /// Redis, by what it says of itself.
    pub async fn of_redis(url: &str) -> Self {
        let client = redis::Client::open(url).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let said: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await.unwrap();
        let pid = said.lines().find_map(|line| line.strip_prefix("process_id:")).unwrap();
        Self::of(pid.trim().parse().unwrap())
    }

    /// Postgres: the parent of whoever serves a connection, and all its children.
    pub async fn of_postgres(url: &str) -> Self {
        use sqlx::Connection;
        let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
        let (backend,): (i32,) = sqlx::query_as("SELECT pg_backend_pid()").fetch_one(&mut connection).await.unwrap();
        let stat = stat(u32::try_from(backend).unwrap()).expect_local("Postgres");
        Self { pid: stat.parent, forks: true }
    }

    /// CPU-seconds used so far, in user and system mode.
    pub fn seconds(&self) -> f64 {
        let own = stat(self.pid).expect_local("the server");
        let mut ticks = own.own;
        if self.forks {
            ticks += own.reaped;
            ticks += all().filter_map(stat).filter(|stat| stat.parent == self.pid).map(|stat| stat.own).sum::<u64>();
        }
        ticks as f64 / ticks_per_second()
    }

    /// Resident memory in MiB.
    pub fn resident(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }
}

trait Local {
    fn expect_local(self, what: &str) -> Stat;
}

impl Local for Option<Stat> {
    fn expect_local(self, what: &str) -> Stat {
        self.unwrap_or_else(|| panic!("{what} does not run on this machine, so its CPU time cannot be read"))
    }
}

fn all() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir(Path::new("/proc")).unwrap();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// `None` if there is no such process, or no more.
fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(number(1)?).ok()?,
        own: number(11)? + number(12)?,
        reaped: number(13)? + number(14)?,
    })
}

fn ticks_per_second() -> f64 {
    let output = Command::new("getconf").arg("CLK_TCK").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}
