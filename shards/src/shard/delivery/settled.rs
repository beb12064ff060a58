//! Which deliveries were settled lately: whoever says it again, because the answer was lost, hears that it is done.

use std::collections::{HashMap, VecDeque};

/// So many are remembered: some 2 MiB, and the last seconds of a busy group.
const KEPT: usize = 32_768;

/// So many of them are told to the next leader.
const TOLD: usize = 8_192;

/// Settled deliveries by their tokens, which are unique in the group.
#[derive(Default)]
pub(super) struct SettledLately {
    by_token: HashMap<u64, (u64, bool)>,
    order: VecDeque<u64>,
}

impl SettledLately {
    /// The delivery of the row `sequence` under `token` was acked, or nacked.
    pub(super) fn add(&mut self, token: u64, sequence: u64, acked: bool) {
        if self.by_token.insert(token, (sequence, acked)).is_none() {
            self.order.push_back(token);
        }
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_token.remove(&oldest);
        }
    }

    /// Exactly this was said before, and done.
    pub(super) fn knows(&self, token: u64, sequence: u64, acked: bool) -> bool {
        self.by_token.get(&token) == Some(&(sequence, acked))
    }

    /// The latest of them: token, sequence, acked, the oldest first.
    pub(super) fn recent(&self) -> impl Iterator<Item = (u64, u64, bool)> {
        let from = self.order.len().saturating_sub(TOLD);
        self.order.range(from..).filter_map(|token| self.by_token.get(token).map(|(sequence, acked)| (*token, *sequence, *acked)))
    }
}
