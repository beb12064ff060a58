//! Members come and go, one peer alone: what a wish comes to when the other peer never answers, and what is refused. What would be
//! wrong: a peer that never comes up holds the groups up, or cannot be taken out again; an id or a number is given out twice.

use tonic::{Code, Status};
use z4_proto::*;

use crate::harness::members::{add, add_as, info, remove, transfer, until_replicas};
use crate::harness::wait::{until, within};
use crate::harness::{Peer, create};

fn refused(result: Result<(), Status>, code: Code, says: &[&str]) {
    let status = result.expect_err("it is refused");
    assert_eq!(status.code(), code, "{status}");
    says.iter().for_each(|text| assert!(status.message().contains(text), "{text} is not in: {}", status.message()));
}

/// An address on this machine at which nobody listens.
const NOBODY: &str = "127.0.0.1:9";

/// The wish is stored, every group gives the peer a replica without a vote, everything goes on, and it can be taken out again.
#[tokio::test]
async fn a_peer_that_never_comes_up_does_no_harm() {
    let mut peer = Peer::start().await;
    let client = peer.client().await;
    refused(add(&client, "peer-2", NOBODY).await, Code::FailedPrecondition, &["member_address", NOBODY, "--force"]);
    assert_eq!(info(&client).await.members.len(), 1, "nothing was stored");
    add_as(&client, "peer-2", NOBODY, "force").await.expect("the wish is stored");
    add(&client, "peer-2", NOBODY).await.expect("again is fine");
    let seen = until_replicas(&client, &["peer-1+", "peer-2"]).await;
    assert_eq!(seen.members.iter().map(|m| (m.number, m.id.as_str())).collect::<Vec<_>>(), [(1, "peer-1"), (2, "peer-2")]);
    assert!(!seen.members[1].connected && seen.members[1].address == NOBODY, "{:?}", seen.members);
    until("the reason is told", async || (!info(&client).await.members[1].connection_error.is_empty()).then_some(())).await;
    client.created(create("emails", "x")).await;
    let seen = info(&client).await;
    assert!(seen.groups.iter().all(|group| group.members == ["peer-1"]), "no vote for who has nothing");
    let learner = seen.groups[0].replicas.iter().find(|replica| !replica.voter).expect("the learner");
    assert_eq!((learner.matched_index, learner.lag), (Some(0), Some(seen.groups[0].last_log_index)));
    refused(transfer(&client, 1, "peer-2").await, Code::FailedPrecondition, &["not a voter", "group 1"]);

    // What is wished outlives the process.
    drop(client);
    peer.kill().await;
    peer.restart().await;
    let client = peer.client().await;
    until_replicas(&client, &["peer-1+", "peer-2"]).await;
    remove(&client, "peer-2").await.expect("the wish is stored");
    remove(&client, "peer-2").await.expect("again is fine");
    let seen = until_replicas(&client, &["peer-1+"]).await;
    assert_eq!(seen.members.len(), 1);
    client.created(create("emails", "y")).await;
    add_as(&client, "peer-2", NOBODY, "force").await.expect("id and address are free again");
    let seen = until_replicas(&client, &["peer-1+", "peer-2"]).await;
    assert_eq!(seen.members[1].number, 3, "numbers are not used again");
    add_as(&client, "peer-2", NOBODY, "force replace").await.expect("another disk takes its place");
    let seen = until("the number of the one that has replaced it", async || {
        let seen = info(&client).await;
        (seen.members.len() == 2 && seen.members[1].number == 4).then_some(seen)
    });
    assert_eq!(seen.await.members[1].id, "peer-2");
    until_replicas(&client, &["peer-1+", "peer-2"]).await;
}

