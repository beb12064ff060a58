//! Deliveries, and what consumers say about them.

use z4_model::encoding::Malformed;
use z4_model::ids::{GroupId, Namespace};
use z4_proto::peer::{self, said};

use super::failures::{failure, put_failure, put_refusal, refusal};
use super::{id, key, namespace, put_id, put_key};
use crate::shard::api::{Delivered, Rejection, Settle, SettleError, Settled, Verdict};
use crate::shard::delivery::ConsumerId;

pub fn put_settle(namespace: &Namespace, settles: &[Settle]) -> peer::Settle {
    let said = |settle: &Settle| {
        let verdict = match &settle.verdict {
            Verdict::Ack => said::Verdict::Ack(true),
            Verdict::Nack { delay_ms, reason } => said::Verdict::Nack(peer::Nack { delay_ms: *delay_ms, reason: reason.clone() }),
            Verdict::Extend { lease_ms } => said::Verdict::ExtendMs(*lease_ms),
            Verdict::GivenUp { blamed } => said::Verdict::GivenUp(*blamed),
        };
        peer::Said { id: Some(put_id(settle.id)), token: settle.token, verdict: Some(verdict) }
    };
    peer::Settle { namespace: namespace.to_string(), settles: settles.iter().map(said).collect() }
}

pub fn settle(message: peer::Settle) -> Result<(Namespace, Vec<Settle>), Malformed> {
    let settle = |said: peer::Said| {
        let verdict = match said.verdict.ok_or(Malformed("a delivery without a verdict"))? {
            said::Verdict::Ack(_) => Verdict::Ack,
            said::Verdict::Nack(nack) => Verdict::Nack { delay_ms: nack.delay_ms, reason: nack.reason },
            said::Verdict::ExtendMs(lease_ms) => Verdict::Extend { lease_ms },
            said::Verdict::GivenUp(blamed) => Verdict::GivenUp { blamed },
        };
        Ok(Settle { id: id(said.id.as_ref())?, token: said.token, verdict })
    };
    Ok((namespace(&message.namespace)?, message.settles.into_iter().map(settle).collect::<Result<_, Malformed>>()?))
}

pub fn put_settled(all: &[Settled]) -> peer::Settled {
    let result = |settled: &Settled| match settled {
        Ok(deadline_ms) => peer::SettleResult { deadline_ms: *deadline_ms, ..Default::default() },
        Err(SettleError::LeaseLost { .. }) => peer::SettleResult { lost: true, ..Default::default() },
        Err(SettleError::Rejected(Rejection::Refused(refused))) => {
            peer::SettleResult { refusal: Some(put_refusal(refused)), ..Default::default() }
        }
        Err(SettleError::Rejected(rejection)) => {
            peer::SettleResult { failure: Some(put_failure(rejection)), ..Default::default() }
        }
    };
    peer::Settled { results: all.iter().map(result).collect() }
}

/// The answers to `asked`, in their order.
pub fn settled(group: GroupId, asked: &[Settle], message: &peer::Settled) -> Result<Vec<Settled>, Malformed> {
    if asked.len() != message.results.len() {
        return Err(Malformed("more or fewer answers than questions"));
    }
    let one = |(asked, result): (&Settle, &peer::SettleResult)| {
        if let Some(failed) = &result.failure {
            return Ok(Err(SettleError::Rejected(failure(group, failed))));
        }
        if let Some(refused) = &result.refusal {
            return Ok(Err(SettleError::Rejected(refusal(refused)?.into())));
        }
        Ok(match result.lost {
            true => Err(SettleError::LeaseLost { id: asked.id, token: asked.token }),
            false => Ok(result.deadline_ms),
        })
    };
    asked.iter().zip(&message.results).map(one).collect()
}

pub fn put_deliveries(consumer: ConsumerId, tasks: Vec<Delivered>) -> peer::Deliver {
    let delivery = |task: Delivered| peer::Delivery {
        namespace: task.namespace.to_string(),
        id: Some(put_id(task.id)),
        key: Some(put_key(task.key)),
        row: task.row,
        attempt: task.attempt,
        token: task.token,
        deadline_ms: task.deadline_ms,
    };
    peer::Deliver { consumer: consumer.0, deliveries: tasks.into_iter().map(delivery).collect() }
}

pub fn deliveries(message: peer::Deliver) -> Result<Vec<Delivered>, Malformed> {
    let mut all: Vec<Delivered> = Vec::with_capacity(message.deliveries.len());
    for delivery in message.deliveries {
        // Mostly they are all of one namespace: its name is checked and kept once.
        let namespace = match all.last() {
            Some(before) if before.namespace.as_bytes() == delivery.namespace.as_bytes() => before.namespace.clone(),
            _ => namespace(&delivery.namespace)?,
        };
        all.push(Delivered {
            namespace,
            id: id(delivery.id.as_ref())?,
            key: key(delivery.key.as_ref())?,
            row: delivery.row,
            attempt: delivery.attempt,
            token: delivery.token,
            deadline_ms: delivery.deadline_ms,
        });
    }
    Ok(all)
}
