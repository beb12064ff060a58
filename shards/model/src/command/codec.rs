//! The bytes of a log entry.
//!
//! ```text
//! entry    1 (version, u8)  stamp_ms  count  command*           the time is the stamp
//! entry    2 (version, u8)  stamp_ms  now_ms  count  command*
//! command  len (u8; 0: the namespace of the command before)  namespace  count (>= 1)  op*
//! op       kind (u8)  fields
//! ```
//!
//! Numbers are varints unless said otherwise, byte strings carry their length before them, flags are one byte. There is one
//! encoding for each entry. What this z4 does not know (a version, a kind, a flag) is an error: to skip it would let replicas differ.

use bytes::Bytes;

use super::op::{Before, Command, Create, Ended, Entry, Op, PurgeCursor, Update};
use crate::encoding::{Malformed, Reader, VARINT_BYTES_MAX, put_ascending, put_bytes, put_varint, take_ascending};
use crate::ids::{GroupId, Namespace, RequestHash, TaskId, TaskKey};
use crate::settings::SettingsPatch;

const VERSION_ONE_TIME: u8 = 1;
const VERSION: u8 = 2;

/// The numbers of the operations. They never change and are never used again.
mod kind {
    pub(super) const CREATE: u8 = 1;
    pub(super) const ACK: u8 = 2;
    pub(super) const RETRY: u8 = 3;
    pub(super) const UPDATE: u8 = 4;
    pub(super) const DELETE: u8 = 5;
    pub(super) const CONFIGURE: u8 = 6;
    pub(super) const LOW_WATER: u8 = 7;
    pub(super) const PURGE: u8 = 8;
    pub(super) const REGISTER: u8 = 9;
    pub(super) const PURGE_FROM: u8 = 10;
    pub(super) const DROP_NAMESPACE: u8 = 11;
    pub(super) const RETRY_OF: u8 = 12;
    pub(super) const GIVE_BACK: u8 = 13;
    pub(super) const END_CLAIMS: u8 = 14;
}

const _: () = {
    let kinds = [
        kind::CREATE,
        kind::ACK,
        kind::RETRY,
        kind::UPDATE,
        kind::DELETE,
        kind::CONFIGURE,
        kind::LOW_WATER,
        kind::PURGE,
        kind::REGISTER,
        kind::PURGE_FROM,
        kind::DROP_NAMESPACE,
        kind::RETRY_OF,
        kind::GIVE_BACK,
        kind::END_CLAIMS,
    ];
    let mut i = 0;
    while i < kinds.len() {
        assert!(kinds[i] as usize == i + 1, "a new operation gets the next number");
        i += 1;
    }
    assert!(COMMAND_BYTES_MIN == 2 + OP_BYTES_MIN, "a command has a length, a count and one operation");
    assert!(ENTRY_FIXED_BYTES > 3 * VARINT_BYTES_MAX, "a version, two times and a count");
};

/// The fewest bytes of a command: length, count, one operation.
const COMMAND_BYTES_MIN: usize = 4;
/// The fewest bytes of an operation.
const OP_BYTES_MIN: usize = 2;
/// No more room is set aside before the first element was read.
const RESERVED_MAX: usize = 4096;

/// An entry without commands takes at most this, bytes.
pub const ENTRY_FIXED_BYTES: usize = 40;

/// The bytes of an entry.
pub fn encode_entry(entry: &Entry) -> Bytes {
    let mut out = Vec::with_capacity(ENTRY_FIXED_BYTES + entry.commands.iter().map(command_bytes_max).sum::<usize>());
    out.push(if entry.now_ms.is_some() { VERSION } else { VERSION_ONE_TIME });
    put_varint(&mut out, entry.stamp_ms);
    if let Some(now_ms) = entry.now_ms {
        put_varint(&mut out, now_ms);
    }
    put_varint(&mut out, entry.commands.len() as u64);
    let mut before: Option<&Namespace> = None;
    for command in &entry.commands {
        if before == Some(&command.namespace) {
            out.push(0);
        } else {
            out.push(command.namespace.as_bytes().len() as u8);
            out.extend_from_slice(command.namespace.as_bytes());
            before = Some(&command.namespace);
        }
        assert!(!command.ops.is_empty(), "a command has one operation at least");
        put_varint(&mut out, command.ops.len() as u64);
        for op in &command.ops {
            put_op(&mut out, op);
        }
    }
    Bytes::from(out)
}

