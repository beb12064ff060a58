//! The peer under load, the connections to it, and what a run costs both sides.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tonic::transport::Channel;

use crate::cli::{Common, Enter};
use crate::clock::Origin;
use crate::cluster::{self, Member};
use crate::error::{Error, Result};
use crate::fsync::{self, RawSync};
use crate::peer::{Peer, PeerHome};
use crate::process::{self, Usage};
use crate::report::{bytes, duration};
use crate::{scrape, wire};

/// Where a peer of this name listens for metrics unless it was told otherwise.
const METRICS_PORT: u16 = 2112;
/// A write as the raft log makes them when little is going on.
const RAW_WRITE_BYTES: usize = 4096;

/// A peer and the connections to it.
#[derive(Debug)]
pub struct Bench {
    channels: Vec<Channel>,
    usage_from: Option<UsageFrom>,
    raw: RawSync,
    /// Absent when the peer was running already.
    spawned: Option<Spawned>,
    connections: usize,
}

#[derive(Debug)]
struct Spawned {
    home: PeerHome,
    peer: Peer,
    /// The other members of its cluster.
    others: Vec<Member>,
    /// Removed with everything in it when the run is over; `None` when it is to be kept.
    _directory: Option<tempfile::TempDir>,
}

/// Where the peer's CPU time and memory are read.
#[derive(Clone, Debug)]
enum UsageFrom {
    /// The sum of all.
    Pids(Vec<u32>),
    Metrics(String),
}

impl UsageFrom {
    fn read(&self) -> Result<Usage> {
        match self {
            Self::Pids(pids) => pids.iter().try_fold(Usage::default(), |sum, pid| Ok(sum.plus(process::usage(*pid)?))),
            Self::Metrics(address) => scrape::usage(address),
        }
    }
}

impl Bench {
    /// Measures the disk, starts the peer if asked to, and connects. Nothing else runs meanwhile, so that the disk's figure is the
    /// disk's alone.
    pub async fn open(common: &Common) -> Result<Self> {
        let raw = fsync::measure(&common.data, RAW_WRITE_BYTES, common.raw_duration())?;
        let spawned = match &common.spawn {
            Some(binary) => Some(spawn(binary, common).await?),
            None => None,
        };
        let channels = match &spawned {
            Some(spawned) => wire::connect_all(&spawned.entrances(common.enter)?, common.connections.into()).await?,
            None => wire::connect(&common.target, common.connections.into()).await?,
        };
        let usage_from = match &spawned {
            Some(spawned) => Some(UsageFrom::Pids(spawned.pids())),
            None => usage_of_running(common),
        };
        Ok(Self { channels, usage_from, raw, spawned, connections: common.connections.into() })
    }

    /// The connection for worker number `index`.
    pub fn channel(&self, index: usize) -> &Channel {
        &self.channels[index % self.channels.len()]
    }

    /// Where the first peer is.
    pub fn address(&self) -> &str {
        self.spawned.as_ref().map_or("", |spawned| &spawned.peer.address)
    }

    /// The disk alone, measured when this was opened.
    pub fn raw(&self) -> &RawSync {
        &self.raw
    }

    /// Starts counting what both sides spend.
    pub fn meter(&self) -> Result<Meter> {
        let server = self.usage_from.as_ref().map(UsageFrom::read).transpose()?;
        Ok(Meter { clock: Origin::start(), server, own: process::own_usage()? })
    }

    /// What both sides have spent since `meter`.
    pub fn cost(&self, meter: &Meter) -> Result<Cost> {
        let own = process::own_usage()?.cpu_seconds - meter.own.cpu_seconds;
        let server = match (&meter.server, &self.usage_from) {
            (Some(before), Some(from)) => {
                let now = from.read()?;
                Some(Usage { cpu_seconds: now.cpu_seconds - before.cpu_seconds, ..now })
            }
            _ => None,
        };
        Ok(Cost { seconds: meter.clock.elapsed().as_secs_f64(), server, own_cpu_seconds: own })
    }

    /// The peer's usage now; an error when nobody can say.
    pub fn usage(&self) -> Result<Usage> {
        match &self.usage_from {
            Some(from) => from.read(),
            None => Err(Error::Input("the peer's CPU and memory are not known: give --pid, --metrics or --spawn".into())),
        }
    }

    /// Ends the peer, by SIGKILL if `kill`, starts it again on the same data and connects. Says how long the stop and the start took,
    /// the latter from the start of the process until the first connection. Only for a peer that this run started.
    pub async fn restart(self, kill: bool) -> Result<(Self, Duration, Duration)> {
        let Some(Spawned { home, peer, others, _directory }) = self.spawned else {
            return Err(Error::Input("only a peer that was started with --spawn can be restarted".into()));
        };
        drop(self.channels);
        let clock = Origin::start();
        if kill {
            peer.kill()?;
        } else {
            peer.stop().await?;
        }
        let stopped_in = clock.elapsed();
        let clock = Origin::start();
        let peer = home.start().await?;
        let channels = wire::connect(&peer.address, self.connections).await?;
        let started_in = clock.elapsed();
        let spawned = Spawned { home, peer, others, _directory };
        let usage_from = Some(UsageFrom::Pids(spawned.pids()));
        let spawned = Some(spawned);
        Ok((Self { channels, usage_from, raw: self.raw, spawned, connections: self.connections }, stopped_in, started_in))
    }

    /// Closes the connections and stops the peer if this run started it.
    pub async fn close(self) -> Result<()> {
        drop(self.channels);
        if let Some(spawned) = self.spawned {
            for member in spawned.others {
                if let Some(peer) = member.peer {
                    peer.stop().await?;
                }
            }
            spawned.peer.stop().await?;
        }
        Ok(())
    }
}

