//! What must hold between options, and the texts that have a form.

use std::fmt::Display;

use super::error::ConfigError;
use super::options::Config;

/// The longest peer id, in bytes.
const PEER_ID_BYTES_MAX: usize = 64;

/// The raft log is written in blocks of this many bytes.
const BLOCK_BYTES: u64 = 4096;

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
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if self.peer_id.len() > PEER_ID_BYTES_MAX || !self.peer_id.chars().all(allowed) {
            let takes = format!("it takes up to {PEER_ID_BYTES_MAX} letters, digits, '.', '_' and '-'");
            return rule("peer_id", format!("{:?}", self.peer_id), takes);
        }
        let (peer, service) = (&self.peer_advertise_addr, &self.service_advertise_addr);
        for (option, address) in [("peer_advertise_addr", peer), ("service_advertise_addr", service)] {
            let port =
                address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse::<u16>().ok());
            if port.is_none() && (option == "peer_advertise_addr" || !address.is_empty()) {
                return rule(option, format!("{address:?}"), "it takes host:port");
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

    fn sizes(&self) -> Result<(), ConfigError> {
        let one_task = self.payload_bytes_max.saturating_add(self.metadata_bytes_max);
        if one_task > self.batch_bytes_max {
            let fits = format!(
                "with metadata_bytes_max {} one task would be larger than batch_bytes_max, {}",
                self.metadata_bytes_max, self.batch_bytes_max
            );
            return rule("payload_bytes_max", self.payload_bytes_max, fits);
        }
        if self.batch_bytes_max as u64 > self.log_segment_bytes / 2 || self.entry_bytes_max as u64 > self.log_segment_bytes / 2 {
            let fits = format!(
                "an entry must fit in half of it: batch_bytes_max is {}, entry_bytes_max {}",
                self.batch_bytes_max, self.entry_bytes_max
            );
            return rule("log_segment_bytes", self.log_segment_bytes, fits);
        }
        if !self.log_segment_bytes.is_multiple_of(BLOCK_BYTES) {
            return rule("log_segment_bytes", self.log_segment_bytes, format!("it takes a multiple of {BLOCK_BYTES}"));
        }
        if self.log_held_bytes_max < self.log_retained_bytes {
            let least = format!("log_retained_bytes is more, {}", self.log_retained_bytes);
            return rule("log_held_bytes_max", self.log_held_bytes_max, least);
        }
        if self.batch_bytes_max > self.queued_bytes_max {
            return rule("batch_bytes_max", self.batch_bytes_max, format!("queued_bytes_max is less, {}", self.queued_bytes_max));
        }
        if self.sql_query_memory_bytes_max > self.sql_memory_bytes_max {
            let least = format!("sql_memory_bytes_max is less, {}", self.sql_memory_bytes_max);
            return rule("sql_query_memory_bytes_max", self.sql_query_memory_bytes_max, least);
        }
        if self.window_namespace_bytes > self.window_bytes {
            return rule(
                "window_namespace_bytes",
                self.window_namespace_bytes,
                format!("window_bytes is less, {}", self.window_bytes),
            );
        }
        Ok(())
    }
}
