//! What consumers of this peer hold of a group that another peer leads: told to the next leader when the one before went without a word.
//! Pure: time is an input.
//!
//! This peer learns what is delivered to its consumers, and what is settled through it. What is settled elsewhere, or lapses, stays until the
//! lease that is known here has ended; a claim of it does no harm, for the leader looks whether anybody else has the task. What is forgotten
//! too early (extended through another peer, or among more than [`HOLDINGS_MAX`]) can still be claimed by its consumer, with its ack.

use crate::runtime::maps::HashMap;
use crate::shard::delivery::ConsumerId;
use crate::shard::message::Held;
use z4_model::ids::{Namespace, TaskId};

/// A lease is not longer than twelve hours; nobody is believed to hold anything for longer without a word.
pub(super) const HELD_MAX_MS: u64 = 12 * 3_600_000;

/// So many deliveries are known at a time: four times the most that one consumer has credit for, some 30 MiB.
const HOLDINGS_MAX: usize = 1 << 18;

/// Deliveries by their consumers.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    /// What each has by its token, and when the lease ends, by the monotonic clock in milliseconds.
    of: HashMap<ConsumerId, HashMap<u64, (Namespace, TaskId, u64)>>,
    /// Whose a token is: that of the consumer who said so last.
    whose: HashMap<u64, ConsumerId>,
    /// How many there were after the last look at all of them.
    swept: usize,
}

impl Holdings {
    /// A consumer has these, each until this time. What another one had of them has come to this one, as when a client opens its stream again
    /// before the old one is missed.
    pub(super) fn add(&mut self, consumer: ConsumerId, held: impl IntoIterator<Item = (Held, u64)>) {
        for ((namespace, id, token), ends_ms) in held {
            if let Some(earlier) = self.whose.insert(token, consumer).filter(|earlier| *earlier != consumer) {
                self.take(earlier, token);
            }
            self.of.entry(consumer).or_default().insert(token, (namespace, id, ends_ms));
            if self.whose.len() > HOLDINGS_MAX {
                self.make_room();
            }
        }
    }

    /// A quarter goes, of those who have the most, their oldest deliveries first: whoever says that it holds very much takes nothing from others.
    fn make_room(&mut self) {
        let counts: Vec<usize> = self.of.values().map(HashMap::len).collect();
        let all_with = |each: usize| counts.iter().map(|count| (*count).min(each)).sum::<usize>();
        // The most that each may have.
        let (mut least, mut most) = (1, HOLDINGS_MAX);
        while least < most {
            let middle = (least + most).div_ceil(2);
            if all_with(middle) <= HOLDINGS_MAX / 4 * 3 { least = middle } else { most = middle - 1 }
        }
        for held in self.of.values_mut().filter(|held| held.len() > least) {
            let mut tokens: Vec<u64> = held.keys().copied().collect();
            tokens.sort_unstable();
            for token in &tokens[..tokens.len() - least] {
                held.remove(token);
                self.whose.remove(token);
            }
        }
    }

    /// The lease of this delivery ends then.
    pub(super) fn extend(&mut self, token: u64, until_ms: u64) {
        let held = self.whose.get(&token).and_then(|consumer| self.of.get_mut(consumer));
        if let Some((_, _, ends_ms)) = held.and_then(|held| held.get_mut(&token)) {
            *ends_ms = until_ms;
        }
    }

    /// This delivery is over.
    pub(super) fn remove(&mut self, token: u64) {
        if let Some(consumer) = self.whose.remove(&token) {
            self.take(consumer, token);
        }
    }

    fn take(&mut self, consumer: ConsumerId, token: u64) {
        if let Some(held) = self.of.get_mut(&consumer) {
            held.remove(&token);
            if held.is_empty() {
                self.of.remove(&consumer);
            }
        }
    }

    /// The consumer has gone.
    pub(super) fn forget(&mut self, consumer: ConsumerId) {
        for token in self.of.remove(&consumer).unwrap_or_default().into_keys() {
            self.whose.remove(&token);
        }
    }

    /// What a consumer holds.
    pub(super) fn of(&self, consumer: ConsumerId) -> Vec<Held> {
        let held = self.of.get(&consumer).into_iter().flatten();
        held.map(|(token, (namespace, id, _))| (namespace.clone(), *id, *token)).collect()
    }

