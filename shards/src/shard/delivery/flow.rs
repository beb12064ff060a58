//! What a consumer accepts: credit in tasks, and room in bytes for what it has not taken yet.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;

use crate::shard::api::Delivered;

/// The default of how much a consumer may leave untaken, bytes.
pub const QUEUED_BYTES_MAX: usize = 4 << 20;

/// What one row costs in memory beside its own bytes: key, map entry, `Delivered`. Rounded up.
const ROW_OVERHEAD_BYTES: usize = 128;

/// What a row counts for against every bound in bytes.
pub fn weight(row: &Bytes) -> usize {
    row.len() + ROW_OVERHEAD_BYTES
}

/// How far a consumer's stream has sent a group's deliveries to its client: the token of the last of them. Written by the stream, on any
/// thread.
///
/// Tokens grow from leader to leader and a stream sends a group's deliveries in their order, so those with higher ones were not sent.
#[derive(Debug, Default)]
pub struct Sent(AtomicU64);

impl Sent {
    /// At first: the consumer holds deliveries up to this token.
    pub fn up_to(token: u64) -> Self {
        Sent(AtomicU64::new(token))
    }

    /// The delivery with this token was sent, and all before it.
    pub fn add(&self, token: u64) {
        self.0.fetch_max(token, SeqCst);
    }

    /// 0: none was sent.
    pub fn token(&self) -> u64 {
        self.0.load(SeqCst)
    }
}

/// One consumer's flow control, shared by its stream (on any thread) and the engines that deliver to it (on several shards).
///
/// The stream adds credit and takes tasks from its queue; engines take credit and queue bytes. An engine that finds no credit or no
/// room *parks*. Each stream call that could end this answers whether somebody parked since the last time; when it did, the caller
/// owes every engine of the consumer a [`kick`](super::Engine::kick).
///
/// A consumer whose stream is at another peer has a flow of its own at the leader, to which the other peer grants credit. One that is
/// *on demand* is granted credit only when the engine says that it wants some, see [`Action::Want`](super::Action::Want).
#[derive(Debug)]
pub struct Flow {
    credit: AtomicU64,
    queued_bytes: AtomicUsize,
    queued_bytes_max: usize,
    on_demand: bool,
    /// The stream is at another peer.
    remote: bool,
    /// On demand: the engine has said that it wants credit, and got none since.
    wanted: AtomicBool,
    /// Leaders at other peers that want credit of this consumer.
    wanting: AtomicU32,
    /// Deliveries come, or came, from another peer.
    relayed: AtomicBool,
    // An engine writes this before it looks at the numbers a last time; the stream changes the numbers before it looks at this. All
    // of it is sequentially consistent, so one of the two sees the other and no wake-up is lost.
    parked: AtomicBool,
}

impl Default for Flow {
    fn default() -> Self {
        Self::new(QUEUED_BYTES_MAX)
    }
}

impl Flow {
    /// No credit yet, and room for `queued_bytes_max` bytes (as [`weight`] counts). A batch that starts below the bound may end
    /// one task above it.
    pub fn new(queued_bytes_max: usize) -> Self {
        Flow {
            credit: AtomicU64::new(0),
            queued_bytes: AtomicUsize::new(0),
            queued_bytes_max,
            on_demand: false,
            remote: false,
            wanted: AtomicBool::new(false),
            wanting: AtomicU32::new(0),
            relayed: AtomicBool::new(false),
            parked: AtomicBool::new(false),
        }
    }

    /// The same for a consumer at another peer; with `on_demand` no credit stays here.
    pub fn remote(queued_bytes_max: usize, on_demand: bool) -> Self {
        Flow { on_demand, remote: true, ..Self::new(queued_bytes_max) }
    }

    /// Stream: accepts `tasks` more. `true`: kick the engines.
    #[must_use = "a parked engine waits for a kick"]
    pub fn add_credit(&self, tasks: u32) -> bool {
        self.credit.fetch_add(u64::from(tasks), SeqCst);
        self.wanted.store(false, SeqCst);
        self.unpark()
    }

