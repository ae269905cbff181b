//! The key-value store on Redis: the only file that knows the client.
//!
//! A list of operations is one pipeline of single-key commands, so it needs no transaction. The connection is
//! multiplexed and comes back by itself; while it is away requests fail within seconds instead of piling up. A lost
//! reply is an error: a command that changes something is never sent twice, because nobody knows whether the first
//! one arrived. Only lists that read are repeated.

use std::time::Duration;

use async_trait::async_trait;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{
    Client, Cmd, ErrorKind, IntoConnectionInfo, Pipeline, ProtocolVersion, RedisError, ServerErrorKind, Value,
};

use super::{Backend, Error, Op, Reply, Result, When, whole_millis};

/// Longest wait for a connection, and for a reply. A login page is better refused than late.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
const REPLY_WITHIN: Duration = Duration::from_secs(2);

/// INCR that gives a new counter its lifetime in the same step: apart, a crash in between leaves a counter for ever.
/// What is no counter answers -1; other errors are passed on.
const INCREMENT: &str = "local n = redis.pcall('INCR', KEYS[1]) \
    if type(n) == 'table' then \
      if string.find(n.err, 'not an integer', 1, true) then return -1 end \
      return n \
    end \
    if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end \
    return n";

/// A set whose members each have a time of their own, scored by it. What is over goes when something is added, and the
/// whole goes with the last one.
const ADD_MEMBER: &str = "local time = redis.call('TIME') \
    local now = time[1] * 1000 + math.floor(time[2] / 1000) \
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now) \
    redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1]) \
    if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end \
    return 1";

/// The backend of `Kv::connect`.
pub(super) struct Redis {
    connection: ConnectionManager,
}

impl Redis {
    pub(super) async fn connect(url: &str) -> Result<Self> {
        let mut info = url.into_connection_info().map_err(|_| Error::Url(EXPECTED_URL.to_owned()))?;
        if !url.contains("protocol=") {
            // RESP3 reports a lost connection at once, so that it is back before the next request needs it.
            let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
            info = info.set_redis_settings(settings);
        }
        let client = Client::open(info).map_err(|_| Error::Url(EXPECTED_URL.to_owned()))?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_WITHIN))
            .set_response_timeout(Some(REPLY_WITHIN))
            .set_min_delay(Duration::from_millis(50))
            .set_number_of_retries(1)
            .set_pipeline_buffer_size(1024);
        let connection = ConnectionManager::new_with_config(client, config).await.map_err(|e| explain(&e))?;
        Ok(Self { connection })
    }
}

const EXPECTED_URL: &str = "expected redis://[user:password@]host[:port][/database], or rediss:// for TLS";

#[async_trait]
impl Backend for Redis {
    async fn run(&self, ops: Vec<Op>) -> Result<Vec<Reply>> {
        let mut pipeline = Pipeline::with_capacity(ops.len());
        for op in &ops {
            pipeline.add_command(command(op));
        }
        let only_reads = ops.iter().all(|op| matches!(op, Op::Get { .. } | Op::Members { .. }));
        let mut answer = pipeline.query_async::<Vec<Value>>(&mut self.connection.clone()).await;
        if only_reads && answer.as_ref().is_err_and(RedisError::is_connection_dropped) {
            answer = pipeline.query_async(&mut self.connection.clone()).await;
        }
        let values = answer.map_err(|e| explain(&e))?;
        if values.len() != ops.len() {
            return Err(Error::Answer);
        }
        ops.iter().zip(values).map(|(op, value)| reply(op, value)).collect()
    }

    async fn ping(&self) -> Result<()> {
        Cmd::new().arg("PING").exec_async(&mut self.connection.clone()).await.map_err(|e| explain(&e))
    }
}

fn command(op: &Op) -> Cmd {
    let mut cmd = Cmd::new();
    match op {
        Op::Get { key } => cmd.arg("GET").arg(key),
        Op::Set { key, value, ttl, when } => {
            cmd.arg("SET").arg(key).arg(value.as_slice()).arg("PX").arg(whole_millis(*ttl));
            match when {
                When::Always => &mut cmd,
                When::Absent => cmd.arg("NX"),
                When::Present => cmd.arg("XX"),
            }
        }
        Op::Swap { key, value, ttl } => {
            cmd.arg("SET").arg(key).arg(value.as_slice()).arg("XX").arg("GET").arg("PX").arg(whole_millis(*ttl))
        }
        Op::Take { key } => cmd.arg("GETDEL").arg(key),
        Op::Delete { key } => cmd.arg("DEL").arg(key),
        Op::AddMember { key, member, ttl } => {
            cmd.arg("EVAL").arg(ADD_MEMBER).arg(1).arg(key).arg(member).arg(whole_millis(*ttl))
        }
        Op::Members { key } => cmd.arg("ZRANGE").arg(key).arg(0).arg(-1),
        Op::Increment { key, ttl } => cmd.arg("EVAL").arg(INCREMENT).arg(1).arg(key).arg(whole_millis(*ttl)),
    };
    cmd
}

fn reply(op: &Op, value: Value) -> Result<Reply> {
    match (op, value) {
        (Op::Get { .. } | Op::Swap { .. } | Op::Take { .. }, Value::Nil) => Ok(Reply::Value(None)),
        (Op::Get { .. } | Op::Swap { .. } | Op::Take { .. }, Value::BulkString(bytes)) => Ok(Reply::Value(Some(bytes))),
        (Op::Set { .. }, Value::Okay) => Ok(Reply::Done(true)),
        (Op::Set { .. }, Value::Nil) => Ok(Reply::Done(false)),
        (Op::Delete { .. }, Value::Int(removed)) => Ok(Reply::Done(removed > 0)),
        (Op::AddMember { .. }, Value::Int(_)) => Ok(Reply::Done(true)),
        (Op::Members { .. }, Value::Array(members)) => {
            let text = |member| match member {
                Value::BulkString(bytes) => String::from_utf8(bytes).map_err(|_| Error::Answer),
                _ => Err(Error::Answer),
            };
            members.into_iter().map(text).collect::<Result<_>>().map(Reply::Members)
        }
        (Op::Increment { .. }, Value::Int(count)) => {
            u64::try_from(count).map(Reply::Count).map_err(|_| Error::NotACounter)
        }
        _ => Err(Error::Answer),
    }
}

/// The server's own words may repeat a command's arguments, so only the kind and code of its errors are passed on.
fn explain(error: &RedisError) -> Error {
    if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() {
        return Error::Unavailable(error.to_string());
    }
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown | ServerErrorKind::TryAgain) => {
            Error::Unavailable(error.category().to_owned())
        }
        _ => Error::Refused(match error.code() {
            Some(code) => format!("{} ({code})", error.category()),
            None => error.category().to_owned(),
        }),
    }
}
