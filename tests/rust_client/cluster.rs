//! The cluster through the client.

use z4::client::Client;
use z4_proto::ClusterInfo;

use super::fake::{Fake, Tasks};

#[tokio::test]
async fn admin_calls() {
    let peer = Fake::start(&Tasks::default()).await;
    peer.play().info = ClusterInfo { server_id: "a".into(), ..ClusterInfo::default() };
    let client = Client::connect([peer.address()]).expect("an address");
    assert_eq!(client.check_health().await.expect("served"), peer.address());
    assert_eq!(client.info().await.expect("served").server_id, "a");
    client.add_member("b", "b:6356").await.expect("served");
    client.remove_member("b").await.expect("served");
    client.transfer_leader(3, "b").await.expect("served");
    client.rebalance().await.expect("served");
    let hash = client.state_hash_at(&peer.address(), 1).await.expect("served");
    assert_eq!((hash.applied_index, hash.hash), (42, 0xabc1));
    assert_eq!(peer.play().request_ids, ["b@b:6356", "b", "3>b"]);
}
