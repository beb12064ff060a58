//! Every limit of the gRPC edge: one struct, one table of defaults, and the checks of single fields.

use std::collections::BTreeMap;

use super::Invalid;

/// The longest delay of a nack, and the top of the range of a namespace's backoff_ceiling_ms: 30 days.
const DELAY_MS_MAX: u64 = 2_592_000_000;

/// The limits of the gRPC edge. Sizes are bytes, times milliseconds. Options carry the names of these fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest payload of a task, bytes. 1 to 16 MiB; 1 MiB.
    pub payload_bytes_max: usize,
    /// The most metadata entries of a task. 0 to 4,096; 64.
    pub metadata_entries_max: usize,
    /// All keys and values of a task's metadata together, bytes. 0 to 1 MiB; 16 KiB.
    pub metadata_bytes_max: usize,
    /// The longest request id, bytes. 1 to 4,096; 256.
    pub request_id_bytes_max: usize,
    /// The most tasks of a batch. 1 to 10,000; 1,000.
    pub batch_tasks_max: usize,
    /// Payloads and metadata of a batch together, bytes. 1 to 64 MiB; 4 MiB.
    pub batch_bytes_max: usize,
    /// The longest reason of a nack, bytes. 0 to 16 KiB; 1,024.
    pub reason_bytes_max: usize,
    /// The most acks, nacks and extensions of one message together. 1 to 100,000; 10,000.
    pub settles_max: usize,
    /// The most namespaces of one consumer. 1 to 10,000; 1,000.
    pub consumer_namespaces_max: usize,
    /// The most credit that a consumer may have open. 1 to 1,000,000; 1,000,000.
    pub credit_max: u32,
    /// What is delivered to a consumer and not yet sent, bytes. 64 KiB to 64 MiB; 1 MiB.
    pub consumer_buffer_bytes: usize,
    /// The longest wait of LeaseTasks. 0 to 600,000 ms; 60,000.
    pub wait_ms_max: u32,
    /// The largest page of a list, and the most tasks of one LeaseTasks. 1 to 10,000; 1,000.
    pub page_size_max: u32,
    /// The page of a list that asks for none. 1 to `page_size_max`; 100.
    pub page_size_default: u32,
    /// A response that carries several tasks is closed when it has this much payload and metadata, bytes. 1 to 64 MiB; 1 MiB, because
    /// clients take messages of up to 4 MiB unless told otherwise, and one task more may be 1 MiB.
    pub response_bytes_max: usize,
    /// Creates in flight on one stream: the stream is not read while so many are unanswered. 1 to 16,384; 1,024.
    pub in_flight_max: usize,
    /// Payload and metadata of the creates in flight on one stream, bytes: above it the stream is not read. 64 KiB to 256 MiB; 8 MiB.
    pub in_flight_bytes_max: usize,
    /// Messages with acks, nacks or extensions in flight on one consume stream. 1 to 4,096; 64.
    pub settles_in_flight_max: usize,
    /// The largest message that is decoded at all, bytes; what is larger is refused by its length alone. 64 KiB to 256 MiB; 8 MiB.
    pub message_bytes_max: usize,

    /// Open connections of the peer, all shards together. 1 to 1,000,000; 10,000.
    pub connections_max: usize,
    /// Open streams (calls) of one connection. 1 to 65,536; 1,024.
    pub streams_max: u32,
    /// A request's header list, bytes. 1 KiB to 1 MiB; 16 KiB.
    pub header_bytes_max: u32,
    /// Streams of a connection that the client reset before they were taken up; more ends the connection. 1 to 10,000; 64.
    pub pending_resets_max: usize,
    /// What a client may send on a stream beyond what its handler has used up, bytes. 64 KiB to 16 MiB; 256 KiB.
    pub stream_window_bytes: u32,
    /// The same for a connection, all its streams together, bytes. 64 KiB to 64 MiB; 1 MiB.
    pub connection_window_bytes: u32,
    /// A connection that sent no HTTP/2 preface after this time is closed. 100 to 600,000 ms; 10,000.
    pub handshake_ms: u64,
    /// A connection without an open call is asked to go after this time. 1,000 ms to 24 h; 15 min.
    pub idle_ms: u64,
    /// A ping goes out on a silent connection after this time. 1,000 ms to 1 h; 30,000.
    pub keep_alive_ms: u64,
    /// A connection that did not answer the ping after this time is closed. 1,000 to 600,000 ms; 20,000.
    pub keep_alive_timeout_ms: u64,
    /// How long open calls may go on after the peer was asked to stop, or after an idle connection was asked to go. 0 to 600,000 ms;
    /// 5,000.
    pub drain_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            payload_bytes_max: 1 << 20,
            metadata_entries_max: 64,
            metadata_bytes_max: 16 << 10,
            request_id_bytes_max: 256,
            batch_tasks_max: 1_000,
            batch_bytes_max: 4 << 20,
            reason_bytes_max: 1_024,
            settles_max: 10_000,
            consumer_namespaces_max: 1_000,
            credit_max: 1_000_000,
            consumer_buffer_bytes: 1 << 20,
            wait_ms_max: 60_000,
            page_size_max: 1_000,
            page_size_default: 100,
            response_bytes_max: 1 << 20,
            in_flight_max: 1_024,
            in_flight_bytes_max: 8 << 20,
            settles_in_flight_max: 64,
            message_bytes_max: 8 << 20,
            connections_max: 10_000,
            streams_max: 1_024,
            header_bytes_max: 16 << 10,
            pending_resets_max: 64,
            stream_window_bytes: 256 << 10,
            connection_window_bytes: 1 << 20,
            handshake_ms: 10_000,
            idle_ms: 900_000,
            keep_alive_ms: 30_000,
            keep_alive_timeout_ms: 20_000,
            drain_ms: 5_000,
        }
    }
}

