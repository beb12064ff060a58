//! Every bound of the SQL port.

use std::time::Duration;

/// Bounds of the listener, its connections and their packets.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Connections at the same time, logged in or not; one more is told 1040. 1 to 65,535.
    pub connections_max: usize,
    /// Bytes of a packet's payload once logged in, and so of a statement; a longer one ends the connection with 1153. From 1,024.
    pub packet_bytes_max: usize,
    /// Bytes of large packets under way, of all connections together; and again as many for prepared statements and long parameters.
    pub packets_bytes_max: usize,
    /// From the connection to the end of the login.
    pub login_timeout: Duration,
    /// Without a statement: the default of `wait_timeout`.
    pub idle_timeout: Duration,
    /// From a packet's first byte to its last.
    pub read_timeout: Duration,
    /// A client that takes nothing of its result for so long is disconnected.
    pub write_timeout: Duration,
    /// Default of `max_execution_time`, milliseconds; 0: no limit.
    pub max_execution_ms: u64,
    /// Prepared statements per connection; one more is told 1461. 0 to 65,535.
    pub statements_max: usize,
    /// A wrong password is answered after this.
    pub refusal_delay: Duration,
    /// The port, as `@@port` tells it.
    pub port: u16,
    /// When the server stops, connections have so long to end.
    pub stop_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            connections_max: 128,
            packet_bytes_max: 16 << 20,
            packets_bytes_max: 64 << 20,
            login_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(8 * 3600),
            read_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            max_execution_ms: 30_000,
            statements_max: 256,
            refusal_delay: Duration::from_millis(250),
            port: 3306,
            stop_timeout: Duration::from_secs(5),
        }
    }
}
