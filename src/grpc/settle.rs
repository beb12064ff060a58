//! Acks, nacks and lease extensions: checked, grouped by namespace, answered one by one.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::future::join_all;
use tonic::Status;
use z4_model::ids::Namespace;
use z4_proto as proto;
use z4_shards::shard::api::{Settle, Settled, Verdict};

use super::limits::at_most;
use super::reply;
use super::services::Context;
use super::status::settle_code;
use super::timestamp::timestamp;
use super::{Invalid, Limits, convert};

/// So much of an id is sent back with what became of it; a task's has 26 characters.
const ECHO_CHARS_MAX: usize = 64;

/// One thing that a consumer says, not yet checked.
pub(super) enum Said {
    Ack(proto::Ack),
    Nack(proto::Nack),
    Extend(proto::LeaseExtension),
}

/// What a consumer says about deliveries of one namespace.
pub(super) struct Group {
    pub(super) namespace: Namespace,
    pub(super) settles: Vec<Settle>,
    /// For each: its position in the message, and the id as it was sent.
    echoes: Vec<(usize, String)>,
}

/// A message taken apart.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) groups: Vec<Group>,
    /// What is refused without asking a shard.
    pub(super) refused: Vec<(usize, proto::SettleResult)>,
}

/// Takes a message apart. What is wrong with one of them is that one's answer.
///
/// # Errors
/// There are more than `settles_max` of them: nothing is done.
pub(super) fn plan(said: impl ExactSizeIterator<Item = Said>, limits: &Limits) -> Result<Plan, Invalid> {
    at_most("acks, nacks and extensions", said.len(), "entries", limits.settles_max, "settles_max")?;
    let mut plan = Plan::default();
    let mut places = HashMap::<Namespace, usize>::new();
    for (position, said) in said.enumerate() {
        let (namespace, task_id, token) = match &said {
            Said::Ack(a) => (&a.namespace, &a.task_id, a.token),
            Said::Nack(n) => (&n.namespace, &n.task_id, n.token),
            Said::Extend(e) => (&e.namespace, &e.task_id, e.token),
        };
        // What is no id is not sent back at any length.
        let (echo, id) = (task_id.chars().take(ECHO_CHARS_MAX).collect(), convert::task_id(task_id));
        let place = match plan.groups.last() {
            Some(last) if last.namespace.as_bytes() == namespace.as_bytes() => Ok(plan.groups.len() - 1),
            _ => place(namespace, &mut plan.groups, &mut places),
        };
        let checked = place.and_then(|place| Ok((place, Settle { id: id?, token, verdict: verdict(said, limits)? })));
        match checked {
            Ok((place, settle)) => {
                plan.groups[place].settles.push(settle);
                plan.groups[place].echoes.push((position, echo));
            }
            Err(invalid) => plan.refused.push((position, refusal(echo, token, &invalid))),
        }
    }
    plan.groups.retain(|group| !group.settles.is_empty());
    Ok(plan)
}

/// The group of a namespace, a new one at need.
fn place(name: &str, groups: &mut Vec<Group>, places: &mut HashMap<Namespace, usize>) -> Result<usize, Invalid> {
    let namespace = Namespace::new(name)?;
    let place = *places.entry(namespace.clone()).or_insert(groups.len());
    if place == groups.len() {
        groups.push(Group { namespace, settles: Vec::new(), echoes: Vec::new() });
    }
    Ok(place)
}

fn verdict(said: Said, limits: &Limits) -> Result<Verdict, Invalid> {
    match said {
        Said::Ack(_) => Ok(Verdict::Ack),
        Said::Nack(nack) => {
            limits.reason(&nack.reason)?;
            nack.delay_ms.map_or(Ok(()), |delay_ms| limits.delay_ms(delay_ms))?;
            Ok(Verdict::Nack { delay_ms: nack.delay_ms, reason: Bytes::from(nack.reason) })
        }
        Said::Extend(extend) => {
            limits.lease_ms(extend.lease_ms)?;
            Ok(Verdict::Extend { lease_ms: extend.lease_ms })
        }
    }
}

fn refusal(task_id: String, token: u64, invalid: &Invalid) -> proto::SettleResult {
    let status = tonic::Code::InvalidArgument as u32;
    proto::SettleResult { task_id, token, status, message: invalid.to_string(), lease_deadline: None }
}

