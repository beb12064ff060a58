//! The cluster as it is printed, and how far its replicas are: what one peer does not know, leaders are asked for.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use tokio::time::timeout;
use z4_proto::{ClusterInfo, Membership};

use super::output::Show;
use super::views::printable;
use crate::client::Client;

/// How long one of several peers is waited for: some may not be reachable from here at all.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the peers at these addresses say, those that answer.
pub async fn ask(client: &Client, addresses: impl Iterator<Item = &str>) -> Vec<ClusterInfo> {
    let asking = addresses.map(|address| timeout(PATIENCE, client.info_at(address)));
    join_all(asking).await.into_iter().flatten().flatten().collect()
}

/// Completes what a peer says about groups that others lead with what their leaders say, as far as they can be reached.
pub async fn ask_leaders(client: &Client, info: &mut ClusterInfo) {
    let elsewhere = info.groups.iter().filter(|group| group.leader != info.server_id);
    let leaders: BTreeSet<&String> = elsewhere.map(|group| &group.leader).collect();
    let places = info.members.iter().filter(|member| leaders.contains(&member.id) && !member.service_address.is_empty());
    let told = ask(client, places.map(|member| member.service_address.as_str())).await;
    for group in &mut info.groups {
        let leader = told.iter().find(|leader| leader.server_id == group.leader && leader.server_id != info.server_id);
        let led = leader.and_then(|leader| leader.groups.iter().find(|led| led.id == group.id && led.leader == group.leader));
        if let Some(led) = led {
            group.replicas.clone_from(&led.replicas);
        }
    }
}

/// The cluster as one peer sees it. Scripts read the first three fields; they stay first.
#[derive(Serialize)]
pub struct Info {
    server_id: String,
    leader_address: String,
    members: Vec<Member>,
    groups: Vec<Group>,
    version: String,
    membership: &'static str,
    cluster_id: String,
    clock_outside_ms: i64,
}

#[derive(Serialize)]
struct Member {
    id: String,
    address: String,
    service_address: String,
    number: u64,
    connected: bool,
    connection_error: String,
    clock_skew_ms: f64,
    clock_outside_ms: f64,
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
    serves: bool,
    replicas: Vec<Replica>,
}

/// `None` where the leader could not be asked.
#[derive(Serialize)]
struct Replica {
    peer_id: String,
    voter: bool,
    matched_index: Option<u64>,
    lag: Option<u64>,
}

impl From<ClusterInfo> for Info {
    fn from(info: ClusterInfo) -> Self {
        let membership = match info.membership() {
            Membership::Unspecified => "unknown",
            Membership::Member => "member",
            Membership::NotYet => "not_yet",
            Membership::Removed => "removed",
        };
        let replica =
            |r: z4_proto::Replica| Replica { peer_id: r.peer_id, voter: r.voter, matched_index: r.matched_index, lag: r.lag };
        let group = |g: z4_proto::Group| Group {
            id: g.id,
            leader: g.leader,
            term: g.term,
            last_log_index: g.last_log_index,
            applied_index: g.applied_index,
            members: g.members,
            shard: g.shard,
            serves: g.serves,
            replicas: g.replicas.into_iter().map(replica).collect(),
        };
        let member = |m: z4_proto::Server| Member {
            id: m.id,
            address: m.address,
            service_address: m.service_address,
            number: m.number,
            connected: m.connected,
            connection_error: m.connection_error,
            clock_skew_ms: m.clock_skew_ms,
            clock_outside_ms: m.clock_outside_ms,
        };
        Info {
            server_id: info.server_id,
            leader_address: info.leader_address,
            members: info.members.into_iter().map(member).collect(),
            groups: info.groups.into_iter().map(group).collect(),
            version: info.version,
            membership,
            cluster_id: info.cluster_id,
            clock_outside_ms: info.clock_outside_ms,
        }
    }
}

impl Show for Info {
    fn human(&self) -> String {
        let mut text = self.standing();
        if !self.members.is_empty() {
            let header = ["MEMBER", "ADDRESS", "SERVICE", "CONNECTED", "SKEW"].map(str::to_owned);
            text += &table(&[vec![header], self.members.iter().map(|m| m.row(&self.server_id)).collect()].concat());
        }
        if !self.groups.is_empty() {
            let header = ["GROUP", "LEADER", "TERM", "LAST LOG", "APPLIED", "REPLICAS: MATCHED (LAG)"].map(str::to_owned);
            text += &table(&[vec![header], self.groups.iter().map(Group::row).collect()].concat());
        }
        text.trim_end().to_owned()
    }
}

impl Info {
    /// Who answers, and what it is to the cluster.
    fn standing(&self) -> String {
        let (peer, cluster) = (printable(&self.server_id), printable(&self.cluster_id));
        let standing = match self.membership {
            "member" => format!("{peer} is a member of cluster {cluster}"),
            "not_yet" => format!("{peer} is not a member of a cluster yet: it waits to be added (z4t add-peer)"),
            "removed" => format!("{peer} was removed from cluster {cluster}"),
            _ => peer,
        };
        let leader = if self.leader_address.is_empty() { "none known" } else { &self.leader_address };
        let clock = match self.clock_outside_ms {
            0 => String::new(),
            ms => format!("its clock is {}: it leads no group until that is set\n", off(ms as f64)),
        };
        format!("{standing}\nversion {}, leader of group 0: {}\n{clock}", printable(&self.version), printable(leader))
    }
}

