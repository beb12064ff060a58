//! The command line of `z4-bench`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::runs::{all, consume, create, failover, fill, fsync, idle, join, lateness, mixed, one_writer, rows, shard, sweep};

/// Loads a z4 peer and prints latency percentiles, rates, the peer's CPU and memory, and what the disk can do on its own.
#[derive(Debug, Parser)]
#[command(name = "z4-bench", version)]
pub struct Cli {
    /// What every run needs to know.
    #[command(flatten)]
    pub common: Common,
    /// The run.
    #[command(subcommand)]
    pub run: Run,
}

/// Options of all runs.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// HOST:PORT of a running peer
    #[arg(long, global = true, default_value = "127.0.0.1:6355", conflicts_with = "spawn")]
    pub target: String,
    /// Starts this z4 binary on an empty directory below --data and stops it at the end
    #[arg(long, global = true, value_name = "PATH_TO_Z4")]
    pub spawn: Option<PathBuf>,
    /// Arguments for the peer that --spawn starts, separated by spaces
    #[arg(long, global = true, default_value = "", allow_hyphen_values = true)]
    pub peer_args: String,
    /// How many peers --spawn starts, as one cluster
    #[arg(long, global = true, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=9))]
    pub peers: u16,
    /// To which peers of the cluster the load goes; with leader and follower, the first one leads every group
    #[arg(long, global = true, value_enum, default_value = "all")]
    pub enter: Enter,
    /// The directory whose disk is measured; for --spawn also where the peer keeps its data
    #[arg(long, global = true, default_value = ".")]
    pub data: PathBuf,
    /// Keeps the directory of the peer that --spawn started
    #[arg(long, global = true)]
    pub keep: bool,
    /// The running peer's process, to read its CPU time and memory from /proc
    #[arg(long, global = true)]
    pub pid: Option<u32>,
    /// HOST:PORT of the running peer's metrics, for its CPU time and memory where there is no --pid
    #[arg(long, global = true)]
    pub metrics: Option<String>,
    /// HTTP/2 connections; several, so that each shard gets some
    #[arg(long, global = true, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub connections: u16,
    /// Threads of the load generator: 1 costs the peer's machine least
    #[arg(long, global = true, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub client_threads: u16,
    /// How long the disk is measured before the run, in milliseconds
    #[arg(long, global = true, default_value_t = 1_000)]
    pub raw_ms: u64,
    /// Prints one line of JSON on stdout, and the lines for people on stderr
    #[arg(long, global = true)]
    pub json: bool,
}

/// To which peers of a cluster the load goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Enter {
    /// To all of them, in turn.
    All,
    /// To the one that leads every group.
    Leader,
    /// To one that leads no group, so that every request is forwarded.
    Follower,
}

impl Common {
    /// How long the disk is measured.
    pub fn raw_duration(&self) -> Duration {
        Duration::from_millis(self.raw_ms)
    }

    /// Arguments for the started peer.
    pub fn peer_arguments(&self) -> Vec<String> {
        self.peer_args.split_whitespace().map(str::to_owned).collect()
    }
}

/// The runs.
#[derive(Debug, Subcommand)]
pub enum Run {
    /// Creates tasks as fast as they are acknowledged
    Create(create::Options),
    /// Creates a backlog, then drains it
    Consume(consume::Options),
    /// Creates and consumes at a fixed rate; latencies count from the intended time
    Mixed(mixed::Options),
    /// How late tasks are delivered whose due times are spread over some seconds
    Lateness(lateness::Options),
    /// CPU share of a peer that has nothing to do
    Idle(idle::Options),
    /// Schedules many tasks far in the future: rate, memory, and with --spawn the time that a restart takes
    Fill(fill::Options),
    /// Fills a peer with the rows that bench/sql measures SQL on
    Rows(rows::Options),
    /// Kills the leader of every group under load, again and again: for how long no write succeeds; needs --spawn
    Failover(failover::Options),
    /// Adds a peer to one with many tasks, under load: how long it takes to catch up; needs --spawn
    Join(join::Options),
    /// The disk alone: write and fdatasync, one after another
    Fsync(fsync::Options),
    /// One shard driven in this process, without gRPC
    Shard(shard::Options),
    /// One task in flight: latency beside the disk's
    OneWriter(one_writer::Options),
    /// The peer's CPU time per task from 1 to 1,000 in flight
    Sweep(sweep::Options),
    /// Every run of the table of targets, each on a fresh peer, as a markdown table; needs --spawn
    All(all::Options),
}

#[cfg(test)]
mod tests {
    //! The documented commands must be accepted, with shared options before or after the run.
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        for command in [
            "z4-bench --target 127.0.0.1:1 create --mode stream --streams 16 --seconds 3",
            "z4-bench mixed --rate 10000 --seconds 5 --spawn ./z4 --data /tmp --json",
            "z4-bench create --mode batch --due +60 --tasks 100 --peer-args --shards=2",
            "z4-bench one-writer --pid 1",
        ] {
            Cli::try_parse_from(command.split(' ')).unwrap_or_else(|e| panic!("{command}: {e}"));
        }
        assert!(Cli::try_parse_from("z4-bench fsync --target a:1 --spawn z4".split(' ')).is_err());
    }
}
