//! `rows`: fills a peer with the rows that SQL is measured on, and writes the same rows for another database.
//!
//! Task `i` is the same in every run with the same `--from`: namespace, due time within a year, metadata and payload follow from `i`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use z4_proto::collection_client::CollectionClient;
use z4_proto::{CreateTaskRequest, CreateTasksRequest};

use crate::bench::Bench;
use crate::cli::Common;
use crate::clock;
use crate::error::{Error, Result};
use crate::report::Report;
use crate::wire;
use crate::workload::scatter;

const DAY_MS: i64 = 24 * 3_600 * 1_000;
const YEAR_MS: u64 = 365 * DAY_MS as u64;
const CHANNELS: [&str; 4] = ["mail", "sms", "push", "hook"];

/// Options of `rows`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Tasks
    #[arg(long, default_value_t = 5_000_000)]
    pub tasks: u64,
    /// Namespaces: tenant-0000, tenant-0001, and so on
    #[arg(long, default_value_t = 1_000)]
    pub namespaces: u64,
    /// Bytes of payload; the metadata takes about 50 more
    #[arg(long, default_value_t = 200)]
    pub payload: usize,
    /// The first due time in milliseconds since 1970; the tasks are due within a year from it. 0: the next midnight but one, UTC
    #[arg(long, default_value_t = 0)]
    pub from: i64,
    /// Writes the rows here, too, as tab-separated values: namespace, state, due in ms, metadata, payload in hexadecimal
    #[arg(long, value_name = "FILE")]
    pub tsv: Option<PathBuf>,
    /// Batches in flight
    #[arg(long, default_value_t = 16)]
    pub in_flight: usize,
}

/// What task `i` is like.
#[derive(Clone, Copy, Debug)]
struct Rows {
    namespaces: u64,
    payload: usize,
    from_ms: i64,
}

impl Rows {
    fn namespace(&self, i: u64) -> String {
        format!("tenant-{:04}", i % self.namespaces)
    }

    fn due_ms(&self, i: u64) -> i64 {
        self.from_ms + scatter(i, YEAR_MS) as i64
    }

    fn user(i: u64) -> String {
        format!("user{:06}@example.com", scatter(i ^ 0x5A5A, 1_000_000))
    }

    fn channel(i: u64) -> &'static str {
        CHANNELS[scatter(i ^ 0xC3C3, 4) as usize]
    }

    fn payload(&self, i: u64) -> Vec<u8> {
        (0..self.payload as u64).map(|at| b' ' + ((at * 31 + i * 7) % 95) as u8).collect()
    }

    fn request(&self, i: u64) -> CreateTaskRequest {
        let pairs = [("channel", Rows::channel(i).to_owned()), ("user_id", Rows::user(i))];
        CreateTaskRequest {
            namespace: self.namespace(i),
            metadata: pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            payload: self.payload(i).into(),
            deliver_at: Some(wire::timestamp(self.due_ms(i))),
            ..CreateTaskRequest::default()
        }
    }

    fn line(&self, i: u64, out: &mut impl Write) -> std::io::Result<()> {
        let (namespace, due_ms) = (self.namespace(i), self.due_ms(i));
        let metadata = format!(r#"{{"channel": "{}", "user_id": "{}"}}"#, Rows::channel(i), Rows::user(i));
        write!(out, "{namespace}\tscheduled\t{due_ms}\t{metadata}\t")?;
        for byte in self.payload(i) {
            write!(out, "{byte:02X}")?;
        }
        writeln!(out)
    }

    /// The tasks of one call: `size` of them of one namespace, so that they are one command.
    fn batch(&self, number: u64, size: u64, tasks: u64) -> CreateTasksRequest {
        let (namespace, part) = (number % self.namespaces, number / self.namespaces);
        let of_namespace = (part * size..(part + 1) * size).map(|n| n * self.namespaces + namespace);
        CreateTasksRequest { tasks: of_namespace.filter(|i| *i < tasks).map(|i| self.request(i)).collect() }
    }
}

/// Tasks in one call.
const BATCH: u64 = 250;

