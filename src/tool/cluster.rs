//! `info`, `ping`, `transfer-leader`, `rebalance` and `hash`.

use std::time::Duration;

use serde::Serialize;

use super::args::TransferArgs;
use super::error::ToolError;
use super::info::{Info, ask_leaders};
use super::output::{Output, Show};
use crate::client::Client;

/// Prints the cluster.
pub async fn info(client: &Client, out: &mut Output) -> Result<(), ToolError> {
    let mut info = client.info().await?;
    ask_leaders(client, &mut info).await;
    out.show(&Info::from(info))
}

#[derive(Serialize)]
struct Pong {
    target: String,
    #[serde(skip)]
    alive: bool,
    round_trip_ms: f64,
}

impl Show for Pong {
    fn human(&self) -> String {
        let does = if self.alive { "is alive" } else { "serves" };
        format!("{} {does} ({:.3} ms)", self.target, self.round_trip_ms)
    }
}

/// Asks whether the targets serve, or answer at all: all of them, and fails if one does not. Each that does not is named.
pub async fn ping(client: &Client, out: &mut Output, targets: &[String], alive: bool) -> Result<(), ToolError> {
    let mut failed: Option<ToolError> = None;
    for target in targets {
        let started = tokio::time::Instant::now();
        let asked = match alive {
            true => client.info_at(target).await.map(|_| ()),
            false => client.check_health_at(target).await,
        };
        match asked {
            Ok(()) => out.show(&Pong { target: target.clone(), alive, round_trip_ms: milliseconds(started.elapsed()) })?,
            // The last one is told at the end, as the reason of the failure.
            Err(error) => {
                if let Some(before) = failed.replace(error.into()) {
                    eprintln!("{}", before.line());
                }
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1_000.0
}

#[derive(Serialize)]
struct Leads {
    group: u32,
    leader: String,
}

impl Show for Leads {
    fn human(&self) -> String {
        format!("{} leads group {}", self.leader, self.group)
    }
}

/// Moves the leadership of a group.
pub async fn transfer_leader(client: &Client, out: &mut Output, transfer: TransferArgs) -> Result<(), ToolError> {
    let TransferArgs { group, to } = transfer;
    client.transfer_leader(group, &to).await?;
    out.show(&Leads { group, leader: to })
}

#[derive(Serialize)]
struct Rebalancing {
    rebalancing: bool,
}

impl Show for Rebalancing {
    fn human(&self) -> String {
        "leadership is being spread".to_owned()
    }
}

/// Has leadership spread.
pub async fn rebalance(client: &Client, out: &mut Output) -> Result<(), ToolError> {
    client.rebalance().await?;
    out.show(&Rebalancing { rebalancing: true })
}

/// The hash is 16 hexadecimal digits: a JSON number would lose some of them.
#[derive(Serialize)]
struct Hash {
    target: String,
    group: u32,
    applied_index: u64,
    hash: String,
}

impl Show for Hash {
    fn human(&self) -> String {
        format!("{} group {} applied {} hash {}", self.target, self.group, self.applied_index, self.hash)
    }
}

/// Prints applied index and state hash of every target's replica of a group, so that they can be compared.
pub async fn hash(client: &Client, out: &mut Output, targets: &[String], group: u32) -> Result<(), ToolError> {
    for target in targets {
        let state = client.state_hash_at(target, group).await?;
        let hash = format!("{:016x}", state.hash);
        out.show(&Hash { target: target.clone(), group, applied_index: state.applied_index, hash })?;
    }
    Ok(())
}
