//! The table: every option with its name, type, default, range, unit and help. Nothing else in z4 knows these.
//!
//! From a row follow the field, the flag (`--service-port`), the environment variable (`Z4_SERVICE_PORT`), the TOML key
//! (`service_port`), the line in `z4 --help` and the field's documentation.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use super::value::{LogFormat, OptionValue, Takes, Unit, describe};

/// What is known about one option.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its name, as in [`Config`] and as the TOML key.
    pub name: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// The unit of its number.
    pub unit: Unit,
    pub(super) quoted: bool,
    pub(super) alone: Option<&'static str>,
    pub(super) placeholder: &'static str,
}

/// Options that belong together.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// Its heading.
    pub title: &'static str,
    /// Its options.
    pub options: &'static [Spec],
}

impl Spec {
    /// `--service-port`, without the dashes in front.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// `Z4_SERVICE_PORT`.
    pub fn variable(&self) -> String {
        format!("Z4_{}", self.name.to_ascii_uppercase())
    }

    /// What it takes, with the unit.
    pub fn range(&self) -> String {
        describe(self.takes, self.unit)
    }

    /// Every option.
    pub fn all() -> impl Iterator<Item = &'static Spec> {
        SPECS.iter().flat_map(|s| s.options)
    }
}

fn within(takes: Takes, number: Option<u64>) -> bool {
    match (takes, number) {
        (Takes::Range(from, to), Some(n)) => (from..=to).contains(&n),
        _ => true,
    }
}

