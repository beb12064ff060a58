//! What happened to every task of a run, and whether it may have happened.
//!
//! The promises, per task: an acknowledged create is delivered; nothing is delivered before it is due, nor after its ack was
//! answered, nor without ever having been sent; one request id gives one task.

use std::collections::{BTreeMap, BTreeSet};

use z4_proto::{Delivery, Task};

use crate::harness::{due_ms, payload_number};

/// One task's life, as its producer and its consumers saw it.
#[derive(Default)]
struct Life {
    due_ms: u64,
    ids: BTreeSet<String>,
    acknowledged: bool,
    deliveries: u32,
    settled: bool,
}

/// The lives of all tasks, by the number in their payload.
#[derive(Default)]
pub struct History {
    lives: BTreeMap<u64, Life>,
    violations: Vec<String>,
}

impl History {
    /// A create is about to be sent for the first time; `due_ms` 0: due at once. Returns its number.
    pub fn intend(&mut self, due_ms: u64) -> u64 {
        let number = self.lives.len() as u64;
        self.lives.insert(number, Life { due_ms, ..Life::default() });
        number
    }

    /// The peer answered a create with OK.
    pub fn acknowledged(&mut self, number: u64, task: &Task) {
        let Some(life) = self.lives.get_mut(&number) else {
            return self.violations.push(format!("task {number} was acknowledged and never sent"));
        };
        life.acknowledged = true;
        life.ids.insert(task.id.clone());
    }

    /// A consumer got a delivery, and looked at its clock afterwards.
    pub fn delivered(&mut self, delivery: &Delivery, at_ms: u64) {
        let task = delivery.task.as_ref().expect("a delivery carries its task");
        let number = payload_number(task).unwrap_or(u64::MAX);
        let Some(life) = self.lives.get_mut(&number) else {
            return self.violations.push(format!("task {} was delivered with a payload that nobody sent", task.id));
        };
        life.deliveries += 1;
        life.ids.insert(task.id.clone());
        if at_ms < life.due_ms.max(due_ms(task)) {
            let due = (life.due_ms, due_ms(task));
            self.violations.push(format!("task {number} was delivered at {at_ms} and is due at {due:?} (asked, answered)"));
        }
        if life.settled {
            self.violations.push(format!("task {number} was delivered again after its ack was answered"));
        }
    }

    /// The peer answered an ack with OK.
    pub fn settled(&mut self, number: u64) {
        if let Some(life) = self.lives.get_mut(&number) {
            life.settled = true;
        }
    }

    /// How many creates were acknowledged so far.
    pub fn acknowledged_count(&self) -> usize {
        self.lives.values().filter(|life| life.acknowledged).count()
    }

    /// How many creates were sent so far.
    pub fn intended_count(&self) -> usize {
        self.lives.len()
    }

    /// Everything that must not have happened, once all is over. Empty: the promises were kept.
    pub fn verdict(&self) -> Vec<String> {
        let mut violations = self.violations.clone();
        for (number, life) in &self.lives {
            if life.acknowledged && life.deliveries == 0 {
                violations.push(format!("task {number} was acknowledged and never delivered ({:?})", life.ids));
            }
            if life.ids.len() > 1 {
                violations.push(format!("one request id gave several tasks: {number} is {:?}", life.ids));
            }
        }
        violations
    }
}

#[cfg(test)]
mod tests {
    //! The judge must be able to convict: each promise is broken once.
    use super::*;
    use crate::harness::timestamp;

    fn task(id: &str, number: u64) -> Task {
        let payload = number.to_string().into_bytes().into();
        Task { id: id.to_owned(), payload, deliver_at: Some(timestamp(1_000)), ..Task::default() }
    }

    fn delivery(id: &str, number: u64) -> Delivery {
        Delivery { task: Some(task(id, number)), ..Delivery::default() }
    }

    fn convicted_of(history: &History, text: &str) {
        let verdict = history.verdict();
        assert_eq!(verdict.len(), 1, "{verdict:?}");
        assert!(verdict[0].contains(text), "{verdict:?}");
    }

    #[test]
    fn a_good_life_is_no_crime() {
        let mut history = History::default();
        let number = history.intend(1_000);
        history.acknowledged(number, &task("a", number));
        history.delivered(&delivery("a", number), 1_000);
        history.delivered(&delivery("a", number), 1_001);
        history.settled(number);
        assert_eq!(history.verdict(), Vec::<String>::new());
    }

    #[test]
    fn a_lost_task_is_seen() {
        let mut history = History::default();
        let number = history.intend(0);
        history.acknowledged(number, &task("a", number));
        convicted_of(&history, "never delivered");
    }

    #[test]
    fn an_early_delivery_is_seen() {
        let mut history = History::default();
        let number = history.intend(1_000);
        history.delivered(&delivery("a", number), 999);
        convicted_of(&history, "delivered at 999");
    }

    #[test]
    fn a_delivery_after_the_ack_is_seen() {
        let mut history = History::default();
        let number = history.intend(0);
        history.settled(number);
        history.delivered(&delivery("a", number), 1_000);
        convicted_of(&history, "after its ack");
    }

    #[test]
    fn a_second_task_for_one_request_is_seen() {
        let mut history = History::default();
        let number = history.intend(0);
        history.acknowledged(number, &task("a", number));
        history.delivered(&delivery("b", number), 1_000);
        convicted_of(&history, "several tasks");
    }

    #[test]
    fn a_task_out_of_nothing_is_seen() {
        let mut history = History::default();
        history.delivered(&delivery("a", 7), 1_000);
        convicted_of(&history, "nobody sent");
    }
}
