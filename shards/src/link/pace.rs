//! How long a link takes frames in before others have their turn. Time is an input.

use std::time::Duration;

use crate::runtime::clock::Instant;
use crate::runtime::{clock, executor};

/// So many frames are taken in, and for about so long; then others have a turn of this length at least.
const FRAMES_PER_TURN: u32 = 512;
const TURN: Duration = Duration::from_millis(1);
const PAUSE: Duration = Duration::from_micros(20);

/// A request that is begun counts as so many frames: it goes on when the link's turn is over.
const FRAMES_PER_REQUEST: u32 = 16;

/// The turn of a link that reads.
#[derive(Default)]
pub(super) struct Pace {
    frames: u32,
    /// What this turn took before it was last interrupted.
    spent: Duration,
    since: Option<Instant>,
}

impl Pace {
    /// Frames are taken in from now on.
    pub(super) fn go_on(&mut self, now: Instant) {
        self.since = Some(now);
    }

    /// Nothing is there to be taken in: what is waited for now is no part of the turn.
    pub(super) fn rest(&mut self) {
        if let Some(since) = self.since.take() {
            self.spent += clock::monotonic().saturating_duration_since(since);
        }
    }

    /// A frame was one that begins a request.
    pub(super) fn began(&mut self) {
        self.frames += FRAMES_PER_REQUEST - 1;
    }

    /// One frame more; the turn is over for now.
    fn is_over(&mut self, now: Instant) -> bool {
        self.frames += 1;
        let spent = self.spent + self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.frames >= FRAMES_PER_TURN || spent >= TURN
    }

    /// Before each frame.
    pub(super) async fn step(&mut self) {
        if self.is_over(clock::monotonic()) {
            executor::sleep(PAUSE).await;
            *self = Pace { since: Some(clock::monotonic()), ..Pace::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_after_so_many_frames_or_so_long() {
        let start = clock::monotonic();
        let mut quick = Pace { since: Some(start), ..Pace::default() };
        assert_eq!((1..).find(|_| quick.is_over(start)), Some(FRAMES_PER_TURN));
        let mut asking = Pace { since: Some(start), ..Pace::default() };
        let ask = |asking: &mut Pace| {
            let over = asking.is_over(start);
            asking.began();
            over
        };
        assert_eq!((1..).find(|_| ask(&mut asking)), Some(FRAMES_PER_TURN / FRAMES_PER_REQUEST + 1));
        let mut slow = Pace { since: Some(start), ..Pace::default() };
        assert_eq!((1..).find(|frames| slow.is_over(start + *frames * TURN / 20)), Some(20));
        let mut resumed = Pace { spent: TURN, since: None, frames: 0 };
        assert!(resumed.is_over(start), "what came before counts");
    }
}
