//! How a peer tells that it serves, and where: needed wherever a port was 0 and the kernel chose.

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The file in the peer directory with the ports of the running process. Removed at the start and at a graceful stop.
pub const PORTS_FILE: &str = "ports.json";

/// What is told, once, when every port below accepts connections, as one JSON object with the keys `peer_id`, `pid`,
/// `bind_address`, and `service`, `peer`, `metrics`, `sql` for the ports. A port is missing when nothing listens there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The peer's name.
    pub peer_id: String,
    /// The process.
    pub pid: u32,
    /// The address that the ports below are bound to.
    pub bind_address: IpAddr,
    /// gRPC for clients.
    #[serde(rename = "service", skip_serializing_if = "Option::is_none")]
    pub service_port: Option<u16>,
    /// Links between peers.
    #[serde(rename = "peer", skip_serializing_if = "Option::is_none")]
    pub peer_port: Option<u16>,
    /// `/metrics`, `/healthz` and `/livez`.
    #[serde(rename = "metrics", skip_serializing_if = "Option::is_none")]
    pub metrics_port: Option<u16>,
    /// MySQL's protocol.
    #[serde(rename = "sql", skip_serializing_if = "Option::is_none")]
    pub sql_port: Option<u16>,
}

impl Ready {
    /// Writes `ports.json` into the peer directory (whole or not at all) and then prints the same object as one line on stdout, the
    /// only one that a peer ever prints there.
    pub fn announce(&self, peer_directory: &Path) -> io::Result<()> {
        let line = serde_json::to_string(self)?;
        let unfinished = peer_directory.join(format!("{PORTS_FILE}.new"));
        std::fs::write(&unfinished, format!("{line}\n"))?;
        std::fs::rename(&unfinished, peer_directory.join(PORTS_FILE))?;
        // Nobody has to listen: a closed stdout is no reason not to serve.
        let _ = writeln!(io::stdout(), "{line}");
        let _ = io::stdout().flush();
        Ok(())
    }

    /// Reads what [`Ready::announce`] wrote.
    pub fn read(peer_directory: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(peer_directory.join(PORTS_FILE))?)?)
    }

    /// Removes `ports.json`: the ports are about to close.
    pub fn withdraw(peer_directory: &Path) -> io::Result<()> {
        std::fs::remove_file(peer_directory.join(PORTS_FILE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_announced_can_be_read() {
        let directory = tempfile::tempdir().expect("dir");
        let ready = Ready {
            peer_id: "a".into(),
            pid: 1,
            bind_address: IpAddr::from([127, 0, 0, 1]),
            service_port: Some(40_000),
            peer_port: None,
            metrics_port: Some(40_001),
            sql_port: None,
        };
        ready.announce(directory.path()).expect("written");
        assert_eq!(Ready::read(directory.path()).expect("read"), ready);
        Ready::withdraw(directory.path()).expect("removed");
        assert_eq!(std::fs::read_dir(directory.path()).expect("dir").count(), 0, "nothing is left behind");
    }
}