    /// Drops what has ended, now and then: a look at all of them is paid for by what came since the last one.
    pub(super) fn sweep(&mut self, now_ms: u64) {
        if self.whose.len() <= 2 * self.swept + 1_024 {
            return;
        }
        for held in self.of.values_mut() {
            held.retain(|_, (_, _, ends_ms)| *ends_ms > now_ms);
        }
        self.of.retain(|_, held| !held.is_empty());
        let of = &self.of;
        self.whose.retain(|token, consumer| of.get(consumer).is_some_and(|held| held.contains_key(token)));
        self.swept = self.whose.len();
    }
}

#[cfg(test)]
mod tests {
    use z4_model::ids::GroupId;

    use super::*;

    const ME: ConsumerId = ConsumerId(7);

    fn held(token: u64) -> Held {
        let id = TaskId { due_ms: 1, group: GroupId(1), sequence: token };
        (Namespace::new("n").expect("a name"), id, token)
    }

    fn tokens(holdings: &Holdings) -> Vec<u64> {
        let mut tokens: Vec<u64> = holdings.of(ME).into_iter().map(|(_, _, token)| token).collect();
        tokens.sort_unstable();
        tokens
    }

    /// Deliveries that are acked at another peer would be kept for hours, and told to the next leader all at once.
    #[test]
    fn nothing_grows_with_deliveries_that_were_ever_made() {
        let mut holdings = Holdings::default();
        let mut most = 0;
        for now_ms in (0..1_000_000).step_by(100) {
            holdings.add(ME, (now_ms..now_ms + 100).map(|token| (held(token + 1), now_ms + 1_000)));
            holdings.sweep(now_ms);
            most = most.max(holdings.whose.len());
        }
        assert!(most <= 4 * 1_100, "{most} are known of 1,000 that are leased at a time");
        assert_eq!(holdings.of[&ME].len(), holdings.whose.len());
    }

    #[test]
    fn the_oldest_make_room() {
        let mut holdings = Holdings::default();
        let all = HOLDINGS_MAX as u64 + 10;
        holdings.add(ME, (0..all).map(|token| (held(token), u64::MAX)));
        let kept = HOLDINGS_MAX as u64 / 4 * 3 + 9;
        assert_eq!(tokens(&holdings), (all - kept..all).collect::<Vec<_>>());
        assert_eq!(holdings.whose.len() as u64, kept);
    }

    /// Any client may say that it holds what it likes, with tokens above all others.
    #[test]
    fn who_says_that_it_holds_much_takes_nothing_from_others() {
        let mut holdings = Holdings::default();
        holdings.add(ME, (0..100).map(|token| (held(token), u64::MAX)));
        for n in 1..15 {
            holdings.add(ConsumerId(100 + n % 7), (0..65_536).map(|token| (held((n << 32) + token), u64::MAX)));
            assert!(holdings.whose.len() <= HOLDINGS_MAX);
        }
        assert_eq!(tokens(&holdings), (0..100).collect::<Vec<_>>());
        let all: usize = holdings.of.values().map(HashMap::len).sum();
        assert_eq!(all, holdings.whose.len());
    }

    /// The end of a stream that was opened again must not give up, nor forget, what the new one holds.
    #[test]
    fn what_a_consumer_holds_again_is_not_its_earlier_streams() {
        let (mut holdings, earlier) = (Holdings::default(), ConsumerId(6));
        holdings.add(earlier, (0..3).map(|token| (held(token), 1_000)));
        holdings.add(ME, (1..3).map(|token| (held(token), 1_000)));
        assert_eq!((holdings.of(earlier), tokens(&holdings)), (vec![held(0)], vec![1, 2]));
        holdings.forget(earlier);
        holdings.remove(1);
        assert_eq!((tokens(&holdings), holdings.whose.len()), (vec![2], 1));
    }

    #[test]
    fn what_was_extended_stays_and_what_ended_goes() {
        let mut holdings = Holdings::default();
        holdings.add(ME, (0..2_000).map(|token| (held(token), 1_000)));
        holdings.extend(3, 5_000);
        holdings.extend(9_999, 5_000);
        holdings.remove(4);
        holdings.sweep(999);
        assert_eq!(holdings.whose.len(), 1_999);
        holdings.add(ME, (2_000..6_000).map(|token| (held(token), 1_000)));
        holdings.sweep(1_000);
        assert_eq!(tokens(&holdings), [3]);
        holdings.forget(ME);
        assert!(holdings.whose.is_empty() && holdings.of.is_empty());
    }
}
