//! Leadership is spread over the peers that are there.
//!
//! What would be wrong: one peer that does the work of all, or leaders that never come to rest.

use z4_proto::RebalanceRequest;

use crate::harness::cluster::Cluster;
use crate::harness::members::info;
use crate::harness::wait::until;

/// Waits until each of the running peers leads so many of the three groups.
async fn until_led(cluster: &Cluster, wanted: &[usize]) {
    until(&format!("the peers lead {wanted:?} groups"), async || {
        let mut led = Vec::new();
        for member in cluster.members.iter().filter(|member| member.peer.runs()) {
            led.push(info(&member.client).await.groups.iter().filter(|group| group.serves).count());
        }
        led.sort_unstable();
        (led == wanted).then_some(())
    })
    .await;
}

#[tokio::test]
async fn leaders_even_out_when_they_are_told_to_and_after_a_restart() {
    let mut cluster = Cluster::of_three(&[]).await;
    until_led(&cluster, &[1, 1, 1]).await;
    cluster.lead_all_by("peer-2").await;
    until_led(&cluster, &[0, 0, 3]).await;
    until("peers are told", async || cluster.client("peer-3").admin.clone().rebalance(RebalanceRequest {}).await.ok()).await;
    until_led(&cluster, &[1, 1, 1]).await;

    cluster.member("peer-1").peer.kill().await;
    until_led(&cluster, &[1, 2]).await;
    cluster.restart("peer-1").await;
    until_led(&cluster, &[1, 1, 1]).await;
    let stopped = cluster.member("peer-3").peer.terminate().await;
    assert_eq!(stopped.code(), Some(0), "{stopped}");
    until_led(&cluster, &[1, 2]).await;
}