impl Group {
    /// Settles the group; `settle` answers one for each, in their order.
    pub(super) async fn run<F>(self, settle: impl FnOnce(Namespace, Vec<Settle>) -> F) -> Vec<(usize, proto::SettleResult)>
    where
        F: Future<Output = Vec<Settled>>,
    {
        let tokens: Vec<u64> = self.settles.iter().map(|s| s.token).collect();
        let settled = settle(self.namespace, self.settles).await;
        let asked = self.echoes.into_iter().zip(tokens);
        asked.zip(settled).map(|(((position, task_id), token), settled)| (position, result(task_id, token, settled))).collect()
    }
}

fn result(task_id: String, token: u64, settled: Settled) -> proto::SettleResult {
    match settled {
        Ok(deadline_ms) => {
            let lease_deadline = (deadline_ms > 0).then(|| timestamp(deadline_ms));
            proto::SettleResult { task_id, token, status: 0, message: String::new(), lease_deadline }
        }
        Err(error) => {
            let status = settle_code(&error) as u32;
            proto::SettleResult { task_id, token, status, message: error.to_string(), lease_deadline: None }
        }
    }
}

/// AckTasks, NackTasks and ExtendLeases: answers in the order of the requests.
pub(super) async fn settle(
    context: &Context,
    said: impl ExactSizeIterator<Item = Said>,
) -> Result<proto::SettleResponse, Status> {
    let mut results = vec![proto::SettleResult::default(); said.len()];
    let plan = plan(said, &context.limits)?;
    let running = plan.groups.into_iter().map(|group| group.run(|ns, settles| context.shards.settle(ns, settles)));
    let settled = join_all(running).await;
    for (position, result) in plan.refused.into_iter().chain(settled.into_iter().flatten()) {
        results[position] = result;
    }
    reply::fit(&mut results, 0);
    Ok(proto::SettleResponse { results })
}

#[cfg(test)]
mod tests {
    //! An answer must never be given to the wrong delivery: a client would believe that a task is done which comes again.
    use futures_util::FutureExt;
    use z4_model::ids::{GroupId, TaskId};
    use z4_shards::shard::api::SettleError;

    use super::*;

    fn id(sequence: u64) -> TaskId {
        TaskId { due_ms: 5, group: GroupId(1), sequence }
    }

    fn ack(namespace: &str, sequence: u64) -> Said {
        Said::Ack(proto::Ack { namespace: namespace.into(), task_id: id(sequence).to_string(), token: sequence })
    }

    #[test]
    fn groups_keep_position_and_order() {
        let bad = Said::Ack(proto::Ack { namespace: "a".into(), task_id: "?".into(), token: 7 });
        let long =
            proto::Nack { namespace: "a".into(), task_id: id(8).to_string(), reason: "x".repeat(1_025), ..Default::default() };
        let said = vec![ack("a", 1), ack("b", 2), ack("a", 3), bad, ack("", 4), Said::Nack(long)];
        let plan = plan(said.into_iter(), &Limits::default()).expect("within the limits");
        let refused: Vec<_> = plan.refused.iter().map(|(at, r)| (*at, r.token, r.status)).collect();
        assert_eq!(refused, [(3, 7, 3), (4, 4, 3), (5, 0, 3)]);
        assert_eq!(plan.refused[2].1.message, "reason has 1025 bytes; the limit is 1024 (reason_bytes_max)");
        let names: Vec<_> = plan.groups.iter().map(|g| g.namespace.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        // The shard extends the first and refuses the second.
        let shard = |_: Namespace, settles: Vec<Settle>| async move {
            assert_eq!(settles.iter().map(|s| s.token).collect::<Vec<_>>(), [1, 3]);
            vec![Ok(9_000), Err(SettleError::LeaseLost { id: settles[1].id, token: 3 })]
        };
        let group = plan.groups.into_iter().next().expect("two groups");
        let results = group.run(shard).now_or_never().expect("no waiting");
        let seen: Vec<_> = results.iter().map(|(at, r)| (*at, r.task_id.clone(), r.token, r.status)).collect();
        assert_eq!(seen, [(0, id(1).to_string(), 1, 0), (2, id(3).to_string(), 3, 9)]);
        assert_eq!((results[0].1.lease_deadline, results[1].1.lease_deadline), (Some(timestamp(9_000)), None));
    }

    #[test]
    fn a_message_has_a_bound() {
        let limits = Limits { settles_max: 1, ..Limits::default() };
        let error = plan(vec![ack("a", 1), ack("a", 2)].into_iter(), &limits).map(|_| ()).expect_err("two");
        let text = "acks, nacks and extensions has 2 entries; the limit is 1 (settles_max)";
        assert_eq!(error.to_string(), text);
    }
}
