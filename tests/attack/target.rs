//! Where a flood goes, and the process that it is.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::harness::members::info;
use crate::harness::wait::until;
use crate::harness::{Client, Peer};

/// A flood ends after this, also when nobody ends it.
pub const LIFE_MAX: Duration = Duration::from_secs(60);

const NAME: &str = "Z4_FLOOD";
const ADDRESSES: &str = "Z4_FLOOD_ADDRESSES";

/// Who is a member and does not exist.
pub const NOBODY: &str = "nobody";

/// Which peer is flooded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// A lone peer.
    Usual,
    /// One that may have few files open.
    FewDescriptors,
    /// One that waits for a second member, which anybody can say to be.
    Member,
}

/// The ports of a peer.
#[derive(Clone, Debug)]
pub struct Target {
    pub service: String,
    pub peer: String,
    pub metrics: String,
    pub sql: String,
}

impl Target {
    /// A peer's.
    pub fn of(peer: &Peer) -> Self {
        Target { service: peer.address(), peer: peer.peer_address(), metrics: peer.metrics_address(), sql: peer.sql_address() }
    }
}

/// Which flood this process is, if it is one.
pub fn asked_for() -> Option<(String, Target)> {
    let addresses = std::env::var(ADDRESSES).ok()?;
    let mut addresses = addresses.split(',').map(str::to_owned);
    let mut next = || addresses.next();
    let target = Target { service: next()?, peer: next()?, metrics: next()?, sql: next()? };
    Some((std::env::var(NAME).ok()?, target))
}

/// A flood at work; it ends when this is dropped.
pub struct Flooding(Child);

impl Flooding {
    /// Starts one. It gets what processor time others leave, and as many file descriptors as there are.
    pub fn start(name: &str, target: &Target) -> Self {
        let Target { service, peer, metrics, sql } = target;
        let this = std::env::current_exe().expect("this program");
        let child = Command::new("sh")
            .args(["-c", "ulimit -n \"$(ulimit -Hn)\"; exec nice -n 19 \"$0\" \"$@\""])
            .arg(this)
            .args(["--ignored", "--exact", "a_flood", "--nocapture"])
            .env(NAME, name)
            .env(ADDRESSES, [&**service, peer, metrics, sql].join(","))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("a process");
        Flooding(child)
    }
}

impl Drop for Flooding {
    fn drop(&mut self) {
        // sh and nice have become the flood itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Makes a member at whose address nobody is.
pub async fn add_nobody(client: &Client) {
    until("a member that is not there is added", async || {
        let request = z4_proto::AddClusterMemberRequest {
            member_id: NOBODY.into(),
            member_address: "127.0.0.1:9".into(),
            force: true,
            ..Default::default()
        };
        client.admin.clone().add_cluster_member(request).await.ok()
    })
    .await;
    until("it is a member", async || info(client).await.members.iter().find(|member| member.id == NOBODY).cloned()).await;
}