/// Each refusal has its code and names the field and the value.
#[tokio::test]
async fn what_cannot_be_is_refused() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let own = info(&client).await.members[0].address.clone();
    add_as(&client, "peer-2", NOBODY, "force").await.expect("the wish is stored");
    refused(add(&client, "peer-2", "127.0.0.1:10").await, Code::AlreadyExists, &["member_id", "peer-2", NOBODY]);
    refused(add(&client, "peer-3", NOBODY).await, Code::AlreadyExists, &["member_address", NOBODY, "peer-2"]);
    refused(add(&client, "peer-3", &own).await, Code::AlreadyExists, &["member_address", "peer-1"]);
    refused(add(&client, "", NOBODY).await, Code::InvalidArgument, &["member_id", "\"\""]);
    refused(add(&client, "a b", NOBODY).await, Code::InvalidArgument, &["member_id", "\"a b\""]);
    refused(add(&client, "peer-3", "nowhere").await, Code::InvalidArgument, &["member_address", "nowhere", "host:port"]);
    refused(add_as(&client, "peer-3", "0.0.0.0:1", "force").await, Code::InvalidArgument, &["member_address", "0.0.0.0:1"]);
    refused(remove(&client, "peer-9").await, Code::NotFound, &["member_id", "peer-9"]);
    // Nobody has been there: with this one everything would go, and nobody could let another one in.
    refused(
        remove(&client, "peer-1").await,
        Code::FailedPrecondition,
        &["member_id", "peer-1", "no other member has a vote in group 0"],
    );
    refused(add_as(&client, "peer-1", &own, "replace force").await, Code::FailedPrecondition, &["peer-1", "no other member"]);
    client.created(create("emails", "x")).await;
    remove(&client, "peer-2").await.expect("the wish is stored");
    refused(remove(&client, "peer-1").await, Code::FailedPrecondition, &["peer-1", "last member"]);
    refused(add_as(&client, "peer-1", &own, "replace force").await, Code::FailedPrecondition, &["peer-1", "last member"]);

    refused(transfer(&client, 99, "peer-1").await, Code::NotFound, &["group 99", "0 to 3"]);
    refused(transfer(&client, 1, "peer-9").await, Code::NotFound, &["member_id", "peer-9"]);
    refused(transfer(&client, 1, "peer-2").await, Code::NotFound, &["member_id", "peer-2"]);
    transfer(&client, 1, "peer-1").await.expect("it leads already");
    within("Rebalance", client.admin.clone().rebalance(RebalanceRequest {})).await.expect("nothing to move");
    assert_eq!(info(&client).await.members.len(), 1);
}

/// The hash tells one state from another, and belongs to the index that comes with it.
#[tokio::test]
async fn a_state_has_its_hash() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let hash = async |group: u32| {
        let request = GetStateHashRequest { group };
        within("GetStateHash", client.admin.clone().get_state_hash(request)).await.map(tonic::Response::into_inner)
    };
    let mut before = Vec::new();
    for group in 0..=3 {
        before.push(hash(group).await.expect("a hash"));
    }
    assert!(before[0].applied_index > 0 && before[0].hash != 0, "{before:?}");
    assert_eq!(hash(0).await.expect("a hash"), before[0], "nothing happened");
    client.created(create("emails", "x")).await;
    let mut changed = 0;
    for (group, before) in (0..=3).zip(&before) {
        let after = hash(group).await.expect("a hash");
        assert_eq!(after.hash != before.hash, after.applied_index > before.applied_index, "{before:?} {after:?}");
        changed += u32::from(after.hash != before.hash);
    }
    assert_eq!(changed, 1, "one group has the task");
    assert_eq!(hash(4).await.expect_err("no such group").code(), Code::NotFound);
}

/// A peer that belongs to no cluster says so, and refuses what only a member can do.
#[tokio::test]
async fn a_peer_without_a_cluster_says_so() {
    let peer = Peer::start_with(&[("Z4_BOOTSTRAP_CLUSTER", "false"), ("Z4_PEER_ID", "peer-7")]).await;
    let client = peer.client().await;
    let seen = info(&client).await;
    assert_eq!((seen.membership(), seen.server_id.as_str()), (Membership::NotYet, "peer-7"));
    assert!(seen.members.is_empty() && seen.groups.is_empty() && seen.cluster_id.is_empty(), "{seen:?}");
    for result in [add(&client, "peer-8", NOBODY).await, remove(&client, "peer-7").await, transfer(&client, 0, "peer-7").await] {
        refused(result, Code::FailedPrecondition, &["peer-7", "no cluster yet"]);
    }
}
