//! Judges a history: what a cluster promises, whatever happens to it. Pure.

mod rules;
mod story;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::history::{Event, What};
use story::Stories;

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub rule: &'static str,
    /// Of which task or group, and how.
    pub text: String,
}

/// Every broken promise.
pub fn violations(events: &[Event]) -> Vec<Violation> {
    let stories = Stories::of(events);
    let mut found: Vec<Violation> = stories.strange.iter().map(|text| violation("strange", text.clone())).collect();
    for (number, birth) in &stories.births {
        let broken = rules::births().into_iter().filter_map(|(rule, check)| Some((rule, check(birth)?)));
        found.extend(broken.map(|(rule, text)| violation(rule, format!("task {number} {:?}: {text}", birth.ids))));
    }
    for (id, life) in &stories.lives {
        let birth = stories.births.get(&life.number);
        let broken = rules::lives().into_iter().filter_map(|(rule, check)| Some((rule, check(life, birth, stories.ended)?)));
        found.extend(broken.map(|(rule, text)| violation(rule, format!("task {} {id}: {text}", life.number))));
    }
    found.extend(states(events));
    found
}

fn violation(rule: &'static str, text: String) -> Violation {
    Violation { rule, text }
}

/// Replicas of a group that have applied the same hold the same.
fn states(events: &[Event]) -> Vec<Violation> {
    let mut seen: BTreeMap<(u32, u64), (u64, &str)> = BTreeMap::new();
    let mut found = Vec::new();
    for event in events {
        let What::State { group, index, hash } = event.what else { continue };
        let (first, peer) = *seen.entry((group, index)).or_insert((hash, &event.peer));
        if first != hash {
            let text = format!("group {group} at index {index}: {first:016x} on {peer}, {hash:016x} on {}", event.peer);
            found.push(violation("states differ", text));
        }
    }
    found
}
