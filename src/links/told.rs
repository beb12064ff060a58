//! What was said in the log a moment ago is not said again: whoever reaches the peer port could fill the disk with it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// The same cause is told again after this.
const AGAIN: Duration = Duration::from_secs(60);

/// So many causes are told apart; what comes beyond them within the time is not told.
const CAUSES_MAX: usize = 32;

/// What was told, and when.
#[derive(Default)]
pub struct Told(RefCell<HashMap<String, Instant>>);

impl Told {
    /// This is to be told now; from then on it was.
    pub fn is_due(&self, cause: &str, now: Instant) -> bool {
        let mut told = self.0.borrow_mut();
        told.retain(|_, at| now.duration_since(*at) < AGAIN);
        if told.contains_key(cause) || told.len() >= CAUSES_MAX {
            return false;
        }
        told.insert(cause.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_strangers_does_not_fill_the_log() {
        let (told, start) = (Told::default(), Instant::now());
        assert!(told.is_due("a", start) && !told.is_due("a", start));
        let others = (0..1_000).filter(|n| told.is_due(&n.to_string(), start)).count();
        assert_eq!(others, CAUSES_MAX - 1);
        assert!(told.is_due("a", start + AGAIN), "a minute later");
    }
}
