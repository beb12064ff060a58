//! A membership's bytes, in log entries and in the partition's raft row.
//!
//! ```text
//! u8 version = 1
//! u16 configs, each: u16 members, each: u64 peer number
//! u16 nodes, each: u64 peer number, u16 length, address (UTF-8)
//! ```
//! All numbers are big endian.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use openraft::impls::BasicNode;

use super::types::Membership;

const VERSION: u8 = 1;

/// Bytes that are no membership.
#[derive(Debug, thiserror::Error)]
#[error("malformed membership: {0}")]
pub struct MembershipError(&'static str);

impl From<MembershipError> for std::io::Error {
    fn from(e: MembershipError) -> Self {
        std::io::Error::new(std::io::ErrorKind::InvalidData, e)
    }
}

pub fn encode(membership: &Membership) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(VERSION);
    let configs = membership.get_joint_config();
    out.put_u16(configs.len() as u16);
    for config in configs {
        out.put_u16(config.len() as u16);
        config.iter().for_each(|peer| out.put_u64(*peer));
    }
    let nodes: Vec<_> = membership.nodes().collect();
    out.put_u16(nodes.len() as u16);
    for (peer, node) in nodes {
        out.put_u64(*peer);
        out.put_u16(node.addr.len() as u16);
        out.put_slice(node.addr.as_bytes());
    }
    out.freeze()
}

pub fn decode(bytes: &Bytes) -> Result<Membership, MembershipError> {
    let mut from = bytes.clone();
    let short = |_| MembershipError("it ends early");
    if from.try_get_u8().map_err(short)? != VERSION {
        return Err(MembershipError("unknown version"));
    }
    let mut configs = Vec::new();
    for _ in 0..from.try_get_u16().map_err(short)? {
        let mut config = BTreeSet::new();
        for _ in 0..from.try_get_u16().map_err(short)? {
            config.insert(from.try_get_u64().map_err(short)?);
        }
        configs.push(config);
    }
    let mut nodes = BTreeMap::new();
    for _ in 0..from.try_get_u16().map_err(short)? {
        let peer = from.try_get_u64().map_err(short)?;
        let length = usize::from(from.try_get_u16().map_err(short)?);
        if from.remaining() < length {
            return Err(MembershipError("it ends early"));
        }
        let addr = String::from_utf8(from.split_to(length).to_vec()).map_err(|_| MembershipError("an address is not UTF-8"))?;
        nodes.insert(peer, BasicNode { addr });
    }
    // An empty membership (no config at all) is what a replica has before it was initialized.
    if configs.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(configs, nodes).map_err(|_| MembershipError("a voter has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memberships_round_trip_and_garbage_is_refused() {
        let nodes = BTreeMap::from([1, 2, 3].map(|n| (n, BasicNode { addr: format!("10.0.0.{n}:6356") })));
        let joint = Membership::new(vec![BTreeSet::from([1, 2]), BTreeSet::from([2, 3])], nodes).expect("valid");
        let bytes = encode(&joint);
        assert_eq!(decode(&bytes).expect("round trip"), joint);
        for end in 0..bytes.len() {
            assert!(decode(&bytes.slice(..end)).is_err(), "cut at {end}");
        }
    }
}
