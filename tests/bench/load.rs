//! Load on the gateway: every worker repeats an operation until the time is up.

use std::time::{Duration, Instant};

use crate::gateway::Gateway;
use crate::operations::{Operation, Worker};

/// What one operation came to.
pub struct Measured {
    pub operations: usize,
    pub wall: Duration,
    /// CPU-seconds.
    pub gateway: f64,
    pub postgres: f64,
    pub redis: f64,
    /// Of each operation, the shortest first.
    latencies: Vec<Duration>,
}

impl Measured {
    /// The latency that this share of the operations stayed below.
    pub fn quantile(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies[((last as f64) * share).round() as usize]
    }
}

/// Runs an operation for so long, after a fifth of it to warm up.
pub async fn run(gateway: &Gateway, workers: &[Worker], operation: Operation, duration: Duration) -> Measured {
    together(workers, operation, duration / 5).await;
    let before = used(gateway);
    let began = Instant::now();
    let mut latencies = together(workers, operation, duration).await;
    let wall = began.elapsed();
    let after = used(gateway);
    latencies.sort_unstable();
    let [gateway, postgres, redis] = [0, 1, 2].map(|server| after[server] - before[server]);
    Measured { operations: latencies.len(), wall, gateway, postgres, redis, latencies }
}

fn used(gateway: &Gateway) -> [f64; 3] {
    [gateway.cpu.seconds(), gateway.postgres.seconds(), gateway.redis.seconds()]
}

async fn together(workers: &[Worker], operation: Operation, duration: Duration) -> Vec<Duration> {
    let until = Instant::now() + duration;
    let tasks: Vec<_> = workers.iter().map(|worker| tokio::spawn(repeat(worker.clone(), operation, until))).collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.unwrap());
    }
    latencies
}

async fn repeat(worker: Worker, operation: Operation, until: Instant) -> Vec<Duration> {
    let mut latencies = Vec::new();
    while Instant::now() < until {
        let began = Instant::now();
        worker.perform(operation).await;
        latencies.push(began.elapsed());
    }
    latencies
}
