//! Tasks, namespaces and what is asked about them.

use bytes::{BufMut, Bytes, BytesMut};
use z4_model::encoding::Malformed;
use z4_model::ids::{GroupId, Namespace, TaskKey};
use z4_model::rows::namespace::NamespaceRow;
use z4_model::rows::record::TaskRecord;
use z4_model::rows::task::TaskRow;
use z4_proto::peer;

use super::{id, key, namespace, put_id, put_key};
use crate::shard::api::{Consistency, Leased, ListCursor, ListQuery, NamespaceView, TaskPage, TaskState, TaskView};

pub(super) fn put_row(row: &TaskRow) -> peer::TaskRow {
    peer::TaskRow { id: Some(put_id(row.id)), key: Some(put_key(row.key)), dead: row.dead, record: row.record.encode() }
}

pub(super) fn row(message: peer::TaskRow) -> Result<TaskRow, Malformed> {
    let record = TaskRecord::decode(&message.record)?;
    Ok(TaskRow { id: id(message.id.as_ref())?, key: key(message.key.as_ref())?, dead: message.dead, record })
}

pub(super) fn put_namespace_row(row: &NamespaceRow) -> peer::NamespaceRow {
    peer::NamespaceRow { row: row.encode() }
}

pub(super) fn namespace_row(message: &peer::NamespaceRow) -> Result<NamespaceRow, Malformed> {
    NamespaceRow::decode(&message.row)
}

fn put_state(state: TaskState) -> u32 {
    match state {
        TaskState::Scheduled => 1,
        TaskState::Ready => 2,
        TaskState::Leased => 3,
        TaskState::Dead => 4,
    }
}

/// `None`: 0, which is no state.
fn state(state: u32) -> Result<Option<TaskState>, Malformed> {
    Ok(Some(match state {
        0 => return Ok(None),
        1 => TaskState::Scheduled,
        2 => TaskState::Ready,
        3 => TaskState::Leased,
        4 => TaskState::Dead,
        _ => return Err(Malformed("a state that is not known")),
    }))
}

fn put_task(view: &TaskView) -> peer::TaskView {
    peer::TaskView { row: Some(put_row(&view.row)), state: put_state(view.state) }
}

fn task(message: peer::TaskView) -> Result<TaskView, Malformed> {
    let state = state(message.state)?.ok_or(Malformed("a task without a state"))?;
    Ok(TaskView { row: row(message.row.ok_or(Malformed("a task without its row"))?)?, state })
}

fn put_cursor(cursor: ListCursor) -> peer::ListCursor {
    peer::ListCursor { dead: cursor.dead, key: Some(put_key(cursor.key)) }
}

fn cursor(message: &peer::ListCursor) -> Result<ListCursor, Malformed> {
    Ok(ListCursor { dead: message.dead, key: key(message.key.as_ref())? })
}

/// Asks for a page. Only the leader's own is asked for over a link.
pub fn put_list(query: &ListQuery) -> peer::ListTasks {
    peer::ListTasks {
        namespace: query.namespace.to_string(),
        due_from_ms: query.due_from_ms,
        due_until_ms: query.due_until_ms,
        state: query.state.map_or(0, put_state),
        after: query.after.map(put_cursor),
        limit: u32::try_from(query.limit).unwrap_or(u32::MAX),
        omit_payload: query.omit_payload,
        bytes_max: query.bytes_max as u64,
    }
}

pub fn list(message: &peer::ListTasks) -> Result<ListQuery, Malformed> {
    Ok(ListQuery {
        namespace: namespace(&message.namespace)?,
        due_from_ms: message.due_from_ms,
        due_until_ms: message.due_until_ms,
        state: state(message.state)?,
        after: message.after.as_ref().map(cursor).transpose()?,
        limit: message.limit as usize,
        omit_payload: message.omit_payload,
        bytes_max: message.bytes_max as usize,
        consistency: Consistency::Linearizable,
    })
}