/// The inverse; payload and metadata are slices of `bytes`, not copies.
///
/// # Errors
/// Bytes that [`encode_entry`] did not write. Any bytes may be given: nothing panics, and what is allocated is in proportion to
/// their length.
pub fn decode_entry(bytes: &Bytes) -> Result<Entry, Malformed> {
    let mut reader = Reader::new(bytes);
    let version = reader.u8()?;
    if ![VERSION_ONE_TIME, VERSION].contains(&version) {
        return Err(Malformed("unknown version"));
    }
    let stamp_ms = reader.varint()?;
    let now_ms = if version == VERSION { Some(reader.varint()?) } else { None };
    let count = reader.count(COMMAND_BYTES_MIN)?;
    let mut commands: Vec<Command> = Vec::with_capacity(count.min(RESERVED_MAX));
    for _ in 0..count {
        let namespace = match (reader.u8()?, commands.last()) {
            (0, Some(before)) => before.namespace.clone(),
            (0, None) => return Err(Malformed("the first command has no namespace")),
            (len, before) => {
                let name = reader.slice(usize::from(len))?;
                let namespace = Namespace::from_bytes(name).map_err(|_| Malformed("a namespace is none"))?;
                if before.is_some_and(|before| before.namespace == namespace) {
                    return Err(Malformed("a namespace is repeated"));
                }
                namespace
            }
        };
        let count = reader.count(OP_BYTES_MIN)?;
        if count == 0 {
            return Err(Malformed("a command is empty"));
        }
        let mut ops = Vec::with_capacity(count.min(RESERVED_MAX));
        for _ in 0..count {
            ops.push(take_op(&mut reader)?);
        }
        commands.push(Command { namespace, ops });
    }
    reader.finish()?;
    Ok(Entry { stamp_ms, now_ms, commands })
}

/// A command takes no more than this in an entry, bytes; seldom much less. The entry itself adds [`ENTRY_FIXED_BYTES`].
pub fn command_bytes_max(command: &Command) -> usize {
    let ops = command.ops.iter().map(|op| match op {
        Op::Create(create) => 64 + create.metadata.len() + create.payload.len(),
        Op::Retry { error, .. } => 64 + error.len(),
        Op::Update(update) => 80 + [&update.metadata, &update.payload].into_iter().flatten().map(Bytes::len).sum::<usize>(),
        Op::Register { key, value, before } => {
            let expected = if let Before::Value(value) = before { value.len() } else { 0 };
            24 + key.len() + value.len() + expected
        }
        Op::Delete { .. } | Op::GiveBack { .. } | Op::LowWater { .. } | Op::Purge { .. } | Op::DropNamespace => 48,
        Op::Ack { .. } | Op::Configure(_) | Op::PurgeFrom { .. } => 64,
        Op::EndClaims { kept, .. } => 32 + 10 * kept.len(),
    });
    command.namespace.as_bytes().len() + 16 + ops.sum::<usize>()
}

/// Bits that say which optional fields follow. A bit without meaning is an error when it is read.
struct Flags(u8);

impl Flags {
    fn new(bits: impl IntoIterator<Item = bool>) -> Self {
        Flags(bits.into_iter().enumerate().fold(0, |flags, (i, bit)| flags | (u8::from(bit) << i)))
    }

    fn take(reader: &mut Reader<'_>, bits: u32) -> Result<Self, Malformed> {
        let flags = reader.u8()?;
        if u32::from(flags) >> bits != 0 {
            return Err(Malformed("unknown flag"));
        }
        Ok(Flags(flags))
    }

