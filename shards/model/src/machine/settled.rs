//! Which deliveries were settled lately: whoever says it again, because the answer was lost, hears that it is done. Every replica knows, for
//! the next leader is one of them; one that was opened since knows what it has applied since.

use std::collections::{HashMap, VecDeque};

/// So many are remembered: some 2 MiB, and the last seconds of a busy group.
const KEPT: usize = 32_768;

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
    }

    /// The delivery of the row `sequence` under `token` was acked (`true`), or nacked.
    pub fn verdict(&self, token: u64, sequence: u64) -> Option<bool> {
        self.by_token.get(&token).filter(|(of, _)| *of == sequence).map(|(_, acked)| *acked)
    }
}
