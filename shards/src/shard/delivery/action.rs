//! What the engine asks its shell to do, and the small values of its calls.

use z4_model::command::Op;
use z4_model::encoding::Malformed;
use z4_model::ids::{Namespace, PeerNumber, TaskKey};

use crate::shard::api::Delivered;

/// A consumer, named by the shell; unique in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsumerId(pub u64);

impl ConsumerId {
    /// No consumer's name.
    pub const NOBODY: ConsumerId = ConsumerId(0);

    /// The `n`th consumer of a peer.
    pub fn new(peer: PeerNumber, n: u64) -> Self {
        const PER_PEER_BITS: u32 = 48;
        ConsumerId(peer << PER_PEER_BITS | n & ((1 << PER_PEER_BITS) - 1))
    }
}

/// One delivery: a row and the fencing token under which it is (or was) with a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The row.
    pub key: TaskKey,
    /// The token.
    pub token: u64,
}

/// What the shell does for the engine.
#[derive(Clone, Debug)]
pub enum Action {
    /// Read the rows of namespaces and answer with [`Engine::loaded`](super::Engine::loaded) for each.
    Load {
        /// Which, at least one.
        namespaces: Vec<Namespace>,
    },
    /// Read rows and answer with [`Engine::scanned`](super::Engine::scanned).
    Scan {
        /// Whose.
        namespace: Namespace,
        /// The first position, included. Comes back with the answer.
        from: TaskKey,
        /// Rows that are due before this, milliseconds.
        until_ms: u64,
        /// At most so many rows.
        rows_max: usize,
        /// Stop at so many bytes (as [`weight`](super::weight) counts), but not before the first row.
        bytes_max: usize,
    },
    /// Have these operations applied as one command. Then call [`Engine::finished`](super::Engine::finished) for each claim.
    Propose {
        /// Whose.
        namespace: Namespace,
        /// At least one.
        ops: Vec<Op>,
        /// As many as there are operations, in their order; none for a low-water mark, whose fate does not matter.
        claims: Vec<Claim>,
    },
    /// Hand these to the consumer's stream; its credit and bytes are already accounted for. A stream that is gone: drop them and
    /// call [`Engine::unsubscribe`](super::Engine::unsubscribe).
    Deliver {
        /// To whom.
        consumer: ConsumerId,
        /// At least one; those of one namespace in due order.
        tasks: Vec<Delivered>,
    },
    /// There is something for this consumer, whose credit comes on demand, and it has none. Said once until it got some.
    Want {
        /// Who.
        consumer: ConsumerId,
    },
    /// This row cannot be read: the partition is damaged and must not be served. The row is not delivered.
    Damaged {
        /// Whose.
        namespace: Namespace,
        /// Where.
        key: TaskKey,
        /// What is wrong.
        cause: Malformed,
    },
}

/// What follows from a settle that was accepted.
#[derive(Clone, Debug)]
pub enum Step {
    /// Nothing: the lease has a new deadline.
    Extended {
        /// Milliseconds since 1970-01-01 UTC.
        deadline_ms: u64,
    },
    /// Somebody's change of the task is under way, or what was said before is: say it again after the next
    /// [`Engine::release`](super::Engine::release) or [`Engine::finished`](super::Engine::finished).
    Wait,
    /// Nothing is known of this delivery, which is over or which an earlier leader made: look it up as [`Engine::claim`](super::Engine::claim)
    /// wants it, call that, and say it again.
    Unknown,
    /// Have the operation applied, call [`Engine::finished`](super::Engine::finished) with the claim, then answer.
    Propose {
        /// The operation.
        op: Op,
        /// Its delivery.
        claim: Claim,
    },
}

/// How a proposal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It was applied.
    Applied,
    /// It was not applied and never will be.
    NotDone,
    /// The state machine refused the command: nothing of it happened, and it would not be otherwise next time, as a row is not there.
    Refused,
}
