//! `samesake connector transfer`: moves accounts of a provider to the subjects they have now, line by line of a file.
//!
//! Lines are read one by one, and a hundred of them are one transaction. A line that cannot be carried out is written
//! down with its number and the reason, and the rest goes on. What a line means is decided in `identity::other_names`.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Write};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::cli::ConnectorTransfer;
use crate::clock::{Clock, Timestamp};
use crate::events::Actor;
use crate::identity::namespace::Rules;
use crate::identity::other_names::{self, Transfer, Transferred};
use crate::store::{self, Store};

/// Lines in one transaction.
const BATCH: usize = 100;
/// How often a batch that lost against others is tried again.
const TRIES: usize = 5;
const MAX_LINE_BYTES: usize = 4096;

/// What became of the lines.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    moved: u64,
    awaited: u64,
    already: u64,
    rejected: u64,
}

/// One line that can be read.
struct Line {
    number: u64,
    account: Transfer,
}

/// Runs the command.
///
/// # Errors
/// A wrong configuration, an unknown connector, a file that cannot be read, or any line that was not carried out.
pub(super) async fn run(command: &ConnectorTransfer) -> anyhow::Result<()> {
    let config = command.installation.load()?;
    if !config.connectors.iter().any(|connector| connector.id == command.id) {
        let known: Vec<&str> = config.connectors.iter().map(|connector| connector.id.as_str()).collect();
        bail!("there is no connector `{}`; configured: {}", command.id, known.join(", "));
    }
    let file = File::open(&command.file).with_context(|| format!("{}", command.file.display()))?;
    let rejects: Box<dyn Write> = match &command.rejects {
        Some(path) => Box::new(File::create(path).with_context(|| format!("{}", path.display()))?),
        None => Box::new(std::io::stderr()),
    };
    let store = Store::connect(config.database.url.expose()).await?;
    store.migrate().await?;
    let now = Clock::system().now();
    let mut run = Run {
        store,
        connector: &command.id,
        ends_at: now + command.overlap(),
        rules: Rules::of(&config, now),
        rejects,
        counts: Counts::default(),
    };
    let is_json = command.file.extension().is_some_and(|extension| extension == "jsonl");
    run.file(BufReader::new(file), is_json).await?;
    let Counts { moved, awaited, already, rejected } = run.counts;
    println!("{moved} moved, {awaited} will move at their next login, {already} as they were, {rejected} rejected");
    match rejected {
        0 => Ok(()),
        1 => bail!("1 line was not carried out"),
        lines => bail!("{lines} lines were not carried out"),
    }
}

struct Run<'a> {
    store: Store,
    connector: &'a str,
    ends_at: Timestamp,
    rules: Rules<'a>,
    rejects: Box<dyn Write>,
    counts: Counts,
}

impl Run<'_> {
    async fn file(&mut self, mut lines: impl BufRead, is_json: bool) -> anyhow::Result<()> {
        let mut number = 0;
        let mut columns = None;
        let mut batch = Vec::with_capacity(BATCH);
        while let Some(line) = next_line(&mut lines)? {
            number += 1;
            let line = match line {
                Ok(line) if line.trim().is_empty() => continue,
                Ok(line) => line,
                Err(why) => {
                    self.reject(number, why)?;
                    continue;
                }
            };
            let account = match (&columns, is_json) {
                (_, true) => serde_json::from_str::<Record>(&line).ok().map(Transfer::from),
                (Some(columns), false) => from_csv(columns, &line),
                (None, false) => {
                    columns = Some(
                        Columns::read(&line).context("the first line must name old_sub and new_sub or transfer_sub")?,
                    );
                    continue;
                }
            };
            match account {
                Some(account) => batch.push(Line { number, account }),
                None => self.reject(number, "it cannot be read")?,
            }
            if batch.len() == BATCH {
                self.carry_out(&mut batch).await?;
                if std::io::stderr().is_terminal() {
                    eprint!("\r{number} lines");
                }
            }
        }
        self.carry_out(&mut batch).await
    }

    async fn carry_out(&mut self, batch: &mut Vec<Line>) -> anyhow::Result<()> {
        let mut tries = 1;
        let outcomes = loop {
            match self.transaction(batch).await {
                Err(store::Error::Contention) if tries < TRIES => tries += 1,
                outcomes => break outcomes?,
            }
        };
        for (line, outcome) in batch.drain(..).zip(outcomes) {
            match outcome {
                Transferred::Moved => self.counts.moved += 1,
                Transferred::Awaited => self.counts.awaited += 1,
                Transferred::Already => self.counts.already += 1,
                Transferred::Unknown => self.reject(line.number, "nobody has this old_sub")?,
                Transferred::Taken => self.reject(line.number, "the new subject is another account's")?,
                Transferred::Unfit => self.reject(line.number, "a subject is missing or no subject")?,
            }
        }
        Ok(())
    }

    async fn transaction(&self, batch: &[Line]) -> Result<Vec<Transferred>, store::Error> {
        let actor = Actor::Admin("connector transfer".to_owned());
        let mut tx = self.store.begin().await?;
        let mut outcomes = Vec::with_capacity(batch.len());
        for line in batch {
            let outcome =
                other_names::transfer(&mut tx, self.connector, &line.account, self.ends_at, &actor, self.rules).await?;
            outcomes.push(outcome);
        }
        tx.commit().await?;
        Ok(outcomes)
    }

    fn reject(&mut self, number: u64, why: &str) -> std::io::Result<()> {
        self.counts.rejected += 1;
        // Subjects are personal data: the line is named, not repeated.
        writeln!(self.rejects, "line {number}: {why}")
    }
}

