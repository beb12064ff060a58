//! A cluster of peers on this machine: the first bootstraps, the others are added, and leaders are where a run wants them.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};
use z4_proto::admin_client::AdminClient;
use z4_proto::{AddClusterMemberRequest, ClusterInfo, GetClusterInfoRequest, TransferLeaderRequest};

use crate::clock::Origin;
use crate::error::{Error, Result};
use crate::peer::{Peer, PeerHome};

/// How long the cluster may take for a change.
const WAIT: Duration = Duration::from_secs(600);
/// How often it is asked.
const POLL: Duration = Duration::from_millis(50);

/// One member: its process, and how it is started again.
#[derive(Debug)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// Where the other peers reach it.
    pub address: String,
    /// How it is started.
    pub home: PeerHome,
    /// `None` while it is down.
    pub peer: Option<Peer>,
}

impl Member {
    /// Makes the home of member `number` (1 bootstraps) below `directory`, on ports that are free now, and starts it.
    pub async fn start(binary: &Path, directory: &Path, arguments: &[String], number: usize) -> Result<Self> {
        let (service, peer) = (free_port()?, free_port()?);
        let (id, address) = (format!("peer{number}"), format!("127.0.0.1:{peer}"));
        let mut home = PeerHome::new(binary, &directory.join(&id), arguments)?;
        home.set("Z4_PEER_ID", &id);
        home.set("Z4_SERVICE_PORT", &service.to_string());
        home.set("Z4_PEER_PORT", &peer.to_string());
        home.set("Z4_PEER_ADVERTISE_ADDR", &address);
        home.set("Z4_BOOTSTRAP_CLUSTER", if number == 1 { "true" } else { "false" });
        let peer = Some(home.start().await?);
        Ok(Member { id, address, home, peer })
    }

    /// Where clients reach it.
    pub fn service(&self) -> Result<&str> {
        let down = || Error::Input(format!("{} is down", self.id));
        Ok(&self.peer.as_ref().ok_or_else(down)?.address)
    }

    /// What it knows of the cluster.
    pub async fn info(&self) -> Result<ClusterInfo> {
        info(self.service()?).await
    }
}

/// The admin service of a peer.
async fn admin(address: &str) -> Result<AdminClient<Channel>> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(Error::connect(address))?;
    let endpoint = endpoint.timeout(Duration::from_secs(20));
    Ok(AdminClient::new(endpoint.connect().await.map_err(Error::connect(address))?))
}

/// What a peer knows of the cluster.
async fn info(address: &str) -> Result<ClusterInfo> {
    let answer = admin(address).await?.get_cluster_info(GetClusterInfoRequest {}).await;
    Ok(answer.map_err(Error::call("GetClusterInfo"))?.into_inner())
}

/// Starts `count` peers and makes them one cluster; returns when each is a voter of every group.
pub async fn start(binary: &Path, directory: &Path, arguments: &[String], count: usize) -> Result<Vec<Member>> {
    let mut members = vec![Member::start(binary, directory, arguments, 1).await?];
    for number in 2..=count {
        let member = Member::start(binary, directory, arguments, number).await?;
        add_through(members[0].service()?, &member).await?;
        members.push(member);
    }
    Ok(members)
}

/// Adds a member through the peer at an address and waits until it is a voter of every group; returns how long that took.
pub async fn add_through(address: &str, member: &Member) -> Result<Duration> {
    let clock = Origin::start();
    let (member_address, member_id) = (member.address.clone(), member.id.clone());
    let request = AddClusterMemberRequest { member_address, member_id, ..AddClusterMemberRequest::default() };
    admin(address).await?.add_cluster_member(request).await.map_err(Error::call("AddClusterMember"))?;
    until(&format!("{} is a voter of every group", member.id), async || {
        let info = info(address).await.ok()?;
        let voter = |group: &z4_proto::Group| group.replicas.iter().any(|replica| replica.voter && replica.peer_id == member.id);
        info.groups.iter().all(voter).then_some(())
    })
    .await?;
    Ok(clock.elapsed())
}

/// Moves the leadership of every group to one member.
pub async fn lead_at(leader: &Member) -> Result<()> {
    until(&format!("{} leads every group", leader.id), async || {
        let info = leader.info().await.ok()?;
        let elsewhere: Vec<_> = info.groups.iter().filter(|group| group.leader != leader.id || !group.serves).collect();
        if elsewhere.is_empty() {
            return Some(());
        }
        for group in elsewhere {
            let request = TransferLeaderRequest { group: group.id, member_id: leader.id.clone() };
            // One that fails is tried again.
            let _ = admin(leader.service().ok()?).await.ok()?.transfer_leader(request).await;
        }
        None
    })
    .await
}

/// Looks again and again.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> Result<T> {
    let clock = Origin::start();
    while clock.elapsed() < WAIT {
        if let Some(found) = look().await {
            return Ok(found);
        }
        tokio::time::sleep(POLL).await;
    }
    Err(Error::Stalled { what: format!("it never came true that {what}"), seconds: WAIT.as_secs() })
}

/// A port that nobody listens on now.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(Error::io("no free port"))?;
    Ok(listener.local_addr().map_err(Error::io("no free port"))?.port())
}
