//! Numbers that only a leader gives out: fencing tokens, and the sequences of asynchronous creates. They grow over the whole life of
//! a group, across restarts and changes of leader, without being stored: they start from the leader's stamp, which never goes back.

/// The sequences that `apply` assigns have this bit clear (see `machine`), those reserved here have it set.
const RESERVED: u64 = 1 << 63;

/// Room for so many numbers per millisecond; a faster leader borrows from the next one.
const PER_MS_BITS: u32 = 20;

/// Gives out numbers.
#[derive(Debug, Default)]
pub struct Mint {
    last: u64,
}

impl Mint {
    /// A number that is higher than every one before, from the stamp of its moment.
    pub fn token(&mut self, stamp_ms: u64) -> u64 {
        self.last = (self.last + 1).max(stamp_ms << PER_MS_BITS);
        self.last
    }

    /// The same for a sequence.
    pub fn sequence(&mut self, stamp_ms: u64) -> u64 {
        RESERVED | self.token(stamp_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A leader that gives out numbers faster than its clock moves must not repeat one, and the next leader starts above.
    #[test]
    fn numbers_grow_with_and_without_the_clock() {
        let mut first = Mint::default();
        let a: Vec<u64> = (0..10).map(|_| first.token(1_700_000_000_000)).collect();
        assert!(a.windows(2).all(|w| w[0] < w[1]));
        let mut second = Mint::default();
        assert!(second.token(1_700_000_000_001) > a[9]);
        assert!(first.token(0) > a[9], "a clock that goes back changes nothing");
        assert!(second.sequence(1_700_000_000_001) & RESERVED != 0);
    }
}
