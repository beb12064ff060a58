//! Commands and their replies.

use bytes::Bytes;
use z4_model::command::{Command, Created, Entry, OpReply, PurgeCursor, Reply, decode_entry, encode_entry};
use z4_model::encoding::Malformed;
use z4_model::ids::GroupId;
use z4_proto::peer::{self, op_reply};

use super::failures::{failure, put_failure, put_refusal, refusal};
use super::reads::{namespace_row, put_namespace_row, put_row, row};
use super::{id, key, put_id, put_key};
use crate::shard::api::Rejection;

/// Commands, as an entry whose stamp means nothing.
pub fn put_commands(commands: Vec<Command>) -> (Bytes, Vec<Command>) {
    let entry = Entry { stamp_ms: 0, now_ms: None, commands };
    (encode_entry(&entry), entry.commands)
}

pub fn commands(bytes: &Bytes) -> Result<Vec<Command>, Malformed> {
    decode_entry(bytes).map(|entry| entry.commands)
}

/// What became of one command.
pub fn put_outcome(outcome: &Result<Reply, Rejection>) -> peer::Reply {
    match outcome {
        Ok(Ok(results)) => peer::Reply { results: results.iter().map(put_op_reply).collect(), ..Default::default() },
        Ok(Err(refused)) => peer::Reply { refusal: Some(put_refusal(refused)), ..Default::default() },
        Err(rejection) => peer::Reply { failure: Some(put_failure(rejection)), ..Default::default() },
    }
}

pub fn outcome(group: GroupId, reply: peer::Reply) -> Result<Result<Reply, Rejection>, Malformed> {
    if let Some(failed) = &reply.failure {
        return Ok(Err(failure(group, failed)));
    }
    if let Some(refused) = &reply.refusal {
        return Ok(Ok(Err(refusal(refused)?)));
    }
    let results = reply.results.into_iter().map(op_reply).collect::<Result<_, _>>()?;
    Ok(Ok(Ok(results)))
}

fn put_op_reply(reply: &OpReply) -> peer::OpReply {
    use op_reply::Reply as R;
    let reply = match reply {
        OpReply::Created(created) => R::Created(put_created(created)),
        OpReply::Acked => R::Acked(true),
        OpReply::Retried { dead } => R::RetriedDead(*dead),
        OpReply::Updated(task) => R::Updated(put_row(task)),
        OpReply::Deleted => R::Deleted(true),
        OpReply::Configured(namespace) => R::Configured(put_namespace_row(namespace)),
        OpReply::LowWater => R::LowWater(true),
        OpReply::Purged { removed } => R::Purged(*removed),
        OpReply::Registered => R::Registered(true),
        OpReply::PurgedTo { removed, next, left } => R::PurgedTo(peer::PurgedTo {
            removed: *removed,
            live: next.map(|next| put_key(next.live)),
            dead: next.map(|next| put_key(next.dead)),
            left: *left,
        }),
        OpReply::NamespaceDropped { existed } => R::NamespaceDropped(*existed),
        OpReply::GivenBack => R::GivenBack(true),
        OpReply::ClaimsEnded => R::ClaimsEnded(true),
    };
    peer::OpReply { reply: Some(reply) }
}

fn op_reply(reply: peer::OpReply) -> Result<OpReply, Malformed> {
    use op_reply::Reply as R;
    Ok(match reply.reply.ok_or(Malformed("an operation without its reply"))? {
        R::Created(message) => OpReply::Created(created(&message)?),
        R::Acked(_) => OpReply::Acked,
        R::RetriedDead(dead) => OpReply::Retried { dead },
        R::Updated(task) => OpReply::Updated(row(task)?),
        R::Deleted(_) => OpReply::Deleted,
        R::Configured(namespace) => OpReply::Configured(Box::new(namespace_row(&namespace)?)),
        R::LowWater(_) => OpReply::LowWater,
        R::Purged(removed) => OpReply::Purged { removed },
        R::Registered(_) => OpReply::Registered,
        R::PurgedTo(peer::PurgedTo { removed, live, dead, left }) => {
            let next = match (live, dead) {
                (Some(live), Some(dead)) => Some(PurgeCursor { live: key(Some(&live))?, dead: key(Some(&dead))? }),
                _ => None,
            };
            OpReply::PurgedTo { removed, next, left }
        }
        R::NamespaceDropped(existed) => OpReply::NamespaceDropped { existed },
        R::GivenBack(_) => OpReply::GivenBack,
        R::ClaimsEnded(_) => OpReply::ClaimsEnded,
    })
}

fn put_created(created: &Created) -> peer::Created {
    peer::Created { id: Some(put_id(created.id)), created_ms: created.created_ms, duplicate: created.duplicate }
}

fn created(message: &peer::Created) -> Result<Created, Malformed> {
    Ok(Created { id: id(message.id.as_ref())?, created_ms: message.created_ms, duplicate: message.duplicate })
}

/// The answer to asynchronous creates.
pub fn put_reserved(all: &[Created]) -> peer::Reserved {
    peer::Reserved { created: all.iter().map(put_created).collect() }
}

pub fn reserved(message: &peer::Reserved) -> Result<Vec<Created>, Malformed> {
    message.created.iter().map(created).collect()
}
