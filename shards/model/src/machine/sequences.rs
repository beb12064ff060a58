//! How the numbers of a group are made: each sequence is one task's for ever, each token one delivery's.
//!
//! ```text
//! assigned by apply       0 (1 bit)  log index (47 bits)  place in the entry (16 bits)
//! reserved by a leader    1 (1 bit)  term (21 bits)  count (42 bits)
//! token                   0 (1 bit)  term (21 bits)  count (42 bits)
//! ```

/// Sequences with this bit are reserved by a leader, those without are assigned from log index and position.
pub const RESERVED_SEQUENCE: u64 = 1 << 63;

/// How many sequences one log index has: an entry creates no more tasks than these.
pub const SEQUENCES_PER_INDEX: u64 = 1 << 16;

/// Tokens and reserved sequences have their term above these bits: room for four million million numbers of one term.
pub const PER_TERM_BITS: u32 = 42;

/// The last term that has tokens and sequences of its own.
pub const TERM_MAX: u64 = (RESERVED_SEQUENCE >> PER_TERM_BITS) - 1;

/// No log gets further than to this index: half of those that have sequences.
pub const INDEX_MAX: u64 = RESERVED_SEQUENCE / SEQUENCES_PER_INDEX / 2;

const _: () = {
    assert!(SEQUENCES_PER_INDEX.is_power_of_two(), "an index has bits of its own");
    assert!(RESERVED_SEQUENCE == 1 << (u64::BITS - 1), "the top bit tells reserved sequences from assigned ones");
    assert!(((TERM_MAX + 1) << PER_TERM_BITS) == RESERVED_SEQUENCE, "each term has numbers, and none has the top bit");
    assert!(TERM_MAX == (1 << 21) - 1 && INDEX_MAX == 1 << 46, "peers refuse what is beyond, so this does not change");
};

/// The first sequence that the entry at this index assigns.
///
/// # Panics
/// No log gets so far: indexes have 47 bits.
pub fn first_sequence(index: u64) -> u64 {
    assert!(index < RESERVED_SEQUENCE / SEQUENCES_PER_INDEX, "entry {index} has no sequences of its own");
    index * SEQUENCES_PER_INDEX
}
