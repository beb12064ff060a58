//! Who has which task: every delivery that is not over.

use std::hash::{BuildHasherDefault, Hasher};

use z4_model::ids::TaskKey;

use super::action::{Claim, ConsumerId};
use super::slab::{NONE, Slab};
use crate::runtime::maps::HashMap;

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// With the consumer, until the deadline.
    Leased,
    /// The consumer's ack or nack is being proposed.
    Settling {
        /// Else it is a nack.
        ack: bool,
    },
    /// It ended without the consumer's word; that is being proposed, or waits to be.
    Ended(Why),
}

/// Why a delivery ended without the consumer's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The deadline passed.
    Expired,
    /// The consumer went away.
    ConsumerLost,
    /// The consumer has no more to do with it: no attempt counts.
    GivenBack,
}

impl Why {
    /// What becomes the task's last error.
    pub(super) fn text(self) -> &'static str {
        match self {
            Why::Expired => "lease expired",
            Why::ConsumerLost => "consumer lost",
            Why::GivenBack => "given back",
        }
    }
}

/// One delivery. The row's bytes are with the consumer; what the operations that end it need is here.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) key: TaskKey,
    pub(super) token: u64,
    /// When it lapses, by the monotonic clock, milliseconds.
    pub(super) ends_ms: u64,
    /// The timer entry that counts; `u64::MAX`: none.
    pub(super) armed_ms: u64,
    /// Due time at creation: the part of the task's id that the key may have lost.
    pub(super) id_due_ms: u64,
    pub(super) lane: u32,
    /// `NONE`: gone.
    pub(super) consumer: u32,
    /// The lease time it was given, for extensions.
    pub(super) lease_ms: u32,
    /// The name of the consumer to whom it was delivered; [`ConsumerId::NOBODY`]: not known.
    pub(super) owner: ConsumerId,
    /// Which of that consumer's deliveries it was, from 1; 0: an early one.
    pub(super) nth: u64,
    /// Failed attempts before this one.
    pub(super) attempts: u32,
    pub(super) rewritten: bool,
    /// Its consumer went away, and did not leave it to run on, while its ack or nack was being proposed.
    pub(super) lost: bool,
    /// Its retry was refused together with others: it is proposed in a command of its own.
    pub(super) alone: bool,
    pub(super) state: State,
    pub(super) links: [Link; 2],
}

impl Lease {
    /// The slot of the next lease in a list.
    pub(super) fn after(&self, which: usize) -> u32 {
        self.links[which].next
    }

    /// A lease that nobody owns yet, of a row that was written once and never failed.
    pub(super) fn new(key: TaskKey, token: u64, ends_ms: u64, lane: u32) -> Self {
        Lease {
            key,
            token,
            ends_ms,
            armed_ms: u64::MAX,
            id_due_ms: key.due_ms,
            lane,
            consumer: NONE,
            lease_ms: 0,
            owner: ConsumerId::NOBODY,
            nth: 0,
            attempts: 0,
            rewritten: false,
            lost: false,
            alone: false,
            state: State::Leased,
            links: [Link::ALONE; 2],
        }
    }

    /// Their retries may be one command.
    pub(super) fn goes_with(&self, other: &Lease) -> bool {
        self.lane == other.lane && !self.alone && !other.alone
    }
}

/// The neighbours in one of the two lists that a lease is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    prev: u32,
    next: u32,
}

impl Link {
    pub(super) const ALONE: Link = Link { prev: NONE, next: NONE };
}

/// A list through [`Leases`]: it costs no memory of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) head: u32,
    tail: u32,
    pub(super) len: u32,
}

impl Default for List {
    fn default() -> Self {
        List { head: NONE, tail: NONE, len: 0 }
    }
}

/// Index of the list by namespace, ordered by key.
pub(super) const BY_LANE: usize = 0;
/// Index of the list by consumer, in the order of delivery.
pub(super) const BY_CONSUMER: usize = 1;

