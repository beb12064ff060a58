//! Why something was not done.

use z4_model::command::{Defect, Refusal};
use z4_model::encoding::Malformed;
use z4_model::ids::{GroupId, TaskId};
use z4_model::settings::{Setting, SettingError, Settings};
use z4_proto::peer::frame::Body;
use z4_proto::peer::{Failure, Refusal as RefusalMessage, failure::Kind, refusal};

use super::{id, namespace, put_id};
use crate::link::REQUESTS;
use crate::shard::api::Rejection;
use crate::shard::consumer::MEMORY;
use crate::shard::lists::LISTS;
use crate::shard::namespaces::NAMESPACES;
use crate::shard::queue::{ENTRY_BYTES, ENTRY_OPS, QUEUED_BYTES, QUEUED_COMMANDS};
use crate::shard::room;
use crate::shard::waiting::READS;

/// Bounds of the other peer, by the names of their options.
const BOUNDS: [&str; 12] = [
    QUEUED_COMMANDS[0],
    QUEUED_COMMANDS[1],
    QUEUED_BYTES[0],
    QUEUED_BYTES[1],
    LISTS,
    READS,
    NAMESPACES,
    REQUESTS,
    MEMORY,
    room::HELD,
    "a shard's mailbox (mailbox_messages_max)",
    "a queue of the group's leader",
];

/// Whose disk is full.
const DISKS: [&str; 2] = [room::LEADERS, room::MAJORITYS];

/// What is counted where a request is too large.
const COUNTED: [&str; 2] = [ENTRY_BYTES, ENTRY_OPS];

/// Finds a text that is the same in every peer; the last one of the table stands for those that are not in it.
fn known<const N: usize>(table: &[&'static str; N], text: &str) -> &'static str {
    table.iter().find(|known| **known == text).copied().unwrap_or(table[N - 1])
}

/// Nothing was done, because this replica does not lead.
pub fn not_leading(group: GroupId) -> Body {
    Body::Failure(put_failure(&Rejection::NoLeader { group }))
}

pub fn put_failure(rejection: &Rejection) -> Failure {
    let text = || rejection.to_string();
    let (kind, text, limit) = match rejection {
        Rejection::NoLeader { .. } | Rejection::NotMember | Rejection::Removed | Rejection::Behind { .. } => {
            (Kind::NoLeader, text(), 0)
        }
        Rejection::Unknown { .. } => (Kind::Unknown, text(), 0),
        Rejection::Overloaded { what, limit } => (Kind::Overloaded, (*what).to_owned(), *limit as u64),
        Rejection::DiskFull { whose, reserve_bytes } => (Kind::Overloaded, (*whose).to_owned(), *reserve_bytes),
        Rejection::TooLarge { what, found, limit } => (Kind::TooLarge, format!("{what} {found}"), *limit as u64),
        Rejection::Stopping => (Kind::Stopping, text(), 0),
        Rejection::Storage(cause) => (Kind::Storage, cause.to_string(), 0),
        Rejection::Refused(_) => (Kind::Invalid, text(), 0),
    };
    Failure { kind: kind.into(), text, limit }
}

/// What the other peer did not do, or may have done, of a request to a group.
pub fn failure(group: GroupId, failure: &Failure) -> Rejection {
    match failure.kind() {
        Kind::NoLeader => Rejection::NoLeader { group },
        Kind::Overloaded if DISKS.contains(&failure.text.as_str()) => {
            Rejection::DiskFull { whose: known(&DISKS, &failure.text), reserve_bytes: failure.limit }
        }
        Kind::Overloaded => Rejection::Overloaded { what: known(&BOUNDS, &failure.text), limit: failure.limit as usize },
        Kind::TooLarge => {
            let (what, found) = failure.text.split_once(' ').unwrap_or_default();
            let (found, limit) = (found.parse().unwrap_or_default(), failure.limit as usize);
            Rejection::TooLarge { what: known(&COUNTED, what), found, limit }
        }
        Kind::Storage => Rejection::Storage(failure.text.as_str().into()),
        Kind::Invalid => Rejection::Storage(format!("another peer did not take the request: {}", failure.text).into()),
        // The peer stopped with the request on the way.
        Kind::Unknown | Kind::Stopping | Kind::Unspecified => Rejection::Unknown { group },
    }
}

pub(super) fn put_refusal(refused: &Refusal) -> RefusalMessage {
    let mut message = RefusalMessage::default();
    match refused {
        Refusal::NotFound { namespace, id } => {
            message.set_kind(refusal::Kind::NotFound);
            message.namespace = namespace.to_string();
            message.id = Some(put_id(*id));
        }
        Refusal::VersionMismatch { id, expected, found } => {
            message.set_kind(refusal::Kind::VersionMismatch);
            message.id = Some(put_id(*id));
            (message.expected, message.found) = (*expected, *found);
        }
        Refusal::NotEmpty { namespace, live, dead } => {
            message.set_kind(refusal::Kind::NotEmpty);
            message.namespace = namespace.to_string();
            (message.live, message.dead) = (*live, *dead);
        }
        Refusal::Exists => message.set_kind(refusal::Kind::Exists),
        Refusal::Setting(e) => {
            message.set_kind(refusal::Kind::Setting);
            message.text = format!("{} {}", e.setting.0, e.value);
        }
        Refusal::Malformed(what) => {
            message.set_kind(refusal::Kind::Malformed);
            message.text = what.to_string();
        }
    }
    message
}

pub(super) fn refusal(message: &RefusalMessage) -> Result<Refusal, Malformed> {
    Ok(match message.kind() {
        refusal::Kind::Unspecified => return Err(Malformed("a refusal without a kind")),
        refusal::Kind::NotFound => Refusal::NotFound { namespace: namespace(&message.namespace)?, id: task(message)? },
        refusal::Kind::VersionMismatch => {
            Refusal::VersionMismatch { id: task(message)?, expected: message.expected, found: message.found }
        }
        refusal::Kind::NotEmpty => {
            Refusal::NotEmpty { namespace: namespace(&message.namespace)?, live: message.live, dead: message.dead }
        }
        refusal::Kind::Exists => Refusal::Exists,
        refusal::Kind::Setting => {
            let (name, value) = message.text.split_once(' ').ok_or(Malformed("a refused setting without its value"))?;
            let (name, range) = Settings::range(name).ok_or(Malformed("a setting that is not known"))?;
            Refusal::Setting(SettingError { setting: Setting(name), value: value.to_owned(), range })
        }
        refusal::Kind::Malformed => Refusal::Malformed(Defect::of(&message.text)),
    })
}

fn task(message: &RefusalMessage) -> Result<TaskId, Malformed> {
    id(message.id.as_ref())
}
