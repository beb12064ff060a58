//! Which deliveries of earlier leaders may still be claimed.
//!
//! A leader that was told nothing of leases waits for claims. Before it delivers again what may have been delivered before, it writes which
//! claims it has got: whoever comes later, also at a later leader, holds a delivery that is over. The row:
//!
//! ```text
//! 1 (version, u8)  below  count  the first token  how much larger each next one is
//! ```

use std::sync::Arc;

use bytes::Bytes;

use super::error::ApplyError;
use super::store::Store;
use super::write::Write;
use crate::encoding::{Malformed, Reader, put_ascending, put_varint, take_ascending};
use crate::keys;

const VERSION: u8 = 1;

/// Deliveries that are not over as far as the whole group is concerned. Each row says of its own deliveries which ones are, see
/// [`TaskRecord::fence`](crate::rows::record::TaskRecord::fence).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimable {
    below: u64,
    /// Ascending.
    kept: Arc<Vec<u64>>,
}

impl Claimable {
    /// Nothing under a token before this one.
    pub fn nothing_below(below: u64) -> Self {
        Claimable { below, kept: Arc::default() }
    }

    /// A delivery under this token may be claimed.
    pub fn allows(&self, token: u64) -> bool {
        token >= self.below || self.kept.binary_search(&token).is_ok()
    }

    /// What [`Op::EndClaims`](crate::command::Op::EndClaims) says.
    pub fn end(&mut self, below: u64, kept: &[u64]) {
        let mut all = if self.below == below { self.kept.to_vec() } else { Vec::new() };
        all.extend_from_slice(kept);
        all.sort_unstable();
        all.dedup();
        *self = Claimable { below, kept: Arc::new(all) };
        self.check();
    }

    /// What must hold at any time.
    ///
    /// # Panics
    /// It does not.
    pub(super) fn check(&self) {
        assert!(self.kept.is_sorted_by(|a, b| a < b), "tokens that are kept are looked for by halving");
    }

    pub(super) fn load(store: &mut impl Store) -> Result<Self, ApplyError> {
        Ok(match store.get(&keys::claims())? {
            Some(value) => Claimable::decode(&value)?,
            None => Claimable::default(),
        })
    }

    pub(super) fn write(&self) -> Write {
        Write::Put(keys::claims(), self.encode())
    }

    fn encode(&self) -> Bytes {
        let mut out = vec![VERSION];
        put_varint(&mut out, self.below);
        put_ascending(&mut out, &self.kept);
        Bytes::from(out)
    }

    fn decode(value: &Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(value);
        if reader.u8()? != VERSION {
            return Err(Malformed("unknown version of the row of claims"));
        }
        let (below, kept) = (reader.varint()?, Arc::new(take_ascending(&mut reader)?));
        reader.finish()?;
        Ok(Claimable { below, kept })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_of_claims_is_golden_and_round_trips() {
        let mut claims = Claimable::default();
        assert!(claims.allows(1), "nothing is over in a new group");
        claims.end(300, &[7, 290]);
        claims.end(300, &[8]);
        let value = claims.encode();
        assert_eq!(value, Bytes::from_static(b"\x01\xac\x02\x03\x07\x01\x9a\x02"));
        assert_eq!(Claimable::decode(&value), Ok(claims.clone()));
        let allowed: Vec<u64> = [6, 7, 8, 289, 290, 299, 300, 301].into_iter().filter(|token| claims.allows(*token)).collect();
        assert_eq!(allowed, [7, 8, 290, 300, 301]);
        claims.end(400, &[]);
        assert!(!claims.allows(7) && !claims.allows(399), "the next leader has its own");
        assert!(Claimable::decode(&Bytes::from_static(b"\x01\x05\x02\x07\x00")).is_err(), "twice the same");
    }
}