impl Spawned {
    fn pids(&self) -> Vec<u32> {
        let others = self.others.iter().filter_map(|member| Some(member.peer.as_ref()?.pid()));
        std::iter::once(self.peer.pid()).chain(others).collect()
    }

    /// Where the load goes.
    fn entrances(&self, enter: Enter) -> Result<Vec<String>> {
        let first = || Ok(self.peer.address.clone());
        let others = || self.others.iter().map(|member| member.service().map(str::to_owned));
        match enter {
            Enter::All => std::iter::once(first()).chain(others()).collect(),
            Enter::Leader => Ok(vec![first()?]),
            Enter::Follower => others().take(1).collect(),
        }
    }
}

async fn spawn(binary: &Path, common: &Common) -> Result<Spawned> {
    let parent = &common.data;
    let mut directory = tempfile::Builder::new()
        .prefix("z4-bench-")
        .tempdir_in(parent)
        .map_err(Error::io(format!("cannot create a directory in {}", parent.display())))?;
    directory.disable_cleanup(common.keep);
    let arguments = common.peer_arguments();
    if common.peers == 1 {
        let home = PeerHome::new(binary, directory.path(), &arguments)?;
        let peer = home.start().await?;
        return Ok(Spawned { home, peer, others: Vec::new(), _directory: Some(directory) });
    }
    let mut members = cluster::start(binary, directory.path(), &arguments, common.peers.into()).await?;
    if common.enter != Enter::All {
        cluster::lead_at(&members[0]).await?;
    }
    let first = members.remove(0);
    let peer = first.peer.ok_or_else(|| Error::Input("the first peer is down".into()))?;
    Ok(Spawned { home: first.home, peer, others: members, _directory: Some(directory) })
}

/// For a peer that runs already: `--pid`, `--metrics`, or the usual metrics port where it answers.
fn usage_of_running(common: &Common) -> Option<UsageFrom> {
    if let Some(pid) = common.pid {
        return Some(UsageFrom::Pids(vec![pid]));
    }
    if let Some(address) = &common.metrics {
        return Some(UsageFrom::Metrics(address.clone()));
    }
    // Another port may mean another peer, whose metrics are elsewhere.
    let host = common.target.strip_suffix(":6355")?;
    let from = UsageFrom::Metrics(format!("{host}:{METRICS_PORT}"));
    from.read().is_ok().then_some(from)
}

/// Where the counting started.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    clock: Origin,
    server: Option<Usage>,
    own: Usage,
}

/// What a run spent.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Wall time.
    pub seconds: f64,
    /// The peer's CPU time in the run, and its memory at the end; `None` when nobody can say.
    pub server: Option<Usage>,
    /// The load generator's CPU time in the run.
    pub own_cpu_seconds: f64,
}

impl Cost {
    /// The peer's CPU time per task, in microseconds (the same number as milliseconds per 1,000 tasks).
    pub fn server_us_per_task(&self, tasks: u64) -> Option<f64> {
        Some(self.server?.cpu_seconds * 1e6 / tasks.max(1) as f64)
    }

    /// The peer's share of one core, 1.0 being all of it.
    pub fn server_cores(&self) -> Option<f64> {
        Some(self.server?.cpu_seconds / self.seconds.max(1e-9))
    }

    /// For people: the peer.
    pub fn server_text(&self, tasks: u64) -> Option<String> {
        let server = self.server?;
        let mut text = format!("cpu {:.2} s = {:.2} cores", server.cpu_seconds, self.server_cores()?);
        if tasks > 0 {
            text += &format!(", {:.4} s per 1,000 tasks", self.server_us_per_task(tasks)? / 1e3);
        }
        text += &format!("   rss {}", bytes(server.rss_bytes));
        if server.rss_peak_bytes > 0 {
            text += &format!(" (peak {})", bytes(server.rss_peak_bytes));
        }
        Some(text)
    }

    /// For people: the load generator.
    pub fn own_text(&self) -> String {
        let cores = self.own_cpu_seconds / self.seconds.max(1e-9);
        format!("cpu {:.2} s = {cores:.2} cores, in {}", self.own_cpu_seconds, duration(Duration::from_secs_f64(self.seconds)))
    }

    /// For programs.
    pub fn json(&self, tasks: u64) -> Value {
        json!({
            "seconds": self.seconds, "own_cpu_seconds": self.own_cpu_seconds,
            "server_cpu_seconds": self.server.map(|s| s.cpu_seconds),
            "server_cpu_seconds_per_1000_tasks": self.server_us_per_task(tasks).filter(|_| tasks > 0).map(|us| us / 1e3),
            "server_rss_bytes": self.server.map(|s| s.rss_bytes),
            "server_rss_peak_bytes": self.server.map(|s| s.rss_peak_bytes).filter(|&peak| peak > 0),
        })
    }
}

#[cfg(test)]
mod tests {
    //! The cost per task is a target of its own: its unit and its divisor must be right.
    use super::*;

    #[test]
    fn cost_per_thousand_tasks() {
        let server = Some(Usage { cpu_seconds: 3.0, rss_bytes: 2 << 20, rss_peak_bytes: 0 });
        let cost = Cost { seconds: 2.0, server, own_cpu_seconds: 1.0 };
        assert_eq!(cost.server_us_per_task(1_000_000), Some(3.0));
        assert_eq!(
            cost.server_text(1_000_000).as_deref(),
            Some("cpu 3.00 s = 1.50 cores, 0.0030 s per 1,000 tasks   rss 2.0 MiB")
        );
        assert_eq!(cost.json(1_000_000)["server_cpu_seconds_per_1000_tasks"], 0.003);
        assert_eq!(Cost { server: None, ..cost }.server_text(1), None);
    }
}
