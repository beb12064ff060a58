//! A cluster of z4 processes, each behind a [`Network`].

use z4_proto::{ClusterInfo, Group, StateHash};

use super::client::Client;
use super::members::{add, info, remove, state_hash};
use super::network::Network;
use super::peer::Peer;
use super::wait::until;

/// Small, so that three of them fit beside each other on two cores and still change segments: task groups 1 and 2, segments of 4 MiB.
const OPTIONS: [(&str, &str); 5] = [
    ("Z4_GROUPS", "2"),
    ("Z4_LOG_SEGMENT_BYTES", "4194304"),
    ("Z4_BATCH_BYTES_MAX", "2097152"),
    ("Z4_ENTRY_BYTES_MAX", "1048576"),
    ("Z4_DRAIN_TIMEOUT_MS", "1000"),
];

/// Peers need not have as many shards as each other.
const SHARDS: [&str; 3] = ["2", "1", "2"];

/// One peer of a cluster.
pub struct Member {
    /// Its id.
    pub id: String,
    /// Where the others reach it: its address in the network.
    pub address: String,
    /// The process.
    pub peer: Peer,
    /// A connection to it. It lasts across restarts.
    pub client: Client,
}

/// Some peers, and the network between them.
pub struct Cluster {
    /// What can be disturbed.
    pub network: Network,
    /// The peers, in the order in which they were started. Those that were removed stay until they are dropped by the test.
    pub members: Vec<Member>,
    options: Vec<(String, String)>,
    started: usize,
}

impl Cluster {
    /// One peer, which is the cluster: `peer-1`.
    pub async fn of_one(options: &[(&str, &str)]) -> Cluster {
        let own = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let options = OPTIONS.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().chain(own).collect();
        let mut cluster = Cluster { network: Network::new(), members: Vec::new(), options, started: 0 };
        cluster.start().await;
        cluster
    }

    /// Three peers, `peer-1` to `peer-3`, each a voter of every group.
    pub async fn of_three(options: &[(&str, &str)]) -> Cluster {
        let mut cluster = Self::of_one(options).await;
        for _ in 0..2 {
            let id = cluster.start().await;
            cluster.ask_to_add(&id, 0).await;
        }
        cluster.until_voters(&["peer-1", "peer-2", "peer-3"]).await;
        cluster
    }

    /// Starts the next peer, which belongs to the cluster when it is the first one and else waits to be added; its id.
    pub async fn start(&mut self) -> String {
        self.started += 1;
        let id = format!("peer-{}", self.started);
        let address = self.network.attach(&id).await;
        let bootstrap = (self.started == 1).to_string();
        let mut options: Vec<(&str, &str)> = self.options.iter().map(|(name, value)| (&**name, &**value)).collect();
        options.extend([
            ("Z4_PEER_ID", &*id),
            ("Z4_PEER_ADVERTISE_ADDR", &*address),
            ("Z4_BOOTSTRAP_CLUSTER", &*bootstrap),
            ("Z4_SHARDS", SHARDS[(self.started - 1) % SHARDS.len()]),
        ]);
        let peer = Peer::start_with(&options).await;
        self.network.move_to(&id, &peer.peer_address());
        let client = peer.client().await;
        self.members.push(Member { id: id.clone(), address, peer, client });
        id
    }

    /// A peer by its id.
    pub fn member(&mut self, id: &str) -> &mut Member {
        self.members.iter_mut().find(|member| member.id == id).expect("such a peer")
    }

    /// A connection to a peer.
    pub fn client(&self, id: &str) -> Client {
        self.members.iter().find(|member| member.id == id).expect("such a peer").client.clone()
    }

    /// The ids of all peers.
    pub fn ids(&self) -> Vec<String> {
        self.members.iter().map(|member| member.id.clone()).collect()
    }

