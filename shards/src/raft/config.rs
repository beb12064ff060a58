//! openraft's settings, the same for every group.

use std::sync::Arc;
use std::time::Duration;

use openraft::{Config, SnapshotPolicy};

/// After an answered heartbeat a follower votes for nobody for so long.
pub const LEASE: Duration = Duration::from_millis(700);

/// A follower takes its leader for lost `election_timeout_max` after the last heartbeat (the lease, during which nobody gets its vote)
/// plus 400 to 700 ms: a killed leader is replaced after 1.1 to 1.4 s, and a core that is busy for some hundred milliseconds starts
/// no election. One that is not `elects` starts none before it is told to.
pub fn config(cluster: &str, elects: bool) -> Result<Arc<Config>, String> {
    let config = Config {
        cluster_name: cluster.to_owned(),
        heartbeat_interval: 200,
        election_timeout_min: 400,
        election_timeout_max: LEASE.as_millis() as u64,
        enable_pre_vote: Some(true),
        enable_elect: elects,
        // At least twice the longest election timeout, or openraft refuses it.
        quorum_loss_probe_interval: Some(1_400),
        // Snapshots and purges happen by our own trigger only: in this version a purge that follows a snapshot by itself can
        // overtake a queued apply and stop the replica (databendlabs/openraft#2116).
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        // A term has one leadership: fencing tokens are made of it, so a leader that was restarted takes a new one.
        enable_leader_restore: Some(false),
        max_payload_entries: 64,
        // Not for a whole snapshot: openraft only hands it on, and each step of a transfer may take so long.
        install_snapshot_timeout: 60_000,
        api_channel_size: Some(1_024),
        notification_channel_size: Some(1_024),
        ..Config::default()
    };
    config.validate().map(Arc::new).map_err(|e| e.to_string())
}
