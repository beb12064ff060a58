//! openraft's settings, the same for every group.

use std::sync::Arc;

use openraft::{Config, SnapshotPolicy};

/// Heartbeats every 250 ms and elections after 1 to 2 s without one: a core that is busy for some hundred milliseconds starts no
/// election.
pub fn config(cluster: &str) -> Result<Arc<Config>, String> {
    let config = Config {
        cluster_name: cluster.to_owned(),
        heartbeat_interval: 250,
        election_timeout_min: 1_000,
        election_timeout_max: 2_000,
        enable_pre_vote: Some(true),
        // At least twice the longest election timeout, or openraft refuses it.
        quorum_loss_probe_interval: Some(4_000),
        // Snapshots and purges happen by our own trigger only: in this version a purge that follows a snapshot by itself can
        // overtake a queued apply and stop the replica (databendlabs/openraft#2116).
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        // A term has one leadership: fencing tokens are made of it, so a leader that was restarted takes a new one.
        enable_leader_restore: Some(false),
        max_payload_entries: 64,
        api_channel_size: Some(1_024),
        notification_channel_size: Some(1_024),
        ..Config::default()
    };
    config.validate().map(Arc::new).map_err(|e| e.to_string())
}
