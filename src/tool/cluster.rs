//! `info` and `ping`.

use std::time::Duration;

use serde::Serialize;
use z4_proto::{CheckHealthRequest, ClusterInfo, GetClusterInfoRequest};

use super::error::ToolError;
use super::output::{Output, Show};
use super::session::Session;

/// The cluster as one peer sees it. Scripts read the first three fields; they stay first.
#[derive(Serialize)]
struct Info {
    server_id: String,
    leader_address: String,
    members: Vec<Member>,
    groups: Vec<Group>,
    version: String,
}

#[derive(Serialize)]
struct Member {
    id: String,
    address: String,
}

#[derive(Serialize)]
struct Group {
    id: u32,
    leader: String,
    term: u64,
    last_log_index: u64,
    applied_index: u64,
    members: Vec<String>,
    shard: u32,
}

impl From<ClusterInfo> for Info {
    fn from(info: ClusterInfo) -> Self {
        let group = |g: z4_proto::Group| Group {
            id: g.id,
            leader: g.leader,
            term: g.term,
            last_log_index: g.last_log_index,
            applied_index: g.applied_index,
            members: g.members,
            shard: g.shard,
        };
        Info {
            server_id: info.server_id,
            leader_address: info.leader_address,
            members: info.members.into_iter().map(|m| Member { id: m.id, address: m.address }).collect(),
            groups: info.groups.into_iter().map(group).collect(),
            version: info.version,
        }
    }
}

/// Prints the cluster, as JSON always.
pub async fn info(session: &Session, out: &mut Output) -> Result<(), ToolError> {
    let info = session.answer(session.admin().get_cluster_info(GetClusterInfoRequest {})).await?;
    out.json_pretty(&Info::from(info))
}

#[derive(Serialize)]
struct Pong {
    target: String,
    round_trip_ms: f64,
}

impl Show for Pong {
    fn human(&self) -> String {
        format!("{} serves ({:.3} ms)", self.target, self.round_trip_ms)
    }
}

/// Asks whether the target serves.
pub async fn ping(session: &Session, out: &mut Output) -> Result<(), ToolError> {
    let started = tokio::time::Instant::now();
    session.answer(session.admin().check_health(CheckHealthRequest { request_id: String::new() })).await?;
    let round_trip = started.elapsed();
    out.show(&Pong { target: session.target().to_owned(), round_trip_ms: milliseconds(round_trip) })
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1_000.0
}
