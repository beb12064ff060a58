//! Numbers that only a leader gives out: fencing tokens, and the sequences of asynchronous creates. They grow over the whole life of
//! a group, across restarts and changes of leader, without being stored: the term is in their high bits, and each leader has a
//! term of its own, higher than every one before.

/// The sequences that `apply` assigns have this bit clear (see `machine`), those reserved here have it set.
const RESERVED: u64 = 1 << 63;

/// Room for so many numbers of one term: two million million, and two million terms.
const PER_TERM_BITS: u32 = 42;

/// Gives out numbers, as long as the replica is open.
#[derive(Debug, Default)]
pub struct Mint {
    next_token: u64,
    last_sequence: u64,
}

impl Mint {
    /// The first token of a leadership: above every one before. The delivery engine counts on from it.
    pub fn first_token(&mut self, term: u64) -> u64 {
        self.next_token = self.next_token.max(first(term));
        self.next_token
    }

    /// The engine of the leadership has ended; `next` would have been its next token.
    pub fn tokens_used(&mut self, next: u64) {
        self.next_token = self.next_token.max(next);
    }

    /// A sequence that no leader gives out again.
    pub fn sequence(&mut self, term: u64) -> u64 {
        self.last_sequence = (self.last_sequence + 1).max(first(term));
        RESERVED | self.last_sequence
    }
}

fn first(term: u64) -> u64 {
    (term << PER_TERM_BITS) | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two leaders, or one that leads twice in a term (it stopped for want of a quorum), must not give out a number twice, and what
    /// comes later is higher: consumers compare tokens.
    #[test]
    fn numbers_grow_over_leaders_and_leaderships() {
        let (mut a, mut b) = (Mint::default(), Mint::default());
        let first = a.first_token(3);
        a.tokens_used(first + 1_000);
        assert_eq!(a.first_token(3), first + 1_000, "the same term again");
        assert!(b.first_token(4) > a.first_token(3), "the next leader, whatever its clock says");
        b.tokens_used(b.next_token + 10);
        assert!(a.first_token(5) > b.next_token);
        let sequences = [a.sequence(5), a.sequence(5), b.sequence(6), a.sequence(7)];
        assert!(sequences.windows(2).all(|w| w[0] < w[1]), "{sequences:?}");
        assert!(sequences.iter().all(|s| s & RESERVED != 0));
    }
}