    fn has(&self, bit: u32) -> bool {
        self.0 >> bit & 1 == 1
    }

    /// The field of `bit`, read by `take`.
    fn field<T>(&self, bit: u32, take: impl FnOnce() -> Result<T, Malformed>) -> Result<Option<T>, Malformed> {
        self.has(bit).then(take).transpose()
    }
}

fn put_key(out: &mut Vec<u8>, key: TaskKey) {
    put_varint(out, key.due_ms);
    put_varint(out, key.sequence);
}

fn take_key(reader: &mut Reader<'_>) -> Result<TaskKey, Malformed> {
    Ok(TaskKey { due_ms: reader.varint()?, sequence: reader.varint()? })
}

fn put_id(out: &mut Vec<u8>, id: TaskId) {
    put_varint(out, u64::from(id.group.0));
    put_key(out, id.home());
}

fn take_id(reader: &mut Reader<'_>) -> Result<TaskId, Malformed> {
    let group = GroupId(reader.varint_u16()?);
    let TaskKey { due_ms, sequence } = take_key(reader)?;
    Ok(TaskId { due_ms, group, sequence })
}

fn put_op(out: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Create(create) => put_create(out, create),
        Op::Ack { id, key, rewritten, token } => {
            let home = id.home() == *key;
            out.extend_from_slice(&[kind::ACK, Flags::new([*rewritten, !home, *token != 0]).0]);
            put_id(out, *id);
            if !home {
                put_key(out, *key);
            }
            if *token != 0 {
                put_varint(out, *token);
            }
        }
        Op::Retry { key, due_ms, error, of } => {
            match of {
                None => out.push(kind::RETRY),
                Some(Ended { nacked, .. }) => out.extend_from_slice(&[kind::RETRY_OF, Flags::new([*nacked]).0]),
            }
            put_key(out, *key);
            put_varint(out, *due_ms);
            put_bytes(out, error);
            if let Some(Ended { token, .. }) = of {
                put_varint(out, *token);
            }
        }
        Op::GiveBack { key, token } => {
            out.push(kind::GIVE_BACK);
            put_key(out, *key);
            put_varint(out, *token);
        }
        Op::EndClaims { below, kept, more } => {
            out.extend_from_slice(&[kind::END_CLAIMS, Flags::new([*more]).0]);
            put_varint(out, *below);
            put_ascending(out, kept);
        }
        Op::Update(update) => put_update(out, update),
        Op::Delete { id, expected_version } => {
            out.push(kind::DELETE);
            put_id(out, *id);
            put_varint(out, u64::from(*expected_version));
        }
        Op::Configure(patch) => put_patch(out, patch),
        Op::LowWater { due_ms } => {
            out.push(kind::LOW_WATER);
            put_varint(out, *due_ms);
        }
        Op::Purge { limit } => {
            out.push(kind::PURGE);
            put_varint(out, u64::from(*limit));
        }
        Op::PurgeFrom { from, limit } => {
            out.push(kind::PURGE_FROM);
            put_key(out, from.live);
            put_key(out, from.dead);
            put_varint(out, u64::from(*limit));
        }
        // Flags, of which there are none yet: an operation has two bytes at least.
        Op::DropNamespace => out.extend_from_slice(&[kind::DROP_NAMESPACE, 0]),
        Op::Register { key, value, before } => {
            let flags = Flags::new([*before == Before::Absent, matches!(before, Before::Value(_))]);
            out.extend_from_slice(&[kind::REGISTER, flags.0]);
            put_bytes(out, key);
            put_bytes(out, value);
            if let Before::Value(value) = before {
                put_bytes(out, value);
            }
        }
    }
}

