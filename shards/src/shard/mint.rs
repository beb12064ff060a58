//! Numbers that only a leader gives out: fencing tokens, and the sequences of asynchronous creates. They grow over the whole life of
//! a group, across restarts and changes of leader, without being stored: the term is in their high bits, and each leader has a
//! term of its own, higher than every one before.

use z4_model::machine::{PER_TERM_BITS, RESERVED_SEQUENCE, TERM_MAX};

/// There are no numbers left that were never given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// The group has had more leaderships than a number has room for.
    #[error(
        "the group is in term {term}, and its tokens and sequences have room for {TERM_MAX} terms: its tasks must move to a new cluster"
    )]
    Term {
        /// The term.
        term: u64,
    },
    /// A leadership has given out all numbers of its term.
    #[error("term {term} has given out all its numbers: the next leader has new ones")]
    Used {
        /// The term.
        term: u64,
    },
}

/// Gives out numbers, as long as the replica is open.
#[derive(Debug, Default)]
pub struct Mint {
    next_token: u64,
    last_sequence: u64,
}

impl Mint {
    /// The first token of a leadership: above every one before, and no other leadership's, also when none was given out. The delivery engine
    /// counts on from it.
    ///
    /// # Errors
    /// There is none: a number that wraps around would be one that was given out before.
    pub fn first_token(&mut self, term: u64) -> Result<u64, MintError> {
        self.next_token = within(term, (self.next_token + 1).max(first(term)?))?;
        Ok(self.next_token)
    }

    /// The engine of the leadership has ended; `next` would have been its next token.
    pub fn tokens_used(&mut self, next: u64) {
        self.next_token = self.next_token.max(next);
    }

    /// No sequence that was reserved before is as high, and every one that this leadership will reserve is.
    ///
    /// # Errors
    /// As [`Mint::first_token`].
    pub fn first_sequence(&self, term: u64) -> Result<u64, MintError> {
        within(term, (self.last_sequence + 1).max(first(term)?)).map(|sequence| RESERVED_SEQUENCE | sequence)
    }

    /// A sequence that no leader gives out again.
    ///
    /// # Errors
    /// As [`Mint::first_token`].
    pub fn sequence(&mut self, term: u64) -> Result<u64, MintError> {
        let sequence = self.first_sequence(term)?;
        self.last_sequence = sequence & !RESERVED_SEQUENCE;
        Ok(sequence)
    }
}

fn first(term: u64) -> Result<u64, MintError> {
    if term > TERM_MAX { Err(MintError::Term { term }) } else { Ok((term << PER_TERM_BITS) | 1) }
}

/// A number that is still one of its term.
fn within(term: u64, number: u64) -> Result<u64, MintError> {
    if number >> PER_TERM_BITS > term { Err(MintError::Used { term }) } else { Ok(number) }
}

/// It can be a token that a leader gave out.
pub(super) fn is_token(token: u64) -> bool {
    token >> PER_TERM_BITS > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two leaders, or one that leads twice in a term (it stopped for want of a quorum), must not give out a number twice, and what
    /// comes later is higher: consumers compare tokens.
    #[test]
    fn numbers_grow_over_leaders_and_leaderships() {
        let (mut a, mut b) = (Mint::default(), Mint::default());
        let token = |mint: &mut Mint, term| mint.first_token(term).expect("there are some left");
        let first = token(&mut a, 3);
        a.tokens_used(first + 1_000);
        let again = token(&mut a, 3);
        assert_eq!(again, first + 1_001, "the same term again");
        assert!(token(&mut a, 3) > again, "a leadership that gave out nothing had a number as well");
        assert!(token(&mut b, 4) > token(&mut a, 3), "the next leader, whatever its clock says");
        b.tokens_used(b.next_token + 10);
        assert!(token(&mut a, 5) > b.next_token);
        let sequence = |mint: &mut Mint, term| mint.sequence(term).expect("there are some left");
        let sequences = [sequence(&mut a, 5), sequence(&mut a, 5), sequence(&mut b, 6), sequence(&mut a, 7)];
        assert!(a.first_sequence(7).is_ok_and(|first| first > sequences[3]), "a leadership knows what is its own");
        assert!(sequences.windows(2).all(|w| w[0] < w[1]), "{sequences:?}");
        assert!(sequences.iter().all(|s| s & RESERVED_SEQUENCE != 0));
    }

    /// After two million terms the numbers began again from 0: old acks would have matched new deliveries, and ids come twice.
    #[test]
    fn numbers_that_were_given_out_before_are_refused() {
        let mut mint = Mint::default();
        assert!(mint.first_token(TERM_MAX).is_ok() && mint.sequence(TERM_MAX).is_ok());
        let term = TERM_MAX + 1;
        assert_eq!((mint.first_token(term), mint.sequence(term)), (Err(MintError::Term { term }), Err(MintError::Term { term })));
        let mut mint = Mint { next_token: 0, last_sequence: (4 << PER_TERM_BITS) - 2 };
        assert!(mint.sequence(3).is_ok());
        assert_eq!(mint.sequence(3), Err(MintError::Used { term: 3 }));
        mint.tokens_used(4 << PER_TERM_BITS);
        assert_eq!(mint.first_token(3), Err(MintError::Used { term: 3 }));
        assert!(mint.first_token(4).is_ok(), "the next term has numbers of its own");
    }
}