pub fn put_listed(page: &TaskPage) -> peer::ListedTasks {
    peer::ListedTasks { tasks: page.tasks.iter().map(put_task).collect(), next: page.next.map(put_cursor) }
}

pub fn listed(message: peer::ListedTasks) -> Result<TaskPage, Malformed> {
    let next = message.next.as_ref().map(cursor).transpose()?;
    Ok(TaskPage { tasks: message.tasks.into_iter().map(task).collect::<Result<_, _>>()?, next })
}

/// What is asked about namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namespaces {
    /// This one.
    One(Namespace),
    /// At most so many after a name.
    After(Option<Namespace>, usize),
}

pub fn put_namespaces(asked: &Namespaces) -> peer::ListNamespaces {
    match asked {
        Namespaces::One(name) => peer::ListNamespaces { one: name.to_string(), ..Default::default() },
        Namespaces::After(after, limit) => peer::ListNamespaces {
            one: String::new(),
            after: after.as_ref().map(Namespace::to_string).unwrap_or_default(),
            limit: u32::try_from(*limit).unwrap_or(u32::MAX),
        },
    }
}

pub fn namespaces(message: &peer::ListNamespaces) -> Result<Namespaces, Malformed> {
    if !message.one.is_empty() {
        return Ok(Namespaces::One(namespace(&message.one)?));
    }
    let after = (!message.after.is_empty()).then(|| namespace(&message.after)).transpose()?;
    Ok(Namespaces::After(after, message.limit as usize))
}

pub fn put_namespace_views(views: &[NamespaceView]) -> peer::ListedNamespaces {
    let view = |view: &NamespaceView| peer::NamespaceView {
        name: view.name.to_string(),
        row: Some(put_namespace_row(&view.row)),
        leased: view.leased,
    };
    peer::ListedNamespaces { namespaces: views.iter().map(view).collect() }
}

/// Namespaces of one group.
pub fn namespace_views(group: GroupId, message: &peer::ListedNamespaces) -> Result<Vec<NamespaceView>, Malformed> {
    let view = |view: &peer::NamespaceView| {
        let none = peer::NamespaceRow { row: Bytes::new() };
        let row = namespace_row(view.row.as_ref().unwrap_or(&none))?;
        Ok(NamespaceView { name: namespace(&view.name)?, group, row, leased: view.leased })
    };
    message.namespaces.iter().map(view).collect()
}

/// Asks what is leased, of these namespaces; none named: of all.
pub fn put_leased_of(namespaces: &[Namespace]) -> peer::ListLeases {
    peer::ListLeases { namespaces: namespaces.iter().map(Namespace::to_string).collect() }
}

pub fn leased_of(message: &peer::ListLeases) -> Result<Vec<Namespace>, Malformed> {
    message.namespaces.iter().map(|name| namespace(name)).collect()
}

/// Bytes of a position.
const KEY_BYTES: usize = 16;

pub fn put_leased(leased: &Leased) -> peer::ListedLeases {
    let mut keys = BytesMut::with_capacity(leased.keys.len() * KEY_BYTES);
    for key in &leased.keys {
        keys.put_u64(key.due_ms);
        keys.put_u64(key.sequence);
    }
    peer::ListedLeases { keys: keys.freeze(), truncated: leased.truncated }
}

pub fn leased(message: &peer::ListedLeases) -> Result<Leased, Malformed> {
    let (positions, rest) = message.keys.as_chunks::<KEY_BYTES>();
    if !rest.is_empty() {
        return Err(Malformed("positions of leases are cut"));
    }
    let key = |position: &[u8; KEY_BYTES]| {
        let position = u128::from_be_bytes(*position);
        TaskKey { due_ms: (position >> 64) as u64, sequence: position as u64 }
    };
    Ok(Leased { keys: positions.iter().map(key).collect(), truncated: message.truncated })
}