fn take_op(reader: &mut Reader<'_>) -> Result<Op, Malformed> {
    Ok(match reader.u8()? {
        kind::CREATE => Op::Create(take_create(reader)?),
        kind::ACK => {
            let flags = Flags::take(reader, 3)?;
            let id = take_id(reader)?;
            let key = if flags.has(1) { take_key(reader)? } else { id.home() };
            if flags.has(1) && key == id.home() {
                return Err(Malformed("a key is repeated"));
            }
            let token = flags.field(2, || reader.varint())?;
            if token == Some(0) {
                return Err(Malformed("a token is 0"));
            }
            Op::Ack { id, key, rewritten: flags.has(0), token: token.unwrap_or(0) }
        }
        kind::RETRY => Op::Retry { key: take_key(reader)?, due_ms: reader.varint()?, error: reader.bytes()?, of: None },
        kind::RETRY_OF => {
            let flags = Flags::take(reader, 1)?;
            let (key, due_ms, error) = (take_key(reader)?, reader.varint()?, reader.bytes()?);
            let of = Ended { token: reader.varint()?, nacked: flags.has(0) };
            if of.token == 0 {
                return Err(Malformed("a token is 0"));
            }
            Op::Retry { key, due_ms, error, of: Some(of) }
        }
        kind::GIVE_BACK => Op::GiveBack { key: take_key(reader)?, token: reader.varint()? },
        kind::END_CLAIMS => {
            let flags = Flags::take(reader, 1)?;
            Op::EndClaims { below: reader.varint()?, kept: take_ascending(reader)?, more: flags.has(0) }
        }
        kind::UPDATE => Op::Update(take_update(reader)?),
        kind::DELETE => Op::Delete { id: take_id(reader)?, expected_version: reader.varint_u32()? },
        kind::CONFIGURE => Op::Configure(take_patch(reader)?),
        kind::LOW_WATER => Op::LowWater { due_ms: reader.varint()? },
        kind::PURGE => Op::Purge { limit: reader.varint_u32()? },
        kind::PURGE_FROM => {
            let from = PurgeCursor { live: take_key(reader)?, dead: take_key(reader)? };
            Op::PurgeFrom { from, limit: reader.varint_u32()? }
        }
        kind::DROP_NAMESPACE => {
            Flags::take(reader, 0)?;
            Op::DropNamespace
        }
        kind::REGISTER => {
            let flags = Flags::take(reader, 2)?;
            let (key, value) = (reader.bytes()?, reader.bytes()?);
            let before = match (flags.has(0), flags.field(1, || reader.bytes())?) {
                (false, None) => Before::Any,
                (true, None) => Before::Absent,
                (false, Some(value)) => Before::Value(value),
                (true, Some(_)) => return Err(Malformed("a row must be absent and have a value")),
            };
            Op::Register { key, value, before }
        }
        _ => return Err(Malformed("unknown operation")),
    })
}

fn put_create(out: &mut Vec<u8>, create: &Create) {
    // The time that was asked for is mostly the due time itself: then a flag says so.
    let (is_due, other) = match create.asked_ms {
        Some(asked_ms) if asked_ms == create.due_ms => (true, None),
        asked_ms => (false, asked_ms),
    };
    let flags = [create.request.is_some(), create.sequence != 0, is_due, other.is_some()];
    out.extend_from_slice(&[kind::CREATE, Flags::new(flags).0]);
    put_varint(out, create.due_ms);
    if let Some(asked_ms) = other {
        put_varint(out, asked_ms);
    }
    if let Some(request) = create.request {
        out.extend_from_slice(&request.0.to_le_bytes());
    }
    if create.sequence != 0 {
        out.extend_from_slice(&create.sequence.to_le_bytes());
    }
    put_bytes(out, &create.metadata);
    put_bytes(out, &create.payload);
}

fn take_create(reader: &mut Reader<'_>) -> Result<Create, Malformed> {
    let flags = Flags::take(reader, 4)?;
    let due_ms = reader.varint()?;
    let asked_ms = match (flags.has(2), flags.field(3, || reader.varint())?) {
        (true, None) => Some(due_ms),
        (false, other) if other != Some(due_ms) => other,
        _ => return Err(Malformed("a due time was asked for in two ways")),
    };
    let request = flags.field(0, || reader.u128())?.map(RequestHash);
    let sequence = flags.field(1, || reader.u64())?;
    if sequence == Some(0) {
        return Err(Malformed("a reserved sequence is 0"));
    }
    let (metadata, payload) = (reader.bytes()?, reader.bytes()?);
    Ok(Create { request, due_ms, asked_ms, sequence: sequence.unwrap_or(0), metadata, payload })
}