macro_rules! options {
    ($($section:literal { $( $(#[doc = $help:literal])+ $name:ident: $t:ty = $default:expr, $takes:expr, $unit:expr; )+ })+) => {
        /// The configuration of a peer. Made by [`load`](super::load), then checked; the defaults alone are valid, too.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Config { $($( $(#[doc = $help])+ pub $name: $t, )+)+ }

        impl Default for Config {
            fn default() -> Self {
                Config { $($( $name: $default, )+)+ }
            }
        }

        /// Every option, by section.
        pub const SPECS: &[Section] = &[$(Section {
            title: $section,
            options: &[$(Spec {
                name: stringify!($name),
                help: concat!($($help),+),
                takes: $takes,
                unit: $unit,
                quoted: <$t as OptionValue>::QUOTED,
                alone: <$t as OptionValue>::ALONE,
                placeholder: <$t as OptionValue>::PLACEHOLDER,
            }),+],
        }),+];

        impl Config {
            /// Sets one option from text. `None`: there is no such option, or the text is no value for it.
            pub(super) fn set(&mut self, name: &str, text: &str) -> Option<()> {
                match name {
                    $($( stringify!($name) => {
                        let value = <$t as OptionValue>::parse(text, $unit)?;
                        within($takes, OptionValue::number(&value)).then(|| self.$name = value)
                    } )+)+
                    _ => None,
                }
            }

            /// One option as text. `None`: there is no such option.
            pub fn get(&self, name: &str) -> Option<String> {
                match name {
                    $($( stringify!($name) => Some(OptionValue::show(&self.$name)), )+)+
                    _ => None,
                }
            }
        }
    };
}

use Takes::{Range, Text};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const BOOL: Takes = Text("true or false");
const PORT: Takes = Range(0, 65_535);

options! {
    "Peer" {
        /// This peer's name in the cluster, for ever. Empty: one is made up at the first start and kept in the peer directory.
        peer_id: String = String::new(), Text("up to 64 letters, digits, '.', '_' and '-'"), Unit::None;
        /// Where other peers reach this one. When it is another address than before, the cluster is told at the start. Empty: bind_address,
        /// or 127.0.0.1 when that is all interfaces, with the peer port: good for peers on one machine.
        peer_advertise_addr: String = String::new(), Text("host:port"), Unit::None;
        /// Where clients reach this peer, as other peers tell them. Empty: the host of peer_advertise_addr with the service port.
        service_advertise_addr: String = String::new(), Text("host:port"), Unit::None;
        /// Start a new cluster with this peer as its first member, when its directories are empty. Has no effect later.
        bootstrap_cluster: bool = false, BOOL, Unit::None;
        /// Where the tasks are kept: one partition per group.
        db_data_dir: PathBuf = "z4data".into(), Text("a directory, made when missing"), Unit::None;
        /// Where this peer keeps its identity and the raft logs. Acknowledged writes wait for this disk.
        peer_data_dir: PathBuf = "z4peer".into(), Text("a directory, made when missing"), Unit::None;
    }
    "Addresses" {
        /// The address to listen on, for all ports. All interfaces is the default, because a peer in a container or in a cluster is
        /// there to be reached; --dev listens on 127.0.0.1 alone. z4 knows no users yet: keep its ports off the internet.
        bind_address: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED), Text("an IPv4 or IPv6 address"), Unit::None;
        /// gRPC for clients. 0: the kernel chooses, and the ready line and ports.json in the peer directory tell.
        service_port: u16 = 6355, PORT, Unit::None;
        /// Links between peers. 0: the kernel chooses.
        peer_port: u16 = 6356, PORT, Unit::None;
        /// HTTP: /metrics for Prometheus, /healthz and /livez. 0: the kernel chooses.
        metrics_port: u16 = 2112, PORT, Unit::None;
        /// MySQL's protocol, for SQL. 0: the kernel chooses.
        sql_port: u16 = 3306, PORT, Unit::None;
    }
    "SQL" {
        /// Listen for MySQL clients, which may only read.
        sql_enabled: bool = true, BOOL, Unit::None;
        /// Who may ask: one `name:hash` per line, made by `z4t sql-user`. Empty: anybody, without a password, from this machine alone.
        sql_users: String = String::new(), Text("a file"), Unit::None;
        /// Connections of MySQL clients at a time.
        sql_connections_max: usize = 200, Range(1, 10_000), Unit::None;
        /// Queries that run at a time; more of them wait.
        sql_queries_max: usize = 4, Range(1, 256), Unit::None;
        /// Memory that one query may hold to sort, group and read ahead.
        sql_query_memory_bytes_max: usize = 64 * MIB as usize, Range(4 * MIB, 64 * GIB), Unit::Bytes;
        /// The same for all queries together.
        sql_memory_bytes_max: usize = 128 * MIB as usize, Range(4 * MIB, 256 * GIB), Unit::Bytes;
        /// A query is ended after this, unless its session sets max_execution_time.
        sql_execution_ms_max: u64 = 30_000, Range(1, 86_400_000), Unit::Ms;
        /// A query may lack bounds of deliver_at when its namespaces have at most so many tasks together, and one that asks for all of
        /// tasks, as a dump does, when all namespaces have. 0: every query must bound both.
        sql_unbounded_rows_max: u64 = 0, Range(0, 1_000_000_000), Unit::None;
        /// What a MySQL client may send in one statement.
        sql_packet_bytes_max: usize = 16 * MIB as usize, Range(64 * KIB, GIB), Unit::Bytes;
        /// A MySQL connection that asks nothing for so long is closed.
        sql_idle_timeout_ms: u64 = 28_800_000, Range(1_000, 604_800_000), Unit::Ms;
    }
    "Clocks" {
        /// A peer whose clock is further than this from what a majority of the members' clocks say goes by theirs and leads no group.
        clock_skew_max_ms: u64 = 2_000, Range(100, 3_600_000), Unit::Ms;
    }
    "Shards" {
        /// Executors, each pinned to a core. 0: one per core.
        shards: usize = 0, Range(0, 256), Unit::None;
        /// Groups of the new cluster that hold tasks; fixed when the cluster is bootstrapped. 0: as many as there are cores.
        groups: u16 = 0, Range(0, 1024), Unit::None;
    }
    "Logs" {
        /// A peer whose clock differs from this one's by more than this is named in the log, once a minute.
        clock_skew_warn_ms: u64 = 500, Range(1, 3_600_000), Unit::Ms;
        /// Log what happens in detail.
        debug_logging_enabled: bool = false, BOOL, Unit::None;
        /// The form of the log on stderr.
        log_format: LogFormat = LogFormat::Text, Text("text or json"), Unit::None;
    }
    "Limits of one request" {
        /// The payload of one task.
        payload_bytes_max: usize = MIB as usize, Range(1, 16 * MIB), Unit::Bytes;
        /// Metadata entries of one task.
        metadata_entries_max: usize = 64, Range(0, 4096), Unit::None;
        /// Metadata keys and values of one task together.
        metadata_bytes_max: usize = 16 * KIB as usize, Range(0, MIB), Unit::Bytes;
        /// The request id of a create.
        request_id_bytes_max: usize = 256, Range(1, 4096), Unit::Bytes;
        /// The reason of a nack.
        reason_bytes_max: usize = 1024, Range(0, 1024), Unit::Bytes;
        /// Acks, nacks and extensions of one message together.
        settles_max: usize = 10_000, Range(1, 100_000), Unit::None;
        /// Namespaces of one consumer.
        consumer_namespaces_max: usize = 1000, Range(1, 10_000), Unit::None;
        /// The longest wait of LeaseTasks.
        wait_ms_max: u64 = 60_000, Range(0, 600_000), Unit::Ms;
        /// Tasks of one CreateTasks.
        batch_tasks_max: usize = 1000, Range(1, 65_536), Unit::None;
        /// One batch, payloads and metadata together.
        batch_bytes_max: usize = 4 * MIB as usize, Range(KIB, 16 * MIB), Unit::Bytes;
        /// Tasks or namespaces on one page of a list.
        page_items_max: usize = 1000, Range(1, 100_000), Unit::None;
    }
    "Limits of connections" {
        /// Memory that the peer holds for its callers, on all ports: connections, open calls, what they sent and was not used up, answers and
        /// deliveries that wait to be read, what links are to send. A call for which there is none is refused with RESOURCE_EXHAUSTED, a stream
        /// waits, a consumer that does not read is ended; one connection gets a quarter of what is free at most.
        request_memory_bytes_max: usize = 256 * MIB as usize, Range(16 * MIB, 1024 * GIB), Unit::Bytes;
        /// Connections of gRPC clients at a time.
        connections_max: usize = 10_000, Range(1, 1_000_000), Unit::None;
        /// Rpcs at a time on one connection.
        streams_per_connection_max: usize = 1024, Range(1, 65_536), Unit::None;
        /// The headers of one request.
        header_bytes_max: u64 = 16 * KIB, Range(KIB, MIB), Unit::Bytes;
        /// Requests of one stream that wait for their answer.
        in_flight_per_stream_max: usize = 1024, Range(1, 16_384), Unit::None;
        /// Tasks that one consumer can be granted without settling them (its credit).
        consumer_credit_max: usize = 65_536, Range(1, 1_000_000), Unit::None;
        /// Deliveries on their way to one consumer that it has not taken.
        consumer_buffer_bytes: usize = MIB as usize, Range(64 * KIB, 64 * MIB), Unit::Bytes;
        /// How long a new connection may take until it speaks HTTP/2.
        handshake_timeout_ms: u64 = 10_000, Range(100, 600_000), Unit::Ms;
        /// A connection that is silent for so long is asked whether it lives.
        keepalive_interval_ms: u64 = 20_000, Range(1_000, 3_600_000), Unit::Ms;
        /// And is closed when it has not answered within this.
        keepalive_timeout_ms: u64 = 10_000, Range(1_000, 600_000), Unit::Ms;
        /// How long a request waits inside the peer for its group's leader and that one's answer, then it is answered UNAVAILABLE.
        forward_timeout_ms: u64 = 10_000, Range(100, 600_000), Unit::Ms;
        /// After a leader that went without a word: how long tasks that were due before wait for consumers that still hold them; claims that come
        /// in time are waited for, as long again at most.
        lease_claim_grace_ms: u64 = 2_000, Range(0, 60_000), Unit::Ms;
        /// How long a stop waits for what is in flight.
        drain_timeout_ms: u64 = 10_000, Range(0, 600_000), Unit::Ms;
    }
    "Limits of a shard" {
        /// Messages that wait in a shard's mailbox; more are refused with RESOURCE_EXHAUSTED.
        mailbox_messages_max: usize = 16_384, Range(64, 1_048_576), Unit::None;
        /// Commands that wait for a place in an entry, per group; more are refused with RESOURCE_EXHAUSTED.
        queued_commands_max: usize = 65_536, Range(64, 1_048_576), Unit::None;
        /// The same in bytes.
        queued_bytes_max: usize = 64 * MIB as usize, Range(MIB, 4 * GIB), Unit::Bytes;
        /// Commands in one entry of the raft log.
        entry_commands_max: usize = 4096, Range(1, 65_536), Unit::None;
        /// One entry of the raft log. A single larger command still becomes an entry of its own.
        entry_bytes_max: usize = 4 * MIB as usize, Range(64 * KIB, 16 * MIB), Unit::Bytes;
        /// Namespaces of one group; a request that would make one more is refused with RESOURCE_EXHAUSTED, but for those that are on their
        /// way at that moment.
        namespaces_max: u64 = 1_000_000, Range(1, 1_000_000_000), Unit::None;
        /// Entries of one group that are proposed and not yet committed.
        entries_in_flight_max: usize = 1, Range(1, 64), Unit::None;
    }
    "Disk" {
        /// While less than this is left on a disk of this peer, the groups that it leads refuse creates with RESOURCE_EXHAUSTED, and so
        /// does every group most of whose peers have less left. Acks, deletes and reads go on. 0: nothing is refused, and the process
        /// ends with status 74 when the disk is full.
        disk_reserve_bytes: u64 = 512 * MIB, Range(0, 1024 * GIB), Unit::Bytes;
    }
    "Memory and disk of a shard" {
        /// One segment file of the raft log, allocated as a whole; a multiple of 4096.
        log_segment_bytes: u64 = 64 * MIB, Range(MIB, GIB), Unit::Bytes;
        /// Recent log entries kept in memory, per shard.
        log_cache_bytes: usize = 8 * MIB as usize, Range(MIB, 4 * GIB), Unit::Bytes;
        /// Applied log entries kept on disk, per group, so that a peer that was away for a moment needs no snapshot. A leader keeps
        /// fewer when every peer has them. Between two purges up to three times as much is added, at most 192 MiB.
        log_retained_bytes: u64 = 64 * MIB, Range(MIB, 64 * GIB), Unit::Bytes;
        /// Log entries that a leader keeps at most for a peer that is there and catches up, per group; one that is further behind
        /// gets a snapshot. For one that gets a snapshot it is eight times as much, or as much as is free on the disk; when three quarters of
        /// that are kept, creates are refused until it has caught up.
        log_held_bytes_max: u64 = GIB, Range(MIB, 1024 * GIB), Unit::Bytes;
        /// Tasks that are due (or soon), read ahead from disk for consumers, per group.
        window_bytes: usize = 32 * MIB as usize, Range(MIB, 4 * GIB), Unit::Bytes;
        /// The same for one namespace.
        window_namespace_bytes: usize = 4 * MIB as usize, Range(64 * KIB, GIB), Unit::Bytes;
        /// Cache of blocks read from disk, per partition.
        partition_cache_bytes: u64 = 16 * MIB, Range(MIB, 64 * GIB), Unit::Bytes;
        /// A partition's writes are collected in memory up to this before they become a file.
        memtable_bytes: u64 = 16 * MIB, Range(MIB, GIB), Unit::Bytes;
    }
}