impl Member {
    fn row(&self, answering: &str) -> [String; 5] {
        let connected = match (self.connected, self.connection_error.as_str()) {
            _ if self.id == answering => "itself".to_owned(),
            (true, _) => "yes".to_owned(),
            (false, "") => "no".to_owned(),
            (false, error) => format!("no: {}", printable(error)),
        };
        let skew = match (self.connected, self.clock_outside_ms) {
            (false, _) => "-".to_owned(),
            (true, 0.0) => format!("{:+.1} ms", self.clock_skew_ms),
            (true, outside) => format!("{:+.1} ms: {}", self.clock_skew_ms, off(outside)),
        };
        [printable(&self.id), or_dash(&self.address), or_dash(&self.service_address), connected, skew]
    }
}

impl Group {
    fn row(&self) -> [String; 6] {
        let replicas: Vec<String> = self.replicas.iter().map(Replica::brief).collect();
        // Peers that know no replicas know voters.
        let replicas = if replicas.is_empty() { self.members.join(", ") } else { replicas.join(", ") };
        let numbers = [self.term, self.last_log_index, self.applied_index].map(|number| number.to_string());
        let [term, last_log, applied] = numbers;
        [self.id.to_string(), or_dash(&self.leader), term, last_log, applied, printable(&replicas)]
    }
}

impl Replica {
    fn brief(&self) -> String {
        let learner = if self.voter { "" } else { " learner" };
        let number = |number: Option<u64>| number.map_or("?".to_owned(), |number| number.to_string());
        format!("{}{learner} {} ({})", self.peer_id, number(self.matched_index), number(self.lag))
    }
}

/// How far a clock is from what a majority's say.
fn off(ms: f64) -> String {
    let side = if ms > 0.0 { "ahead of" } else { "behind" };
    format!("wrong, {:.1} s {side} a majority's", ms.abs() / 1e3)
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { printable(text) }
}

/// Rows in columns that are as wide as they need to be, after an empty line.
fn table<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        let line = row.iter().zip(widths).fold(String::new(), |mut line, (cell, width)| {
            let _ = write!(line, "{cell:width$}  ");
            line
        });
        let _ = write!(text, "\n{}", line.trim_end());
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    //! Operators decide by this table whether a peer may be stopped: a learner must not look like a voter, unknown not like 0.
    use super::*;

    fn info() -> ClusterInfo {
        let replica = |id: &str, voter, matched: Option<u64>| z4_proto::Replica {
            peer_id: id.into(),
            voter,
            matched_index: matched,
            lag: matched.map(|matched| 90 - matched),
        };
        let server = |id: &str, connected, error: &str| z4_proto::Server {
            id: id.into(),
            address: format!("{id}:6356"),
            service_address: format!("{id}:6355"),
            connected,
            connection_error: error.into(),
            clock_skew_ms: 1.25,
            ..z4_proto::Server::default()
        };
        let group = z4_proto::Group {
            id: 3,
            leader: "a".into(),
            term: 7,
            last_log_index: 90,
            applied_index: 89,
            replicas: vec![replica("a", true, Some(90)), replica("b", false, Some(40)), replica("c", true, None)],
            ..z4_proto::Group::default()
        };
        ClusterInfo {
            server_id: "a".into(),
            leader_address: "a:6356".into(),
            members: vec![server("a", true, ""), server("b", true, ""), server("c", false, "refused")],
            groups: vec![group],
            version: "1".into(),
            membership: Membership::Member.into(),
            cluster_id: "f00".into(),
            clock_outside_ms: 0,
        }
    }

    #[test]
    fn the_table_shows_members_and_how_far_replicas_are() {
        let expected = "\
a is a member of cluster f00
version 1, leader of group 0: a:6356

MEMBER  ADDRESS  SERVICE  CONNECTED    SKEW
a       a:6356   a:6355   itself       +1.2 ms
b       b:6356   b:6355   yes          +1.2 ms
c       c:6356   c:6355   no: refused  -

GROUP  LEADER  TERM  LAST LOG  APPLIED  REPLICAS: MATCHED (LAG)
3      a       7     90        89       a 90 (0), b learner 40 (50), c ? (?)";
        assert_eq!(Info::from(info()).human(), expected);
    }

    /// A peer that leads nothing looks broken to whoever is not told why.
    #[test]
    fn a_wrong_clock_is_told() {
        let mut info = info();
        info.clock_outside_ms = -3_600_500;
        info.members[1].clock_outside_ms = 7_250.0;
        let human = Info::from(info).human();
        let told = "\nits clock is wrong, 3600.5 s behind a majority's: it leads no group until that is set\n";
        assert!(human.contains(told), "{human}");
        assert!(human.contains("yes          +1.2 ms: wrong, 7.2 s ahead of a majority's\n"), "{human}");
    }

    #[test]
    fn peers_outside_the_cluster_say_so() {
        let human = |membership: Membership| {
            let info = ClusterInfo { membership: membership.into(), members: vec![], groups: vec![], ..info() };
            Info::from(info).human()
        };
        assert!(human(Membership::NotYet).starts_with("a is not a member of a cluster yet"));
        assert!(human(Membership::Removed).starts_with("a was removed from cluster f00"));
    }

    #[test]
    fn json_keeps_its_keys_and_tells_unknown_from_zero() {
        let json = serde_json::to_value(Info::from(info())).expect("JSON");
        assert_eq!((&json["server_id"], &json["members"][0]["address"]), (&"a".into(), &"a:6356".into()));
        assert_eq!((&json["groups"][0]["id"], &json["groups"][0]["applied_index"]), (&3.into(), &89.into()));
        assert_eq!(json["groups"][0]["replicas"][0]["lag"], 0);
        assert!(json["groups"][0]["replicas"][2]["lag"].is_null());
        assert_eq!(json["membership"], "member");
    }
}
