//! What must hold between options, and the texts that have a form.

use std::fmt::Display;

use z4_model::rows::peer_row;
use z4_shards::link::FRAME_BYTES_MAX;
use z4_shards::log::ENTRY_BYTES_MAX;

use super::error::ConfigError;
use super::options::Config;

/// The raft log is written in blocks of this many bytes.
const BLOCK_BYTES: u64 = 4096;

/// What one task of a batch takes in an entry of the raft log beside payload and metadata, and what the rest of such an entry takes.
const TASK_ENTRY_BYTES: u64 = 64;
const COMMAND_ENTRY_BYTES: u64 = 1024;

/// A page of a list has this much when its last task comes.
const PAGE_BYTES: u64 = 8 << 20;

/// What must hold: `less` is not more than `more`. If not, `option` with its `value` is told, and the rule.
struct Relation {
    less: u64,
    more: u64,
    option: &'static str,
    value: u64,
    rule: String,
}

fn rule(option: &'static str, value: impl Display, rule: impl Into<String>) -> Result<(), ConfigError> {
    Err(ConfigError::Rule { option, value: value.to_string(), rule: rule.into() })
}

impl Config {
    /// Checks the relations between options; ranges were checked when the values were taken.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.names()?;
        self.ports()?;
        self.sizes()
    }

    fn names(&self) -> Result<(), ConfigError> {
        if !self.peer_id.is_empty() && !peer_row::is_id(&self.peer_id) {
            let takes = format!("it takes up to {} letters, digits, '.', '_' and '-'", peer_row::ID_BYTES_MAX);
            return rule("peer_id", format!("{:?}", self.peer_id), takes);
        }
        // Port 0 stands for the one that the kernel chooses.
        let chosen = self.peer_advertise_addr.strip_suffix(":0").map(|host| format!("{host}:1"));
        let peer = chosen.as_ref().unwrap_or(&self.peer_advertise_addr);
        for (option, told, address) in [
            ("peer_advertise_addr", &self.peer_advertise_addr, peer),
            ("service_advertise_addr", &self.service_advertise_addr, &self.service_advertise_addr),
        ] {
            if !address.is_empty() && !peer_row::is_address(address) {
                let takes = "it takes host:port (an IPv6 address in brackets), where others reach this machine: no URL, and no address that \
                             stands for all of them";
                return rule(option, format!("{told:?}"), takes);
            }
        }
        if self.db_data_dir == self.peer_data_dir {
            return rule(
                "db_data_dir",
                self.db_data_dir.display(),
                "peer_data_dir is the same; each needs a directory of its own",
            );
        }
        Ok(())
    }

    fn ports(&self) -> Result<(), ConfigError> {
        let ports = [
            ("service_port", self.service_port),
            ("peer_port", self.peer_port),
            ("metrics_port", self.metrics_port),
            ("sql_port", self.sql_port),
        ];
        for (n, (name, port)) in ports.iter().enumerate().filter(|(_, (_, port))| *port != 0) {
            if let Some((earlier, _)) = ports[..n].iter().find(|(_, p)| p == port) {
                return rule(name, port, format!("{earlier} is the same; only 0 may be used twice"));
            }
        }
        Ok(())
    }

    /// Sizes and counts that bound each other: one row each, with the smaller side first.
    fn sizes(&self) -> Result<(), ConfigError> {
        let n = |n: usize| n as u64;
        let one_task = n(self.payload_bytes_max.saturating_add(self.metadata_bytes_max));
        let batch = n(self.batch_bytes_max);
        let batch_entry = batch.saturating_add(n(self.batch_tasks_max) * TASK_ENTRY_BYTES + COMMAND_ENTRY_BYTES);
        let messages = batch.saturating_mul(16);
        let half_segment = self.log_segment_bytes / 2;
        let page = PAGE_BYTES.saturating_add(one_task);
        #[rustfmt::skip]
        let relations = [
            Relation { less: one_task, more: batch, option: "payload_bytes_max", value: n(self.payload_bytes_max), rule: format!(
                "with metadata_bytes_max {} one task would be larger than batch_bytes_max, {batch}", self.metadata_bytes_max) },
            Relation { less: batch_entry, more: n(ENTRY_BYTES_MAX), option: "batch_bytes_max", value: batch, rule: format!(
                "with batch_tasks_max {} one batch would be an entry of {batch_entry} bytes, and no raft log takes more than {ENTRY_BYTES_MAX}",
                self.batch_tasks_max) },
            Relation { less: n(self.entry_bytes_max), more: n(ENTRY_BYTES_MAX), option: "entry_bytes_max", value: n(self.entry_bytes_max),
                rule: format!("no raft log takes an entry of more than {ENTRY_BYTES_MAX}") },
            Relation { less: batch.max(n(self.entry_bytes_max)), more: half_segment, option: "log_segment_bytes", value: self.log_segment_bytes,
                rule: format!("an entry must fit in half of it: batch_bytes_max is {batch}, entry_bytes_max {}", self.entry_bytes_max) },
            Relation { less: page, more: n(FRAME_BYTES_MAX), option: "payload_bytes_max", value: n(self.payload_bytes_max), rule: format!(
                "a page of a list would be {page} bytes, and a frame between peers takes {FRAME_BYTES_MAX}") },
            Relation { less: batch, more: n(self.queued_bytes_max), option: "batch_bytes_max", value: batch,
                rule: format!("queued_bytes_max is less, {}", self.queued_bytes_max) },
            Relation { less: batch_entry, more: n(self.queued_bytes_max), option: "batch_bytes_max", value: batch, rule: format!(
                "with batch_tasks_max {} one batch takes {batch_entry} bytes of queued_bytes_max, {}", self.batch_tasks_max, self.queued_bytes_max) },
            // One message is at most twice the larger of the two, and one connection gets a quarter of what is free.
            Relation { less: messages, more: n(self.request_memory_bytes_max), option: "request_memory_bytes_max",
                value: n(self.request_memory_bytes_max), rule: format!("it takes 16 times batch_bytes_max at least, {messages}") },
            Relation { less: self.log_retained_bytes, more: self.log_held_bytes_max, option: "log_held_bytes_max",
                value: self.log_held_bytes_max, rule: format!("log_retained_bytes is more, {}", self.log_retained_bytes) },
            Relation { less: n(self.sql_query_memory_bytes_max), more: n(self.sql_memory_bytes_max), option: "sql_query_memory_bytes_max",
                value: n(self.sql_query_memory_bytes_max), rule: format!("sql_memory_bytes_max is less, {}", self.sql_memory_bytes_max) },
            Relation { less: n(self.window_namespace_bytes), more: n(self.window_bytes), option: "window_namespace_bytes",
                value: n(self.window_namespace_bytes), rule: format!("window_bytes is less, {}", self.window_bytes) },
        ];
        for Relation { less, more, option, value, rule: text } in relations {
            if less > more {
                return rule(option, value, text);
            }
        }
        if !self.log_segment_bytes.is_multiple_of(BLOCK_BYTES) {
            return rule("log_segment_bytes", self.log_segment_bytes, format!("it takes a multiple of {BLOCK_BYTES}"));
        }
        Ok(())
    }
}
