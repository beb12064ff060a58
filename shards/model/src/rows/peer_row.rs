//! A peer's row in the registry.
//!
//! ```text
//! version 1
//! id peer2
//! address 10.0.0.2:6356
//! removed no
//! ```
//! Four lines, in this order, each with a line feed: whoever looks into a registry can read it.

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::Bytes;

use crate::ids::PeerNumber;

/// The names of peers' rows begin with this; the peer's number follows, in decimal digits.
pub const PREFIX: &str = "peer/";

/// The longest id of a peer, in bytes.
pub const ID_BYTES_MAX: usize = 64;

/// The longest address of a peer, in bytes: a DNS name has 253 at most.
pub const ADDRESS_BYTES_MAX: usize = 261;

/// A peer that is or was in the cluster. The row is never deleted: its number is never given out again. Its id is, once it was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerRow {
    /// Its id, as the operator chose it.
    pub id: String,
    /// Where the other peers reach it, `host:port`.
    pub address: String,
    /// It was removed from the cluster.
    pub removed: bool,
}

/// The name of a peer's row.
pub fn name(number: PeerNumber) -> Bytes {
    Bytes::from(format!("{PREFIX}{number}"))
}

/// The inverse; `None`: it is not the name of a peer's row.
pub fn parse_name(name: &[u8]) -> Option<PeerNumber> {
    parse_number(std::str::from_utf8(name).ok()?.strip_prefix(PREFIX)?)
}

/// Reads a peer's number at the end of a row's name.
pub(super) fn parse_number(digits: &str) -> Option<PeerNumber> {
    let number: PeerNumber = digits.parse().ok()?;
    // One number has one name.
    (number > 0 && number.to_string() == digits).then_some(number)
}

/// 1 to [`ID_BYTES_MAX`] letters, digits, `.`, `_` and `-`.
pub fn is_id(id: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.chars().all(allowed)
}

/// `host:port`: a name or an IPv4 address, or an IPv6 address in brackets; a port from 1 to 65535. What stands for all addresses of a
/// machine (`0.0.0.0`, `[::]`) is nobody's address.
pub fn is_address(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else { return false };
    let named = host.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let sixth = bracketed.is_some_and(|host| host.parse::<Ipv6Addr>().is_ok_and(|ip| !ip.is_unspecified()));
    let named = named && !host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_unspecified());
    let port_is = port.bytes().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port != 0);
    address.len() <= ADDRESS_BYTES_MAX && !host.is_empty() && (named || sixth) && port_is
}

impl PeerRow {
    /// The row's bytes.
    pub fn encode(&self) -> Bytes {
        let removed = if self.removed { "yes" } else { "no" };
        Bytes::from(format!("version 1\nid {}\naddress {}\nremoved {removed}\n", self.id, self.address))
    }

    /// The inverse; `None`: it is no peer's row of this version.
    pub fn decode(row: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(row).ok()?.strip_suffix('\n')?.split('\n');
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        if field("version")? != "1" {
            return None;
        }
        let (id, address) = (field("id")?.to_owned(), field("address")?.to_owned());
        let removed = match field("removed")? {
            "yes" => true,
            "no" => false,
            _ => return None,
        };
        lines.next().is_none().then_some(PeerRow { id, address, removed })
    }
}

#[cfg(test)]
mod tests {
    //! A row that is read as something else makes a peer call a stranger, or count a removed peer in.
    use super::*;

    #[test]
    fn a_row_is_golden_and_damage_is_seen() {
        let row = PeerRow { id: "peer2".into(), address: "10.0.0.2:6356".into(), removed: false };
        let golden = b"version 1\nid peer2\naddress 10.0.0.2:6356\nremoved no\n";
        assert_eq!(row.encode(), Bytes::from_static(golden));
        let removed = PeerRow { removed: true, ..row.clone() };
        assert_eq!(PeerRow::decode(&removed.encode()), Some(removed));
        assert_eq!(PeerRow::decode(golden), Some(row));
        for end in 0..golden.len() {
            assert_eq!(PeerRow::decode(&golden[..end]), None, "cut at {end}");
        }
        let more: &[&[u8]] = &[b"version 2\nid a\naddress b:1\nremoved no\n", b"version 1\nid a\naddress b:1\nremoved no\nx\n"];
        more.iter().for_each(|row| assert_eq!(PeerRow::decode(row), None, "{row:?}"));
    }

    #[test]
    fn names_round_trip_and_others_are_none() {
        assert_eq!(name(17), Bytes::from_static(b"peer/17"));
        assert_eq!(parse_name(&name(17)), Some(17));
        for other in ["peer/", "peer/0", "peer/01", "peer/+1", "peer/x", "peers", "slots"] {
            assert_eq!(parse_name(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn ids_and_addresses_have_their_form() {
        let long = "x".repeat(65);
        assert!(["a", "peer-1", "A.b_c-9", &long[1..]].iter().all(|id| is_id(id)));
        assert!(!["", "a b", "ä", "a/b", "a\n", &long].iter().any(|id| is_id(id)));
        assert!(["a:1", "10.0.0.1:6356", "[::1]:6356", "peer-2.z4.svc:65535"].iter().all(|a| is_address(a)));
        let bad = [
            "",
            "a",
            ":1",
            "a:",
            "a:0",
            "a:65536",
            "a:+1",
            "a b:1",
            "::1:6356",
            "[x]:1",
            "[::1:1",
            "http://a:1",
            "a:1\n",
            "0.0.0.0:1",
            "[::]:1",
        ];
        bad.iter().for_each(|address| assert!(!is_address(address), "{address}"));
    }
}
