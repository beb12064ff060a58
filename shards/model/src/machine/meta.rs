//! The group's row: what the machine knows of the whole group.
//!
//! ```text
//! 1 (version, u8)  state hash (u64, little-endian)  stamp_ms  live  dead
//! ```

use bytes::Bytes;

use super::hash::StateHash;
use crate::encoding::{Malformed, Reader, put_varint};

const VERSION: u8 = 1;

/// Counts over the whole group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Tasks that are not dead.
    pub live: u64,
    /// Dead tasks.
    pub dead: u64,
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) hash: StateHash,
    pub(super) stamp_ms: u64,
    pub(super) totals: Totals,
}

impl Meta {
    /// Before the first entry.
    pub(super) const EMPTY: Meta = Meta { hash: StateHash(0), stamp_ms: 0, totals: Totals { live: 0, dead: 0 } };

    pub(super) fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(40);
        out.push(VERSION);
        out.extend_from_slice(&self.hash.0.to_le_bytes());
        for n in [self.stamp_ms, self.totals.live, self.totals.dead] {
            put_varint(&mut out, n);
        }
        Bytes::from(out)
    }

    pub(super) fn decode(value: &Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(value);
        if reader.u8()? != VERSION {
            return Err(Malformed("unknown version of the group's row"));
        }
        let hash = StateHash(reader.u64()?);
        let meta = Meta { hash, stamp_ms: reader.varint()?, totals: Totals { live: reader.varint()?, dead: reader.varint()? } };
        reader.finish()?;
        Ok(meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_row_is_golden_and_round_trips() {
        let meta = Meta { hash: StateHash(0x0102_0304_0506_0708), stamp_ms: 300, totals: Totals { live: 2, dead: 1 } };
        let value = meta.encode();
        assert_eq!(value, Bytes::from_static(b"\x01\x08\x07\x06\x05\x04\x03\x02\x01\xac\x02\x02\x01"));
        assert_eq!(Meta::decode(&value), Ok(meta));
    }
}
