//! z4's main job on a file of reminders: create, schedule, deliver, acknowledge, and survive a SIGKILL half-way.

mod consumer;
mod csv;
mod ledger;
mod producer;
mod reminder;
mod verdict;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::transport::Channel;
use z4_proto::CreateTaskRequest;

use self::ledger::{Counts, Ledger};
use self::reminder::Reminder;
use self::verdict::Left;
use crate::clock::{self, Origin};
use crate::error::{Error, Result};
use crate::peer::{Peer, PeerHome};
use crate::report::{duration, thousands};
use crate::wire;

/// When the peer is killed, in milliseconds after the start.
const KILL_AT_MS: i64 = 5_500;
/// Every second reminder that is due later than this is created only when the peer is about to be killed.
const SECOND_WAVE_FROM_MS: i64 = 7_500;
/// How often the demo says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_millis(1_500);
/// How long after the last due time everything must be done. Longer than a lease, so that a task that waits for one is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Consumers that share the work.
const CONSUMERS: usize = 2;

/// Watches z4 do its job on a file of reminders, through a SIGKILL.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "z4-demo", version)]
pub struct Options {
    /// The z4 binary; otherwise the one beside this program
    #[arg(long)]
    pub z4: Option<PathBuf>,
    /// The reminders
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/reminders.csv"))]
    pub file: PathBuf,
    /// Where the peer's temporary directory is made; otherwise the system's place for such
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Keeps that directory
    #[arg(long)]
    pub keep: bool,
}

/// Runs the demo; true when every promise was kept.
pub async fn run(options: &Options) -> Result<bool> {
    let reminders = reminder::read(&options.file)?;
    introduce(&reminders, options);
    let parent = options.data.clone().unwrap_or_else(std::env::temp_dir);
    let mut directory = tempfile::Builder::new()
        .prefix("z4-demo-")
        .tempdir_in(&parent)
        .map_err(Error::io(format!("cannot create a directory in {}", parent.display())))?;
    directory.disable_cleanup(options.keep);
    let home = PeerHome::new(&binary(options)?, directory.path(), &[])?;
    let peer = home.start().await?;
    let mut demo = Demo::new(reminders);
    demo.say(&format!("peer {} serves on {} after {}", peer.pid(), peer.address, duration(peer.started_in)));
    demo.play(&home, peer).await
}

fn binary(options: &Options) -> Result<PathBuf> {
    if let Some(path) = &options.z4 {
        return Ok(path.clone());
    }
    let own = std::env::current_exe().map_err(Error::io("cannot tell where this program is"))?;
    Ok(own.with_file_name("z4"))
}

fn introduce(reminders: &[Reminder], options: &Options) {
    let count = |wanted: fn(i64) -> bool| thousands(reminders.iter().filter(|r| wanted(r.due_ms)).count() as f64);
    let last = reminders.iter().map(|r| r.due_ms).max().unwrap_or(0);
    println!("{} reminders from {}:", thousands(reminders.len() as f64), options.file.display());
    let (past, present, future) = (count(|ms| ms < 0), count(|ms| ms == 0), count(|ms| ms > 0));
    println!("{past} were due in the past, {present} are due now, {future} over the next {:.1} s\n", last as f64 / 1e3);
}

struct Demo {
    clock: Origin,
    start_ms: i64,
    reminders: Vec<Reminder>,
    namespaces: Vec<String>,
    ledger: Ledger,
}

impl Demo {
    fn new(reminders: Vec<Reminder>) -> Self {
        let start_ms = clock::wall_millis();
        let namespaces: BTreeSet<_> = reminders.iter().map(|r| r.namespace.clone()).collect();
        let ledger = Ledger::new(reminders.clone(), start_ms);
        Self { clock: Origin::start(), start_ms, reminders, namespaces: namespaces.into_iter().collect(), ledger }
    }

    fn say(&self, text: &str) {
        println!("{:5.1} s  {text}", self.clock.elapsed().as_secs_f64());
    }

    fn request(&self, index: usize) -> CreateTaskRequest {
        self.reminders[index].request(self.start_ms)
    }