fn put_update(out: &mut Vec<u8>, update: &Update) {
    let Update { id, expected_version, due_ms, metadata, payload, revive, fence } = update;
    let flags = [due_ms.is_some(), metadata.is_some(), payload.is_some(), *revive, *fence != 0];
    out.extend_from_slice(&[kind::UPDATE, Flags::new(flags).0]);
    put_id(out, *id);
    put_varint(out, u64::from(*expected_version));
    if let Some(due_ms) = due_ms {
        put_varint(out, *due_ms);
    }
    for bytes in [metadata, payload].into_iter().flatten() {
        put_bytes(out, bytes);
    }
    if *fence != 0 {
        put_varint(out, *fence);
    }
}

fn take_update(reader: &mut Reader<'_>) -> Result<Update, Malformed> {
    let flags = Flags::take(reader, 5)?;
    let update = Update {
        id: take_id(reader)?,
        expected_version: reader.varint_u32()?,
        due_ms: flags.field(0, || reader.varint())?,
        metadata: flags.field(1, || reader.bytes())?,
        payload: flags.field(2, || reader.bytes())?,
        revive: flags.has(3),
        fence: flags.field(4, || reader.varint())?.unwrap_or(0),
    };
    if flags.has(4) && update.fence == 0 {
        return Err(Malformed("a token is 0"));
    }
    Ok(update)
}

fn put_patch(out: &mut Vec<u8>, p: &SettingsPatch) {
    let there = [
        p.lease_ms.is_some(),
        p.max_attempts.is_some(),
        p.backoff_first_ms.is_some(),
        p.backoff_factor.is_some(),
        p.backoff_ceiling_ms.is_some(),
        p.backoff_jitter.is_some(),
        p.paused.is_some(),
        p.idempotency_window_ms.is_some(),
    ];
    out.extend_from_slice(&[kind::CONFIGURE, Flags::new(there).0]);
    for n in [p.lease_ms, p.max_attempts].into_iter().flatten() {
        put_varint(out, u64::from(n));
    }
    for n in [p.backoff_first_ms, p.backoff_ceiling_ms, p.idempotency_window_ms].into_iter().flatten() {
        put_varint(out, n);
    }
    for x in [p.backoff_factor, p.backoff_jitter].into_iter().flatten() {
        out.extend_from_slice(&x.to_le_bytes());
    }
    if let Some(paused) = p.paused {
        out.push(u8::from(paused));
    }
}

fn take_patch(reader: &mut Reader<'_>) -> Result<SettingsPatch, Malformed> {
    let flags = Flags::take(reader, 8)?;
    // In the order in which they are written: by type.
    let lease_ms = flags.field(0, || reader.varint_u32())?;
    let max_attempts = flags.field(1, || reader.varint_u32())?;
    let backoff_first_ms = flags.field(2, || reader.varint())?;
    let backoff_ceiling_ms = flags.field(4, || reader.varint())?;
    let idempotency_window_ms = flags.field(7, || reader.varint())?;
    let backoff_factor = flags.field(3, || reader.f64())?;
    let backoff_jitter = flags.field(5, || reader.f64())?;
    let paused = match flags.field(6, || reader.u8())? {
        Some(byte @ 0..=1) => Some(byte == 1),
        None => None,
        Some(_) => return Err(Malformed("a bool is neither 0 nor 1")),
    };
    Ok(SettingsPatch {
        lease_ms,
        max_attempts,
        backoff_first_ms,
        backoff_factor,
        backoff_ceiling_ms,
        backoff_jitter,
        paused,
        idempotency_window_ms,
    })
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