/// Refuses a count above its limit.
pub(super) fn at_most(
    field: &'static str,
    found: usize,
    unit: &'static str,
    limit: usize,
    option: &'static str,
) -> Result<(), Invalid> {
    if found > limit {
        return Err(Invalid::TooLarge { field, found, unit, limit, option });
    }
    Ok(())
}

impl Limits {
    /// Checks a payload.
    pub fn payload(&self, payload: &[u8]) -> Result<(), Invalid> {
        at_most("payload", payload.len(), "bytes", self.payload_bytes_max, "payload_bytes_max")
    }

    /// Checks metadata: how many entries, and keys and values together.
    pub fn metadata(&self, metadata: &BTreeMap<String, String>) -> Result<(), Invalid> {
        if metadata.is_empty() {
            return Ok(());
        }
        at_most("metadata", metadata.len(), "entries", self.metadata_entries_max, "metadata_entries_max")?;
        let bytes = metadata_bytes(metadata);
        at_most("metadata", bytes, "bytes", self.metadata_bytes_max, "metadata_bytes_max")
    }

    /// Checks a request id.
    pub fn request_id(&self, request_id: &str) -> Result<(), Invalid> {
        at_most("request_id", request_id.len(), "bytes", self.request_id_bytes_max, "request_id_bytes_max")
    }

    /// Checks the reason of a nack.
    pub fn reason(&self, reason: &str) -> Result<(), Invalid> {
        at_most("reason", reason.len(), "bytes", self.reason_bytes_max, "reason_bytes_max")
    }

    /// A page's size; 0 asks for the default.
    pub fn page_size(&self, asked: u32) -> Result<usize, Invalid> {
        match asked {
            0 => Ok(self.page_size_default as usize),
            n if n <= self.page_size_max => Ok(n as usize),
            n => Err(self.out_of_range("page_size", n, self.page_size_max, "page_items_max")),
        }
    }

    /// The wait of LeaseTasks, milliseconds.
    pub fn wait_ms(&self, asked: u32) -> Result<u64, Invalid> {
        if asked > self.wait_ms_max {
            return Err(self.out_of_range("wait_ms", asked, self.wait_ms_max, "wait_ms_max"));
        }
        Ok(u64::from(asked))
    }

    /// How many tasks one LeaseTasks takes; 0 asks for 1.
    pub fn lease_tasks(&self, asked: u32) -> Result<u32, Invalid> {
        match asked {
            0 => Ok(1),
            n if n <= self.page_size_max => Ok(n),
            n => Err(self.out_of_range("max_tasks", n, self.page_size_max, "page_items_max")),
        }
    }

    /// Checks a lease time of a consumer or an extension; 0 asks for the usual one.
    pub fn lease_ms(&self, asked: u32) -> Result<(), Invalid> {
        match asked {
            0 | 100..=43_200_000 => Ok(()),
            n => {
                let range = "0 (the usual lease time) or 100 to 43200000".to_owned();
                Err(Invalid::OutOfRange { field: "lease_ms", found: n.into(), range })
            }
        }
    }