    async fn play(&mut self, home: &PeerHome, peer: Peer) -> Result<bool> {
        let (address, follow) = watch::channel(peer.address.clone());
        let mut consumers = JoinSet::new();
        for _ in 0..CONSUMERS {
            consumers.spawn(consumer::consume(follow.clone(), self.namespaces.clone(), self.ledger.clone()));
        }
        let second: Vec<usize> =
            (0..self.reminders.len()).filter(|&i| i % 2 == 0 && self.reminders[i].due_ms > SECOND_WAVE_FROM_MS).collect();
        let first: Vec<usize> = (0..self.reminders.len()).filter(|i| second.binary_search(i).is_err()).collect();

        let channel = connect(&peer).await?;
        producer::create_all(&channel, &first, |i| self.request(i), &self.ledger).await?;
        self.say(&format!(
            "{} created, each on disk before its reply; {CONSUMERS} consumers share them",
            thousands(first.len() as f64)
        ));
        self.watch(KILL_AT_MS).await;

        let half = second.len() / 2;
        let unanswered = producer::create(&channel, &second, |i| self.request(i), &self.ledger, half).await?;
        let down_from_ms = clock::wall_millis();
        peer.kill()?;
        self.say(&format!("SIGKILL, with {} more creates on the way, {} unanswered", second.len(), unanswered.len()));
        let peer = home.start().await?;
        address.send_replace(peer.address.clone());
        let outage_ms = (down_from_ms, clock::wall_millis());
        self.say(&format!("peer {} serves again after {}", peer.pid(), duration(peer.started_in)));

        let channel = connect(&peer).await?;
        let known = self.ledger.counts().repeated;
        producer::create_all(&channel, &unanswered, |i| self.request(i), &self.ledger).await?;
        let known = self.ledger.counts().repeated - known;
        self.say(&format!("{} sent again with the same request ids: {known} had been stored already", unanswered.len()));
        let last_ms = self.reminders.iter().map(|r| r.due_ms).max().unwrap_or(0);
        self.watch(last_ms).await;

        let left = verdict::drained(&channel, &self.namespaces, PATIENCE).await?;
        consumers.shutdown().await;
        drop(channel);
        let stopped_in = peer.stop().await?;
        self.say(&format!("all done; the peer stopped on SIGTERM in {}", duration(stopped_in)));
        Ok(self.conclude(outage_ms, &left))
    }

    /// Says how far things are, now and then, until `until_ms` after the start.
    async fn watch(&self, until_ms: i64) {
        loop {
            let rest_ms = until_ms - (clock::wall_millis() - self.start_ms);
            let rest = Duration::from_millis(rest_ms.max(0) as u64);
            tokio::time::sleep(rest.min(PROGRESS_EVERY)).await;
            let Counts { delivered, acknowledged, .. } = self.ledger.counts();
            let (delivered, acknowledged) = (thousands(delivered as f64), thousands(acknowledged as f64));
            let last = self.ledger.last().map_or(String::new(), |last| format!("   {last}"));
            self.say(&format!("{delivered} delivered, {acknowledged} acknowledged{last}"));
            if rest <= PROGRESS_EVERY {
                return;
            }
        }
    }

    fn conclude(&self, outage_ms: (i64, i64), left: &Left) -> bool {
        let counts = self.ledger.counts();
        let (running, down) = self.ledger.lateness(outage_ms);
        let percentiles = |p: crate::latency::Percentiles| {
            let [p50, p90, p99, max] = [p.p50, p.p90, p.p99, p.max].map(duration);
            format!("p50 {p50}, p90 {p90}, p99 {p99}, max {max}")
        };
        let number = |n: u64| thousands(n as f64);
        println!("\ncreated     {} reminders as {} tasks", number(counts.created), number(counts.tasks));
        println!("delivered   {}, {} of them again after the crash", number(counts.delivered), number(counts.again));
        println!("late        {} that came due while the peer ran: {}", number(running.count), percentiles(running));
        println!("            {} that came due while it was down: {}", number(down.count), percentiles(down));
        println!("early       {}", counts.early);
        println!("left        {} live, {} dead, {} listed", left.live, left.dead, left.listed);
        let broken = verdict::broken(&counts, left);
        match broken.as_slice() {
            [] => println!("\nOK: created = delivered at least once = gone from the store"),
            problems => println!("\nFAILED: {}", problems.join("; ")),
        }
        broken.is_empty()
    }
}

async fn connect(peer: &Peer) -> Result<Channel> {
    let mut channels = wire::connect(&peer.address, 1).await?;
    channels.pop().ok_or_else(|| Error::Input("no connection".into()))
}