    /// Stream: these tasks left the queue. `true`: kick the engines.
    #[must_use = "a parked engine waits for a kick"]
    pub fn took(&self, tasks: &[Delivered]) -> bool {
        self.took_bytes(tasks.iter().map(|t| weight(&t.row)).sum())
    }

    /// The same in bytes, as [`weight`] counts.
    #[must_use = "a parked engine waits for a kick"]
    pub fn took_bytes(&self, bytes: usize) -> bool {
        // Another peer's word is not believed further than what is queued here.
        let _ = self.queued_bytes.fetch_update(SeqCst, SeqCst, |queued| Some(queued.saturating_sub(bytes)));
        self.unpark()
    }

    /// Returns credit that was taken for tasks that were not delivered. `true`: kick the engines.
    #[must_use = "a parked engine waits for a kick"]
    pub fn give_back(&self, tasks: u32) -> bool {
        self.add_credit(tasks)
    }

    /// Tasks that it accepts now.
    pub fn credit(&self) -> u64 {
        self.credit.load(SeqCst)
    }

    /// Bytes that were delivered and not taken yet.
    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes.load(SeqCst)
    }

    /// The bound of [`Flow::queued_bytes`].
    pub fn queued_bytes_max(&self) -> usize {
        self.queued_bytes_max
    }

    /// Engine: takes up to `tasks` of the credit; returns how much it got.
    pub fn try_take(&self, tasks: u32) -> u32 {
        let mut credit = self.credit.load(SeqCst);
        loop {
            let taken = credit.min(u64::from(tasks));
            if taken == 0 {
                return 0;
            }
            match self.credit.compare_exchange_weak(credit, credit - taken, SeqCst, SeqCst) {
                Ok(_) => return taken as u32,
                Err(now) => credit = now,
            }
        }
    }

    /// The stream is at another peer.
    pub fn is_remote(&self) -> bool {
        self.remote
    }

    /// Credit comes on demand only.
    pub fn is_on_demand(&self) -> bool {
        self.on_demand
    }

    /// Deliveries come, or came, from another peer.
    pub fn is_relayed(&self) -> bool {
        self.relayed.load(SeqCst)
    }

    /// Deliveries come from another peer.
    pub fn set_relayed(&self) {
        self.relayed.store(true, SeqCst);
    }

    /// One more leader at another peer wants credit, or one less does.
    pub fn set_wanting(&self, one_more: bool) {
        match one_more {
            true => self.wanting.fetch_add(1, SeqCst),
            false => self.wanting.fetch_sub(1, SeqCst),
        };
    }

    /// Takes what one of the leaders that want credit may have: a share, at least one if there is any.
    pub fn take_share(&self) -> u32 {
        let share = self.credit().div_ceil(u64::from(self.wanting.load(SeqCst).max(1)));
        self.try_take(u32::try_from(share).unwrap_or(u32::MAX))
    }

    /// Engine: queues so many bytes.
    pub(in crate::shard) fn queue(&self, bytes: usize) {
        self.queued_bytes.fetch_add(bytes, SeqCst);
    }

    /// Engine: bytes that fit now.
    pub(super) fn room(&self) -> usize {
        self.queued_bytes_max.saturating_sub(self.queued_bytes())
    }

    /// Engine: there is credit and room.
    pub(in crate::shard) fn accepts(&self) -> bool {
        self.credit() > 0 && self.room() > 0
    }

    /// Engine: asks for a kick. `false`: there is credit and room by now, nothing to wait for.
    pub(in crate::shard) fn park(&self) -> bool {
        self.parked.store(true, SeqCst);
        !self.accepts()
    }

    /// Engine: it has something for a consumer on demand that has room and no credit. `true`: tell, for the first time since it got some.
    pub(in crate::shard) fn wants(&self) -> bool {
        self.on_demand && self.credit() == 0 && self.room() > 0 && !self.wanted.swap(true, SeqCst)
    }

    fn unpark(&self) -> bool {
        self.accepts() && self.parked.swap(false, SeqCst)
    }
}