/// The next line without its end; `None` at the end of the file. The inner error is a line that is none of ours.
fn next_line(lines: &mut impl BufRead) -> std::io::Result<Option<Result<String, &'static str>>> {
    let mut bytes = Vec::new();
    let mut too_long = false;
    loop {
        let buffer = lines.fill_buf()?;
        if buffer.is_empty() {
            if bytes.is_empty() && !too_long {
                return Ok(None);
            }
            break;
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(buffer.len(), |end| end + 1);
        too_long |= bytes.len() + taken > MAX_LINE_BYTES;
        if !too_long {
            bytes.extend_from_slice(buffer.get(..taken).unwrap_or_default());
        }
        lines.consume(taken);
        if end.is_some() {
            break;
        }
    }
    if too_long {
        return Ok(Some(Err("it is too long")));
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8");
    Ok(Some(text.map(|text| text.trim_end_matches(['\r', '\n']).trim_start_matches('\u{feff}').to_owned())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    old_sub: String,
    transfer_sub: Option<String>,
    new_sub: Option<String>,
}

impl From<Record> for Transfer {
    fn from(record: Record) -> Self {
        let filled = |subject: Option<String>| subject.filter(|subject| !subject.is_empty());
        Self { old_sub: record.old_sub, transfer_sub: filled(record.transfer_sub), new_sub: filled(record.new_sub) }
    }
}

/// Where the columns are.
#[derive(Debug)]
struct Columns {
    count: usize,
    old_sub: usize,
    transfer_sub: Option<usize>,
    new_sub: Option<usize>,
}

impl Columns {
    fn read(line: &str) -> Option<Self> {
        let names: Vec<String> = fields(line)?;
        let at = |wanted: &str| names.iter().position(|name| name == wanted);
        let columns = Self {
            count: names.len(),
            old_sub: at("old_sub")?,
            transfer_sub: at("transfer_sub"),
            new_sub: at("new_sub"),
        };
        (columns.transfer_sub.is_some() || columns.new_sub.is_some()).then_some(columns)
    }
}

fn from_csv(columns: &Columns, line: &str) -> Option<Transfer> {
    let fields = fields(line).filter(|fields| fields.len() == columns.count)?;
    let filled = |at: Option<usize>| fields.get(at?).filter(|subject| !subject.is_empty()).cloned();
    Some(Transfer {
        old_sub: filled(Some(columns.old_sub))?,
        transfer_sub: filled(columns.transfer_sub),
        new_sub: filled(columns.new_sub),
    })
}

/// The fields of a line of CSV. Subjects hold neither commas nor quotes: a field is bare, or has one around it (RFC 4180
/// §2.5).
fn fields(line: &str) -> Option<Vec<String>> {
    let bare = |field: &str| {
        let field = field.trim();
        let field = field.strip_prefix('"').map_or(Some(field), |rest| rest.strip_suffix('"'))?;
        (!field.contains('"')).then(|| field.to_owned())
    };
    line.split(',').map(bare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_in_any_order_and_quotes_are_taken_off() {
        let columns = Columns::read("new_sub,\"old_sub\",note").unwrap();
        let account = from_csv(&columns, "\"n.1\", o.1 ,x").unwrap();
        assert_eq!((account.old_sub.as_str(), account.new_sub.as_deref()), ("o.1", Some("n.1")));
        for line in ["n,o", "n,o,x,y", "n,,x", "n,\"o,x", "n,o\"o,x"] {
            assert_eq!(from_csv(&columns, line), None, "{line}");
        }
        for header in ["old_sub", "a,b", "new_sub,transfer_sub", ""] {
            assert!(Columns::read(header).is_none(), "{header}");
        }
    }

    #[test]
    fn lines_are_read_one_by_one_whatever_their_length() {
        let long = "x".repeat(MAX_LINE_BYTES * 3);
        let text = format!("\u{feff}a\r\n{long}\n\nb");
        let mut lines = BufReader::with_capacity(7, text.as_bytes());
        let mut read = Vec::new();
        while let Some(line) = next_line(&mut lines).unwrap() {
            read.push(line);
        }
        let texts = ["a", "", "b"].map(|text| Ok(text.to_owned()));
        assert_eq!(read[0], texts[0]);
        assert_eq!(read[1], Err("it is too long"));
        assert_eq!(read[2..], texts[1..]);
    }
}