/// Runs it.
pub async fn run(common: &Common, options: &Options) -> Result<Report> {
    let from_ms = match options.from {
        0 => (clock::wall_millis() / DAY_MS + 2) * DAY_MS,
        from => from,
    };
    let rows = Rows { namespaces: options.namespaces.max(1), payload: options.payload, from_ms };
    if let Some(path) = &options.tsv {
        write_tsv(&rows, options.tasks, path).map_err(Error::io(format!("cannot write {}", path.display())))?;
    }
    let bench = Bench::open(common).await?;
    let meter = bench.meter()?;
    let per_namespace = options.tasks.div_ceil(rows.namespaces);
    let batches = per_namespace.div_ceil(BATCH) * rows.namespaces;
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for index in 0..options.in_flight.max(1) {
        let (client, next, tasks) = (CollectionClient::new(bench.channel(index).clone()), next.clone(), options.tasks);
        workers.spawn(async move { fill(client, &rows, &next, batches, tasks).await });
    }
    while let Some(worker) = workers.join_next().await {
        worker.map_err(|e| Error::Input(format!("a worker failed: {e}")))??;
    }
    let cost = bench.cost(&meter)?;
    let report = Report {
        name: "rows",
        setup: format!(
            "{} tasks in {} namespaces due within a year from {from_ms}, {} bytes of payload",
            options.tasks, rows.namespaces, options.payload
        ),
        tasks: options.tasks,
        seconds: cost.seconds,
        raw: Some(bench.raw().clone()),
        cost: Some(cost),
        ..Report::default()
    };
    bench.close().await?;
    Ok(report)
}

type Client = CollectionClient<tonic::transport::Channel>;

async fn fill(mut client: Client, rows: &Rows, next: &AtomicU64, batches: u64, tasks: u64) -> Result<()> {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= batches {
            return Ok(());
        }
        let batch = rows.batch(number, BATCH, tasks);
        if batch.tasks.is_empty() {
            continue;
        }
        loop {
            let reply = client.create_tasks(batch.clone()).await.map_err(Error::call("CreateTasks"))?.into_inner();
            match reply.results.iter().find(|result| result.status != 0) {
                None => break,
                // A batch is one command: all of it was refused, or nothing.
                Some(refused) if refused.status == tonic::Code::ResourceExhausted as u32 => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Some(refused) => return Err(Error::Input(format!("a task was refused: {}", refused.message))),
            }
        }
    }
}

fn write_tsv(rows: &Rows, tasks: u64, path: &std::path::Path) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    (0..tasks).try_for_each(|i| rows.line(i, &mut out))?;
    out.flush()
}

#[cfg(test)]
mod tests {
    //! Were a task left out, or made twice, the two databases would be asked about different rows.
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn batches_hold_every_task_once_and_one_namespace_each() {
        let rows = Rows { namespaces: 7, payload: 3, from_ms: 0 };
        let tasks: u64 = 10_007;
        let mut seen = BTreeMap::new();
        for number in 0..tasks.div_ceil(7).div_ceil(BATCH) * 7 {
            let batch = rows.batch(number, BATCH, tasks);
            assert!(batch.tasks.windows(2).all(|pair| pair[0].namespace == pair[1].namespace));
            for task in batch.tasks {
                let due = wire::micros(&task.deliver_at.expect("a due time")) / 1_000;
                *seen.entry((task.namespace, due, task.metadata["user_id"].clone())).or_insert(0) += 1;
            }
        }
        let wanted: BTreeMap<_, _> = (0..tasks).map(|i| ((rows.namespace(i), rows.due_ms(i), Rows::user(i)), 1)).collect();
        assert_eq!(seen, wanted);
    }

    #[test]
    fn a_line_says_what_the_task_is() {
        let rows = Rows { namespaces: 10, payload: 2, from_ms: 5_000 };
        let mut line = Vec::new();
        rows.line(3, &mut line).expect("memory");
        let line = String::from_utf8(line).expect("text");
        let fields: Vec<&str> = line.trim_end().split('\t').collect();
        assert_eq!(fields[..2], ["tenant-0003", "scheduled"]);
        assert_eq!(fields[2], rows.due_ms(3).to_string());
        assert!(serde_json::from_str::<serde_json::Value>(fields[3]).is_ok());
        assert_eq!(fields[4].len(), 4);
    }
}
