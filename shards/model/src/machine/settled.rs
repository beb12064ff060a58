//! Which deliveries were settled lately: whoever says it again, because the answer was lost, hears that it is done. Every replica knows, for
//! the next leader is one of them; one that was opened since knows what it has applied since.

use std::collections::{HashMap, VecDeque};

/// So many are remembered: some 2 MiB, and the last seconds of a busy group.
const KEPT: usize = 32_768;

const _: () = assert!(KEPT > 0, "a delivery is remembered before another one is forgotten");

/// Settled deliveries by their tokens, which are unique in the group.
#[derive(Debug, Default)]
pub struct SettledLately {
    by_token: HashMap<u64, (u64, bool)>,
    order: VecDeque<u64>,
}

impl SettledLately {
    /// The delivery of the row `sequence` under `token` was acked, or nacked.
    pub fn add(&mut self, token: u64, sequence: u64, acked: bool) {
        if self.by_token.insert(token, (sequence, acked)).is_none() {
            self.order.push_back(token);
        }
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_token.remove(&oldest);
        }
        debug_assert_eq!(self.by_token.len(), self.order.len());
    }

    /// What must hold at any time.
    ///
    /// # Panics
    /// It does not.
    pub(super) fn check(&self) {
        assert!(self.order.len() <= KEPT, "{} deliveries are remembered", self.order.len());
        assert_eq!(self.by_token.len(), self.order.len(), "each token has its turn to be forgotten");
        assert!(self.order.iter().all(|token| self.by_token.contains_key(token)), "what is to be forgotten is remembered");
    }

    /// The delivery of the row `sequence` under `token` was acked (`true`), or nacked.
    pub fn verdict(&self, token: u64, sequence: u64) -> Option<bool> {
        self.by_token.get(&token).filter(|(of, _)| *of == sequence).map(|(_, acked)| *acked)
    }
}
