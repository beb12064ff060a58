//! From the configuration to the options of each part.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use z4_shards::log::LogOptions;
use z4_shards::metrics::Metrics;
use z4_shards::partition::PartitionOptions;
use z4_shards::raft::Retention;
use z4_shards::runtime::executor;
use z4_shards::shard::{BatchLimits, ShardOptions, delivery};

use crate::config::Config;
use crate::grpc::Limits;
use crate::links;

/// The log is purged after so many bytes of a group at the latest: each time its partition is synced.
const TRIM_BYTES_MAX: u64 = 192 << 20;

/// Groups that hold tasks in a new cluster.
pub fn groups(config: &Config) -> u16 {
    match config.groups {
        0 => executor::allowed_cores().len().clamp(1, 1024) as u16,
        groups => groups,
    }
}

/// The shards' part.
pub fn shard(config: &Config, metrics: &Metrics, on_fatal: Arc<dyn Fn(&str) + Send + Sync>) -> ShardOptions {
    ShardOptions {
        partitions_dir: config.db_data_dir.clone(),
        partition: PartitionOptions {
            cache_bytes: config.partition_cache_bytes,
            memtable_bytes: config.memtable_bytes,
            ..PartitionOptions::default()
        },
        batch: BatchLimits {
            commands_max: config.entry_commands_max,
            bytes_max: config.entry_bytes_max,
            in_flight_max: config.entries_in_flight_max,
            waiting_max: config.queued_commands_max,
            waiting_bytes_max: config.queued_bytes_max,
            namespaces_max: config.namespaces_max,
            forward_timeout: Duration::from_millis(config.forward_timeout_ms),
        },
        delivery: delivery::Limits {
            window_bytes_max: config.window_namespace_bytes,
            total_bytes_max: config.window_bytes,
            claim_grace_ms: config.lease_claim_grace_ms,
            hold_wait_ms: config.forward_timeout_ms,
            ..delivery::Limits::default()
        },
        clock_skew_warn_ms: config.clock_skew_warn_ms,
        clock_skew_max_ms: config.clock_skew_max_ms,
        trim_bytes: config.log_retained_bytes.saturating_mul(3).min(TRIM_BYTES_MAX),
        retention: Retention { retained_bytes: config.log_retained_bytes, held_bytes_max: config.log_held_bytes_max },
        metrics: metrics.clone(),
        on_fatal,
    }
}

/// How a shard's raft log is kept.
pub fn log(config: &Config) -> LogSettings {
    LogSettings { segment_bytes: config.log_segment_bytes, cache_bytes_max: config.log_cache_bytes as u64 }
}

/// The log's options that may cross to another thread.
#[derive(Clone, Copy, Debug)]
pub struct LogSettings {
    segment_bytes: u64,
    cache_bytes_max: u64,
}

impl LogSettings {
    /// The options, on the log's executor.
    pub fn options(self, metrics: &Metrics) -> LogOptions {
        let fdatasync_seconds = metrics.fdatasync_seconds.clone();
        LogOptions {
            segment_bytes: self.segment_bytes,
            cache_bytes_max: self.cache_bytes_max,
            observe: Some(Rc::new(move |frame| fdatasync_seconds.observe(frame.fdatasync.as_secs_f64()))),
            #[cfg(debug_assertions)]
            disk: crate::process::test_hooks::disk(),
            ..LogOptions::default()
        }
    }
}

/// The limits of the gRPC edge.
pub fn grpc(config: &Config) -> Limits {
    Limits {
        payload_bytes_max: config.payload_bytes_max,
        metadata_entries_max: config.metadata_entries_max,
        metadata_bytes_max: config.metadata_bytes_max,
        batch_tasks_max: config.batch_tasks_max,
        batch_bytes_max: config.batch_bytes_max,
        page_size_max: config.page_items_max as u32,
        // Room for what else a request says; what is larger is refused by its length alone.
        message_bytes_max: 2 * config.batch_bytes_max.max(config.payload_bytes_max),
        request_id_bytes_max: config.request_id_bytes_max,
        reason_bytes_max: config.reason_bytes_max,
        settles_max: config.settles_max,
        consumer_namespaces_max: config.consumer_namespaces_max,
        wait_ms_max: config.wait_ms_max as u32,
        header_bytes_max: config.header_bytes_max as u32,
        connections_max: config.connections_max,
        streams_max: config.streams_per_connection_max as u32,
        in_flight_max: config.in_flight_per_stream_max,
        credit_max: config.consumer_credit_max as u32,
        consumer_buffer_bytes: config.consumer_buffer_bytes,
        handshake_ms: config.handshake_timeout_ms,
        keep_alive_ms: config.keepalive_interval_ms,
        keep_alive_timeout_ms: config.keepalive_timeout_ms,
        drain_ms: config.drain_timeout_ms,
        ..Limits::default()
    }
}

/// The address under which the other peers reach this one: as configured, where port 0 stands for the one that the kernel chose; or
/// where it listens.
pub fn advertised(config: &Config, peer_port: u16) -> String {
    match config.peer_advertise_addr.rsplit_once(':') {
        Some((host, "0")) => format!("{host}:{peer_port}"),
        Some(_) => config.peer_advertise_addr.clone(),
        None if config.bind_address.is_unspecified() => format!("127.0.0.1:{peer_port}"),
        None => SocketAddr::new(config.bind_address, peer_port).to_string(),
    }
}

/// Others would look for this peer on their own machine: said at the start, where it listens for more than this one.
pub fn warn_of_loopback(config: &Config, advertised: &str) {
    if links::is_loopback(advertised) && !config.bind_address.is_loopback() {
        let address = advertised;
        tracing::info!(
            address,
            "only peers on this machine reach this one; set peer_advertise_addr for others (--peer-advertise-addr)"
        );
    }
}

/// Where clients reach this peer: as configured, or the host that it advertises to peers with the service port.
pub fn service_address(config: &Config, advertised: &str, service_port: u16) -> String {
    if !config.service_advertise_addr.is_empty() {
        return config.service_advertise_addr.clone();
    }
    let host = advertised.rsplit_once(':').map_or(advertised, |(host, _)| host);
    format!("{host}:{service_port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer that advertises a port on which it does not listen is one that nobody can dial.
    #[test]
    fn the_advertised_address_follows_the_port() {
        let advertises = |address: &str, bind: &str| {
            let bind_address = bind.parse().expect("an address");
            advertised(&Config { peer_advertise_addr: address.into(), bind_address, ..Config::default() }, 7001)
        };
        assert_eq!(advertises("", "0.0.0.0"), "127.0.0.1:7001");
        assert_eq!(advertises("", "10.0.0.2"), "10.0.0.2:7001");
        assert_eq!(advertises("", "::1"), "[::1]:7001");
        assert_eq!(advertises("b:0", "0.0.0.0"), "b:7001");
        assert_eq!(advertises("b:1", "0.0.0.0"), "b:1");
    }
}
