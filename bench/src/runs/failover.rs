//! `failover`: the leader of every group is killed under load; for how long does no write succeed?

use std::sync::Arc;
use std::time::Duration;

use tonic::transport::Channel;
use z4_proto::CreateTaskRequest;
use z4_proto::collection_client::CollectionClient;

use crate::cli::Common;
use crate::clock::Origin;
use crate::cluster::{self, Member};
use crate::error::{Error, Result};
use crate::fsync;
use crate::latency::Latency;
use crate::report::Report;
use crate::wire;

/// Options of `failover`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// How often the leader is killed
    #[arg(long, default_value_t = 20)]
    pub trials: usize,
    /// Writers, one call in flight each, spread over the peers that stay
    #[arg(long, default_value_t = 16)]
    pub writers: usize,
}

/// A call that takes longer has failed.
const CALL_MAX: Duration = Duration::from_secs(15);

/// Runs it.
pub async fn run(common: &Common, options: &Options) -> Result<Report> {
    let Some(binary) = &common.spawn else { return Err(Error::Input("failover needs --spawn".into())) };
    let raw = fsync::measure(&common.data, 4_096, common.raw_duration())?;
    let directory = tempfile::Builder::new().prefix("z4-bench-").tempdir_in(&common.data).map_err(Error::io("no directory"))?;
    let peers = usize::from(common.peers).max(3);
    let mut members = cluster::start(binary, directory.path(), &common.peer_arguments(), peers).await?;
    let gaps = Latency::new();
    let mut acknowledged = 0;
    let clock = Origin::start();
    for trial in 0..options.trials {
        let victim = trial % members.len();
        cluster::lead_at(&members[victim]).await?;
        let writers = start_writers(&members, victim, options.writers).await?;
        tokio::time::sleep(Duration::from_millis(1_000)).await;
        let killed = Origin::start();
        if let Some(peer) = members[victim].peer.take() {
            peer.kill()?;
        }
        let (done, gap) = writers.finish(killed).await?;
        acknowledged += done;
        gaps.record(gap.as_nanos() as u64);
        println!("trial {:>2}: {} ms without a successful write", trial + 1, gap.as_millis());
        members[victim].peer = Some(members[victim].home.start().await?);
        settled(&members).await?;
    }
    Ok(Report {
        name: "failover",
        setup: format!(
            "{peers} peers, {} writers, SIGKILL of the leader of every group, {} trials",
            options.writers, options.trials
        ),
        tasks: acknowledged,
        seconds: clock.elapsed().as_secs_f64(),
        latencies: vec![("without a write", gaps.percentiles())],
        raw: Some(raw),
        ..Report::default()
    })
}

/// Every member serves and every group has a leader.
async fn settled(members: &[Member]) -> Result<()> {
    cluster::until("every group has a leader", async || {
        for member in members {
            let info = member.info().await.ok()?;
            if info.groups.iter().any(|group| group.leader.is_empty()) || info.members.iter().any(|other| !other.connected) {
                return None;
            }
        }
        Some(())
    })
    .await
}

struct Writers {
    tasks: Vec<tokio::task::JoinHandle<()>>,
    shared: Arc<Shared>,
}

/// When the last acknowledgement came, and the longest time without one.
#[derive(Default)]
struct Shared {
    acknowledged: std::sync::Mutex<Vec<std::time::Duration>>,
    stop: std::sync::atomic::AtomicBool,
    clock: std::sync::OnceLock<Origin>,
}

async fn start_writers(members: &[Member], victim: usize, count: usize) -> Result<Writers> {
    let mut channels: Vec<Channel> = Vec::new();
    for (_, member) in members.iter().enumerate().filter(|(at, _)| *at != victim) {
        channels.extend(wire::connect(member.service()?, 1).await?);
    }
    let shared = Arc::new(Shared::default());
    let clock = *shared.clock.get_or_init(Origin::start);
    let tasks = (0..count).map(|writer| {
        let (shared, mut client) = (Arc::clone(&shared), CollectionClient::new(channels[writer % channels.len()].clone()));
        tokio::spawn(async move {
            let namespace = format!("failover-{writer}");
            let mut calls = 0u64;
            while !shared.stop.load(std::sync::atomic::Ordering::Relaxed) {
                calls += 1;
                let request = CreateTaskRequest {
                    namespace: namespace.clone(),
                    request_id: format!("{}-{calls}", crate::clock::wall_micros()),
                    payload: vec![b'x'; 256].into(),
                    tts_seconds: 86_400,
                    ..CreateTaskRequest::default()
                };
                match tokio::time::timeout(CALL_MAX, client.create_task(request)).await {
                    Ok(Ok(_)) => {
                        if let Ok(mut acknowledged) = shared.acknowledged.lock() {
                            acknowledged.push(clock.elapsed());
                        }
                    }
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        })
    });
    Ok(Writers { tasks: tasks.collect(), shared })
}

impl Writers {
    /// Waits until every writer could write again, and a little longer; returns how many writes succeeded and the longest time after
    /// `killed` in which none did.
    async fn finish(self, killed: Origin) -> Result<(u64, Duration)> {
        let clock = *self.shared.clock.get_or_init(Origin::start);
        let killed_at = clock.elapsed().saturating_sub(killed.elapsed());
        cluster::until("writes succeed again", async || {
            let last = self.shared.acknowledged.lock().ok()?.last().copied()?;
            let quiet = clock.elapsed().saturating_sub(last);
            (killed.elapsed() > Duration::from_secs(4) && quiet < Duration::from_millis(200)).then_some(())
        })
        .await?;
        self.shared.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        for task in self.tasks {
            let _ = task.await;
        }
        let mut times = self.shared.acknowledged.lock().map(|times| times.clone()).unwrap_or_default();
        times.sort_unstable();
        let done = times.len() as u64;
        let around = times.windows(2).filter(|pair| pair[1] >= killed_at);
        Ok((done, around.map(|pair| pair[1] - pair[0]).max().unwrap_or_default()))
    }
}
