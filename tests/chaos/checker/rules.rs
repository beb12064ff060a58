//! The promises, one function each. What it returns says how the promise was broken.
//!
//! Deliveries travel over streams and links and may come late, so what counts between two of them are their tokens, not when they
//! came.

use super::story::{Birth, Delivery, Life, Step};

type OfBirth = fn(&Birth) -> Option<String>;
type OfLife = fn(&Life, Option<&Birth>, bool) -> Option<String>;

/// What is promised of creates.
pub fn births() -> Vec<(&'static str, OfBirth)> {
    vec![("made twice", made_twice), ("made though refused", made_though_refused)]
}

/// What is promised of tasks that have an id.
pub fn lives() -> Vec<(&'static str, OfLife)> {
    vec![
        ("lost", lost),
        ("early", early),
        ("due time", due_before_asked),
        ("token twice", token_twice),
        ("attempts", attempts),
        ("acked twice", acked_twice),
        ("delivered after its ack", delivered_after_ack),
        ("changed when gone", changed_when_gone),
        ("read when gone", read_when_gone),
        ("not read when there", not_read_when_there),
        ("there in the end", there_in_the_end),
    ]
}

/// A request id makes one task, however often it is sent; a create without one, sent once, makes one as well.
fn made_twice(birth: &Birth) -> Option<String> {
    (birth.ids.len() > 1).then(|| "one create has several ids".to_owned())
}

fn made_though_refused(birth: &Birth) -> Option<String> {
    let refused = !birth.ids.is_empty() && birth.creates.iter().all(|create| !create.end.is_possible());
    refused.then(|| format!("every create was refused: {:?}", birth.creates))
}

/// Everything that may have ended the task: acks and deletes.
fn endings(life: &Life) -> impl Iterator<Item = &Step> {
    life.acks.iter().map(|(_, step)| step).chain(&life.deletes)
}

/// An acknowledged create is acked, deleted, or still there.
fn lost(life: &Life, _: Option<&Birth>, ended: bool) -> Option<String> {
    let acknowledged = life.acknowledged?;
    let gone = endings(life).any(|step| step.end.is_possible());
    (ended && !life.listed && !gone).then(|| {
        let told = life.deliveries.len();
        format!("acknowledged at {acknowledged}, delivered {told} times, not there in the end")
    })
}

/// By the clock that all share.
fn early(life: &Life, _: Option<&Birth>, _: bool) -> Option<String> {
    let early = life.deliveries.iter().find(|delivery| delivery.at_ms < delivery.due_ms)?;
    Some(format!("delivered at {} ms, due at {} ms", early.at_ms, early.due_ms))
}

/// No delivery has an earlier due time than any that was ever asked for.
fn due_before_asked(life: &Life, birth: Option<&Birth>, _: bool) -> Option<String> {
    let created = birth?.due_ms;
    let wrong = life.deliveries.iter().find(|delivery| {
        let updates = life.updates.iter().filter(|(_, step)| step.asked < delivery.place && step.end.is_possible());
        updates.map(|(due_ms, _)| *due_ms).chain([created]).all(|due_ms| delivery.due_ms < due_ms)
    })?;
    Some(format!("delivered as due at {} ms, which nobody asked for", wrong.due_ms))
}

/// The deliveries in the order of their tokens.
fn by_token(life: &Life) -> Vec<Delivery> {
    let mut deliveries = life.deliveries.clone();
    deliveries.sort_by_key(|delivery| delivery.token);
    deliveries
}

fn token_twice(life: &Life, _: Option<&Birth>, _: bool) -> Option<String> {
    let deliveries = by_token(life);
    let twice = deliveries.windows(2).find(|pair| pair[0].token == pair[1].token)?;
    Some(format!("the deliveries at {} and {} have the token {}", twice[0].place, twice[1].place, twice[0].token))
}

/// A later attempt has a higher token. After a failover the same attempt may come again.
fn attempts(life: &Life, _: Option<&Birth>, _: bool) -> Option<String> {
    let deliveries = by_token(life);
    let wrong = deliveries.windows(2).find(|pair| pair[0].attempt > pair[1].attempt)?;
    let (before, after) = (wrong[0], wrong[1]);
    Some(format!(
        "attempt {} has the token {}, attempt {} the token {}",
        before.attempt, before.token, after.attempt, after.token
    ))
}

/// Two leases of one task are never both good for an ack.
fn acked_twice(life: &Life, _: Option<&Birth>, _: bool) -> Option<String> {
    let mut accepted: Vec<u64> =
        life.acks.iter().filter(|(_, step)| step.end.done().is_some()).map(|(token, _)| *token).collect();
    accepted.sort_unstable();
    accepted.dedup();
    (accepted.len() > 1).then(|| format!("acks were accepted for the tokens {accepted:?}"))
}

/// A lease that came after another one voids it, and an acked task is never leased again: tokens above the acked one do not exist.
fn delivered_after_ack(life: &Life, _: Option<&Birth>, _: bool) -> Option<String> {
    let (acked, _) = life.acks.iter().find(|(_, step)| step.end.done().is_some())?;
    let after = life.deliveries.iter().find(|delivery| delivery.token > *acked)?;
    Some(format!("acked under the token {acked}, delivered at {} under {}", after.place, after.token))
}

/// Since when the task is surely gone.
fn gone_since(life: &Life) -> Option<usize> {
    endings(life).filter_map(|step| step.end.done()).min()
}

fn changed_when_gone(life: &Life, _: Option<&Birth>, _: bool) -> Option<String> {
    let gone = gone_since(life)?;
    let changes = life.updates.iter().map(|(_, step)| step).chain(endings(life));
    let late = changes.filter(|step| step.end.done().is_some()).find(|step| step.asked > gone)?;
    Some(format!("gone since {gone}, a change asked for at {} was done", late.asked))
}

fn read_when_gone(life: &Life, _: Option<&Birth>, _: bool) -> Option<String> {
    let gone = gone_since(life)?;
    let read = life.reads.iter().find(|read| read.found && read.asked > gone)?;
    Some(format!("gone since {gone}, found by the read at {}", read.asked))
}

fn not_read_when_there(life: &Life, _: Option<&Birth>, _: bool) -> Option<String> {
    let there = life.acknowledged?;
    let missed = life.reads.iter().find(|read| {
        let perhaps_gone = endings(life).any(|step| step.asked < read.answered && step.end.is_possible());
        !read.found && read.asked > there && !perhaps_gone
    })?;
    Some(format!("acknowledged at {there}, not found by the read at {}", missed.asked))
}

fn there_in_the_end(life: &Life, _: Option<&Birth>, _: bool) -> Option<String> {
    let gone = gone_since(life)?;
    life.listed.then(|| format!("gone since {gone}, there in the end"))
}
