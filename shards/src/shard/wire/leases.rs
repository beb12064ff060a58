//! Leases that go from one leader to the next.

use z4_model::encoding::Malformed;
use z4_model::ids::{Namespace, TaskId};
use z4_proto::peer;

use super::{id, key, namespace, put_id, put_key};
use crate::shard::delivery::{ConsumerId, Estate, Heirloom};
use crate::shard::message::Held;

/// Leases in one part: some 200 KiB.
const LEASES_PER_PART: usize = 2_048;

/// The parts of an estate, each small enough for a frame; at least one.
pub fn put_estate(index: u64, estate: &Estate) -> Vec<peer::Estate> {
    let mut parts: Vec<peer::Estate> = estate.leases.chunks(LEASES_PER_PART).map(put_leases).collect();
    if parts.is_empty() {
        parts.push(peer::Estate::default());
    }
    let last = parts.len() - 1;
    for (part, message) in parts.iter_mut().enumerate() {
        (message.index, message.part, message.last) = (index, part as u32, part == last);
    }
    parts
}

/// What is said instead: nothing is left, and what was left before is void.
pub fn no_estate() -> peer::Estate {
    peer::Estate::default()
}

fn put_leases(leases: &[Heirloom]) -> peer::Estate {
    let mut message = peer::Estate::default();
    for run in leases.chunk_by(|a, b| a.namespace == b.namespace) {
        let heirloom = |lease: &Heirloom| peer::Heirloom {
            key: Some(put_key(lease.key)),
            id_due_ms: lease.id_due_ms,
            token: lease.token,
            left_ms: lease.left_ms,
            lease_ms: lease.lease_ms,
            attempts: lease.attempts,
            rewritten: lease.rewritten,
            consumer: lease.consumer.0,
            nth: lease.nth,
            given_back: lease.given_back,
        };
        let namespace = run.first().map(|lease| lease.namespace.to_string()).unwrap_or_default();
        message.namespaces.push(peer::LeasesOf { namespace, leases: run.iter().map(heirloom).collect() });
    }
    message
}

/// Adds a part to what came before.
pub fn estate(message: peer::Estate, into: &mut Estate) -> Result<(), Malformed> {
    for of in message.namespaces {
        let namespace = namespace(&of.namespace)?;
        for lease in of.leases {
            into.leases.push(Heirloom {
                namespace: namespace.clone(),
                key: key(lease.key.as_ref())?,
                id_due_ms: lease.id_due_ms,
                token: lease.token,
                left_ms: lease.left_ms,
                lease_ms: lease.lease_ms,
                attempts: lease.attempts,
                rewritten: lease.rewritten,
                consumer: ConsumerId(lease.consumer),
                nth: lease.nth,
                given_back: lease.given_back,
            });
        }
    }
    Ok(())
}

pub fn put_held(held: &[Held]) -> Vec<peer::Held> {
    let one = |(namespace, id, token): &(Namespace, TaskId, u64)| peer::Held {
        namespace: namespace.to_string(),
        id: Some(put_id(*id)),
        token: *token,
    };
    held.iter().map(one).collect()
}

pub fn held(message: &[peer::Held]) -> Result<Vec<Held>, Malformed> {
    message.iter().map(|held| Ok((namespace(&held.namespace)?, id(held.id.as_ref())?, held.token))).collect()
}

pub fn put_seats(seats: &[(ConsumerId, u64)]) -> Vec<peer::Seat> {
    seats.iter().map(|(consumer, received)| peer::Seat { consumer: consumer.0, received: *received }).collect()
}

pub fn seats(message: &[peer::Seat]) -> Vec<(ConsumerId, u64)> {
    message.iter().map(|seat| (ConsumerId(seat.consumer), seat.received)).collect()
}