/// All leases of the engine, found by the row's sequence, which is unique in the group and stays when a row moves.
#[derive(Default)]
pub(super) struct Leases {
    slab: Slab<Lease>,
    slots: HashMap<u64, u32, BuildHasherDefault<SequenceHasher>>,
}

impl Leases {
    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    /// Leases have smaller numbers than this.
    pub(super) fn slots(&self) -> u32 {
        self.slab.slots()
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Lease> {
        self.slab.get(slot)
    }

    pub(super) fn at(&self, slot: u32) -> &Lease {
        &self.slab[slot]
    }

    pub(super) fn at_mut(&mut self, slot: u32) -> &mut Lease {
        &mut self.slab[slot]
    }

    pub(super) fn find(&self, sequence: u64) -> Option<u32> {
        self.slots.get(&sequence).copied()
    }

    /// The slot of exactly this delivery.
    pub(super) fn find_claim(&self, claim: Claim) -> Option<u32> {
        let slot = self.find(claim.key.sequence)?;
        let lease = self.at(slot);
        (lease.token == claim.token && lease.key == claim.key).then_some(slot)
    }

    /// The row at this very position is with a consumer.
    pub(super) fn has(&self, key: TaskKey) -> bool {
        self.find(key.sequence).is_some_and(|slot| self.at(slot).key == key)
    }

    /// Adds a lease to the table and to the list of its lane.
    pub(super) fn insert(&mut self, lease: Lease, lane: &mut List) -> u32 {
        let key = lease.key;
        let slot = self.slab.insert(lease);
        self.slots.insert(key.sequence, slot);
        // Deliveries of a namespace come in due order, so the place is nearly always at the end.
        let mut after = lane.tail;
        while after != NONE && self.slab[after].key > key {
            after = self.slab[after].links[BY_LANE].prev;
        }
        self.link(BY_LANE, lane, slot, after);
        slot
    }

    /// Adds a lease to the list of its consumer, as the latest one.
    pub(super) fn link_consumer(&mut self, consumer: &mut List, slot: u32) {
        let tail = consumer.tail;
        self.link(BY_CONSUMER, consumer, slot, tail);
    }

    /// Takes a lease out of the table. It must be in no list any more.
    pub(super) fn remove(&mut self, slot: u32) {
        self.slots.remove(&self.slab[slot].key.sequence);
        self.slab.remove(slot);
        if self.slots.is_empty() {
            self.slots.shrink_to(1_024);
        }
    }

    fn link(&mut self, which: usize, list: &mut List, slot: u32, after: u32) {
        let next = if after == NONE { list.head } else { self.slab[after].links[which].next };
        self.slab[slot].links[which] = Link { prev: after, next };
        if after == NONE {
            list.head = slot;
        } else {
            self.slab[after].links[which].next = slot;
        }
        if next == NONE {
            list.tail = slot;
        } else {
            self.slab[next].links[which].prev = slot;
        }
        list.len += 1;
    }

    /// Takes a lease out of one of its lists.
    pub(super) fn unlink(&mut self, which: usize, list: &mut List, slot: u32) {
        let Link { prev, next } = self.slab[slot].links[which];
        if prev == NONE {
            list.head = next;
        } else {
            self.slab[prev].links[which].next = next;
        }
        if next == NONE {
            list.tail = prev;
        } else {
            self.slab[next].links[which].prev = prev;
        }
        self.slab[slot].links[which] = Link::ALONE;
        list.len -= 1;
    }
}

/// Sequences are unique numbers that the group hands out itself: spreading their bits is enough.
#[derive(Default)]
pub(super) struct SequenceHasher(u64);

impl Hasher for SequenceHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, n: u64) {
        // 2^64 / golden ratio, an odd number; the fold brings the well mixed upper half down to where tables take their index.
        let n = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = n ^ (n >> 32);
    }
}