    /// Checks how long a nack puts its task off: as long as the longest backoff.
    pub fn delay_ms(&self, asked: u64) -> Result<(), Invalid> {
        if asked > DELAY_MS_MAX {
            let range = format!("0 to {DELAY_MS_MAX} (30 days)");
            return Err(Invalid::OutOfRange { field: "delay_ms", found: asked.into(), range });
        }
        Ok(())
    }

    fn out_of_range(&self, field: &'static str, found: u32, limit: u32, option: &'static str) -> Invalid {
        Invalid::OutOfRange { field, found: found.into(), range: format!("0 to {limit} ({option})") }
    }
}

/// Keys and values together.
pub(super) fn metadata_bytes(metadata: &BTreeMap<String, String>) -> usize {
    metadata.iter().map(|(key, value)| key.len() + value.len()).sum()
}

#[cfg(test)]
mod tests {
    //! Each limit holds at its value and is broken one above, with a text that names field, value and limit: users read it.
    use super::*;

    fn text(result: Result<impl std::fmt::Debug, Invalid>) -> String {
        result.expect_err("one above the limit").to_string()
    }

    #[test]
    fn sizes() {
        let limits = Limits::default();
        assert!(limits.payload(&vec![0; 1_048_576]).is_ok());
        assert_eq!(
            text(limits.payload(&vec![0; 1_048_577])),
            "payload has 1048577 bytes; the limit is 1048576 (payload_bytes_max)"
        );
        assert!(limits.request_id(&"x".repeat(256)).is_ok());
        assert_eq!(
            text(limits.request_id(&"x".repeat(257))),
            "request_id has 257 bytes; the limit is 256 (request_id_bytes_max)"
        );
        assert!(limits.reason(&"x".repeat(1_024)).is_ok());
        assert_eq!(text(limits.reason(&"x".repeat(1_025))), "reason has 1025 bytes; the limit is 1024 (reason_bytes_max)");
    }

    #[test]
    fn metadata_is_counted_by_entries_and_by_keys_and_values() {
        let limits = Limits::default();
        let of = |n: usize| (0..n).map(|i| (format!("{i:04}"), "v".to_owned())).collect::<BTreeMap<_, _>>();
        assert!(limits.metadata(&of(64)).is_ok());
        assert_eq!(text(limits.metadata(&of(65))), "metadata has 65 entries; the limit is 64 (metadata_entries_max)");
        let one = |value: usize| BTreeMap::from([("key".to_owned(), "v".repeat(value))]);
        assert!(limits.metadata(&one(16_384 - 3)).is_ok());
        assert_eq!(text(limits.metadata(&one(16_384 - 2))), "metadata has 16385 bytes; the limit is 16384 (metadata_bytes_max)");
    }

    #[test]
    fn numbers() {
        let limits = Limits::default();
        assert_eq!(limits.page_size(0), Ok(100));
        assert_eq!(limits.page_size(1_000), Ok(1_000));
        assert_eq!(text(limits.page_size(1_001)), "page_size is 1001; it takes 0 to 1000 (page_items_max)");
        assert_eq!(limits.wait_ms(60_000), Ok(60_000));
        assert_eq!(text(limits.wait_ms(60_001)), "wait_ms is 60001; it takes 0 to 60000 (wait_ms_max)");
        assert_eq!(limits.lease_tasks(0), Ok(1));
        assert_eq!(text(limits.lease_tasks(1_001)), "max_tasks is 1001; it takes 0 to 1000 (page_items_max)");
        assert!(limits.lease_ms(0).is_ok() && limits.lease_ms(100).is_ok() && limits.lease_ms(43_200_000).is_ok());
        assert_eq!(limits.delay_ms(2_592_000_000), Ok(()));
        assert_eq!(text(limits.delay_ms(2_592_000_001)), "delay_ms is 2592000001; it takes 0 to 2592000000 (30 days)");
        assert_eq!(text(limits.delay_ms(u64::MAX)), "delay_ms is 18446744073709551615; it takes 0 to 2592000000 (30 days)");
        assert_eq!(text(limits.lease_ms(99)), "lease_ms is 99; it takes 0 (the usual lease time) or 100 to 43200000");
    }
}
