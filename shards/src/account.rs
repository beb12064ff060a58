//! One account of the memory that a peer holds for its callers: connections, calls, bytes that came and were not used up, answers that
//! wait to be sent. It is charged before the memory is taken; all threads share one atomic counter, nobody waits.
//!
//! A part of what is *free* is the most that one holder (a connection, mostly) may have, so many greedy holders get ever less each. A
//! reserve stays for those that want little, however many greedy ones came before them, and for links to other peers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A client's connection may hold up to this part of what is free.
pub const CLIENT_PARTS: usize = 4;
/// This part of the account is for clients that hold little each, and for peers.
const RESERVE_PARTS: usize = 4;
/// Who has this part of the account at most holds little: 128 KiB of 256 MiB, some calls.
const LITTLE_PARTS: usize = 2_048;

/// A link to another peer may hold up to this part: work of the cluster goes before work of clients.
pub const PEER_PARTS: usize = 2;

/// The account of a peer. Clones are the same account.
#[derive(Clone, Debug)]
pub struct Account(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bytes_max: usize,
    used: AtomicUsize,
}

/// Why memory was not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{wanted} bytes more are not to be had: this connection holds {held}, the peer {used} of {bytes_max} \
     (request_memory_bytes_max); try again later"
)]
pub struct Full {
    /// What was asked for, bytes.
    pub wanted: usize,
    /// What the asker has already, bytes.
    pub held: usize,
    /// What all have together, bytes.
    pub used: usize,
    /// The account's limit, bytes.
    pub bytes_max: usize,
}

impl Full {
    /// Nobody but those that hold little would get so much: the rest is the reserve.
    pub fn is_used_up(&self) -> bool {
        self.used.saturating_add(self.wanted) > self.bytes_max - self.bytes_max / RESERVE_PARTS
    }
}

impl Account {
    /// An account of so many bytes, unused.
    pub fn new(bytes_max: usize) -> Self {
        Account(Arc::new(Inner { bytes_max, used: AtomicUsize::new(0) }))
    }

    /// The limit, bytes.
    pub fn bytes_max(&self) -> usize {
        self.0.bytes_max
    }

    /// What is in use, bytes. Slightly above the limit at times: what cannot be refused is counted all the same.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Somebody who may hold up to `1 / parts` of what is free; from [`CLIENT_PARTS`] on, of what is free beyond the reserve, unless it is
    /// little.
    pub fn holder(&self, parts: usize) -> Holder {
        Holder(Arc::new(Held { account: self.clone(), parts: parts.max(1), bytes: AtomicUsize::new(0) }))
    }
}

/// Somebody who holds memory of the account: mostly, a connection. Clones are the same holder.
#[derive(Clone, Debug)]
pub struct Holder(Arc<Held>);

#[derive(Debug)]
struct Held {
    account: Account,
    parts: usize,
    bytes: AtomicUsize,
}

impl Holder {
    /// Takes memory.
    ///
    /// # Errors
    /// The holder would have more than its part of what is then free.
    pub fn take(&self, bytes: usize) -> Result<Share, Full> {
        let mut share = Share { holder: self.clone(), bytes: 0 };
        share.grow(bytes)?;
        Ok(share)
    }

    /// Counts memory that was taken already, or that cannot be refused.
    pub fn count(&self, bytes: usize) -> Share {
        self.add(bytes);
        Share { holder: self.clone(), bytes }
    }

    /// What this holder has, bytes.
    pub fn held(&self) -> usize {
        self.0.bytes.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) -> (usize, usize) {
        let used = self.0.account.0.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (used, self.0.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes)
    }

    fn subtract(&self, bytes: usize) {
        self.0.account.0.used.fetch_sub(bytes, Ordering::Relaxed);
        self.0.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// It has no more than its part.
    pub fn has_room(&self) -> bool {
        self.may_hold(self.held(), self.0.account.used())
    }

    fn may_hold(&self, held: usize, used: usize) -> bool {
        let bytes_max = self.0.account.0.bytes_max;
        let free = bytes_max.saturating_sub(used);
        let is_client = self.0.parts >= CLIENT_PARTS;
        let reserve = if is_client { bytes_max / RESERVE_PARTS } else { 0 };
        let is_little = is_client && used <= bytes_max && held <= bytes_max / LITTLE_PARTS;
        is_little || held <= free.saturating_sub(reserve) / self.0.parts
    }

    fn try_add(&self, bytes: usize) -> Result<(), Full> {
        let bytes_max = self.0.account.0.bytes_max;
        if bytes > bytes_max {
            return Err(Full { wanted: bytes, held: self.held(), used: self.0.account.used(), bytes_max });
        }
        let (used, held) = self.add(bytes);
        if self.may_hold(held, used) {
            return Ok(());
        }
        self.subtract(bytes);
        Err(Full { wanted: bytes, held: held - bytes, used: used - bytes, bytes_max })
    }
}

/// Memory of the account; given back when dropped.
#[derive(Debug)]
pub struct Share {
    holder: Holder,
    bytes: usize,
}

impl Share {
    /// Its size, bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes more.
    ///
    /// # Errors
    /// See [`Holder::take`]; the share is as it was.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        self.holder.try_add(bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Takes more, which cannot be refused.
    pub fn count(&mut self, bytes: usize) {
        self.holder.add(bytes);
        self.bytes += bytes;
    }

    /// Gives a part back, all of it at most.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.holder.subtract(bytes);
        self.bytes -= bytes;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    //! Were something not given back, a peer would refuse everybody in the end; were greed not bounded, one client could refuse all others.
    use super::*;

    #[test]
    fn what_is_dropped_is_given_back() {
        let account = Account::new(1_000);
        let holder = account.holder(1);
        let mut share = holder.take(300).expect("free");
        assert!(share.grow(201).is_err(), "500 of 1,000 are free then, and 501 are too many");
        share.grow(200).expect("half of it");
        assert_eq!((account.used(), holder.held(), share.bytes()), (500, 500, 500));
        share.shrink(400);
        let counted = holder.count(5_000);
        assert_eq!((account.used(), holder.held()), (5_100, 5_100), "what cannot be refused is counted");
        assert!(holder.take(1).is_err());
        drop((share, counted));
        assert_eq!((account.used(), holder.held()), (0, 0));
        assert!(account.holder(1).take(usize::MAX).is_err(), "no overflow");
    }

    #[test]
    fn greedy_holders_leave_room_for_a_modest_one() {
        let account = Account::new(256 << 20);
        let greedy: Vec<Holder> = (0..200).map(|_| account.holder(CLIENT_PARTS)).collect();
        // Each asks for 16 KiB again and again: all of them in turn, or one after the other, which gives the first ones the most.
        for calls_at_once in [1, usize::MAX] {
            let mut taken = Vec::new();
            loop {
                let before = taken.len();
                for holder in &greedy {
                    taken.extend(std::iter::from_fn(|| holder.take(16 << 10).ok()).take(calls_at_once));
                }
                if taken.len() == before {
                    break;
                }
            }
            assert!(account.used() > 180 << 20, "the account is of use: {}", account.used());
            let modest = account.holder(CLIENT_PARTS);
            let calls: Vec<Share> = (0..8).map(|_| modest.take(16 << 10).expect("a modest client gets what it needs")).collect();
            let link = account.holder(PEER_PARTS);
            let frame = link.take(8 << 20).expect("and so does a link to another peer");
            drop((calls, frame));
        }
    }
}