    /// Starts a process that was ended, and waits until it serves.
    pub async fn restart(&mut self, id: &str) {
        let member = self.members.iter_mut().find(|member| member.id == id).expect("such a peer");
        member.peer.restart().await;
        self.network.move_to(id, &member.peer.peer_address());
    }

    /// Wishes a peer into the cluster, through the peer at an index.
    pub async fn ask_to_add(&self, id: &str, through: usize) {
        let member = self.members.iter().find(|member| member.id == id).expect("such a peer");
        let through = &self.members[through].client;
        // While leaders change, it may have to be asked again.
        until(&format!("{id} is wished into the cluster"), async || add(through, id, &member.address).await.ok()).await;
    }

    /// Wishes a peer out of the cluster, through the peer at an index.
    pub async fn ask_to_remove(&self, id: &str, through: usize) {
        let through = &self.members[through].client;
        until(&format!("{id} is wished out of the cluster"), async || remove(through, id).await.ok()).await;
    }

    /// Waits until each of these peers runs and says that these, and nobody else, have a replica of each group and vote there.
    pub async fn until_voters(&self, ids: &[&str]) {
        for member in self.members.iter().filter(|member| ids.contains(&&*member.id) && member.peer.runs()) {
            until(&format!("{} knows the voters {ids:?} of every group", member.id), async || {
                let groups = info(&member.client).await.groups;
                (!groups.is_empty() && groups.iter().all(|group| has_voters(group, ids))).then_some(())
            })
            .await;
        }
    }

    /// Waits until a group has a leader that serves, by its own word; its id.
    pub async fn leader(&self, group: u32) -> String {
        until(&format!("group {group} is led"), async || {
            for member in self.members.iter().filter(|member| member.peer.runs()) {
                if serves(&info(&member.client).await, group) {
                    return Some(member.id.clone());
                }
            }
            None
        })
        .await
    }

    /// Moves every group to one leader.
    pub async fn lead_all_by(&self, id: &str) {
        let client = self.client(id);
        for group in 0..=2 {
            until(&format!("{id} leads group {group}"), async || {
                let _ = super::members::transfer(&client, group, id).await;
                serves(&info(&client).await, group).then_some(())
            })
            .await;
        }
    }

    /// Waits until every running peer has applied the same of every group, and asserts that it came to the same state.
    pub async fn until_equal(&self) {
        for group in 0..=2 {
            until(&format!("all replicas of group {group} have applied the same"), async || {
                let mut seen: Vec<(&str, StateHash)> = Vec::new();
                for member in self.members.iter().filter(|member| member.peer.runs()) {
                    seen.push((&member.id, state_hash(&member.client, group).await.ok()?));
                }
                let equal = seen.iter().all(|(_, state)| state.applied_index == seen[0].1.applied_index);
                assert!(!equal || seen.iter().all(|(_, state)| state.hash == seen[0].1.hash), "group {group}: {seen:?}");
                equal.then_some(())
            })
            .await;
        }
    }

    /// A namespace of a group: `NAME-0`, `NAME-1` ... whichever is the first one.
    pub async fn namespace_of(&self, group: u32, name: &str) -> String {
        let client = &self.members[0].client;
        for n in 0.. {
            let candidate = format!("{name}-{n}");
            // GetNamespace answers for namespaces without tasks as well.
            if until("a namespace", async || client.try_namespace(&candidate).await.ok()).await.group == group {
                return candidate;
            }
        }
        unreachable!("every group has slots")
    }
}

/// Replicas of a group are these voters and nobody else.
fn has_voters(group: &Group, ids: &[&str]) -> bool {
    let mut voters: Vec<&str> = group.replicas.iter().filter(|replica| replica.voter).map(|r| r.peer_id.as_str()).collect();
    voters.sort_unstable();
    voters == ids && group.replicas.len() == ids.len()
}

/// The peer that answers leads this group and takes requests.
pub fn serves(info: &ClusterInfo, group: u32) -> bool {
    info.groups.iter().any(|g| g.id == group && g.serves)
}
