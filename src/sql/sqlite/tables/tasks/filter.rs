//! The arguments of a scan: which namespaces, times, states and ids.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::types::ValueRef;
use rusqlite::vtab::Filters;
use z4_model::ids::{GroupId, Namespace, TaskId};

use super::bounds::Bounds;
use super::plan::{Plan, Role};
use super::segments::{Request, States};
use crate::sql::error::SqlError;
use crate::sql::sqlite::fault::from_sqlite;
use crate::sql::sqlite::running::Running;

/// What the arguments say.
#[derive(Default)]
pub struct Arguments {
    names: Option<Vec<Vec<u8>>>,
    ids: Option<Vec<Vec<u8>>>,
    states: Option<States>,
    due: Bounds,
    pub limit: Option<i64>,
    pub offset: i64,
}

/// What is to be read.
pub struct Wanted {
    /// The ranges; `None`: no row can match.
    pub request: Option<Request>,
    /// These alone; `None`: any.
    pub ids: Option<Vec<TaskId>>,
    /// Rows that are likely to be taken; `None`: not known.
    pub hint: Option<usize>,
    /// No more rows are read; `None`: all.
    pub rows_max: Option<usize>,
}

/// Reads the arguments.
///
/// # Errors
/// What the peer says of a namespace's group.
pub fn wanted(plan: &Plan, args: &Filters<'_>, running: &Running) -> Result<Wanted, SqlError> {
    let arguments = arguments(plan, args)?;
    let hint = arguments.limit.and_then(|limit| usize::try_from(limit.checked_add(arguments.offset.max(0))?).ok());
    let ids = arguments.ids.map(|ids| ids.iter().filter_map(|id| task_id(id)).collect::<Vec<TaskId>>());
    let states = arguments.states.unwrap_or(States::ALL);
    let due = arguments.due.millis();
    let nothing = states == States::NONE || ids.as_ref().is_some_and(Vec::is_empty);
    let Some(due) = due.filter(|_| !nothing) else { return Ok(Wanted { request: None, ids, hint, rows_max: None }) };
    let mut namespaces: BTreeMap<Namespace, GroupId> = BTreeMap::new();
    for name in arguments.names.unwrap_or_default() {
        let Some(namespace) = std::str::from_utf8(&name).ok().and_then(|name| Namespace::new(name).ok()) else { continue };
        if let Entry::Vacant(place) = namespaces.entry(namespace) {
            let group = running.data.group_of(place.key())?;
            place.insert(group);
        }
    }
    namespaces.retain(|_, group| ids.as_ref().is_none_or(|ids| ids.iter().any(|id| id.group == *group)));
    let namespaces = namespaces.into_iter().collect();
    let request = Request { namespaces, due, states, now_ms: running.now_ms(), leases: false };
    Ok(Wanted { request: Some(request).filter(|request| !request.namespaces.is_empty()), ids, hint, rows_max: None })
}

/// The arguments of a scan.
///
/// # Errors
/// They are not those that were agreed on.
pub fn arguments(plan: &Plan, args: &Filters<'_>) -> Result<Arguments, SqlError> {
    if plan.roles.len() != args.len() {
        return Err(SqlError::other("a scan has other arguments than were agreed on"));
    }
    let mut found = Arguments::default();
    for (i, (role, value)) in plan.roles.iter().zip(args.iter()).enumerate() {
        match role {
            Role::Namespace { list } => narrow(&mut found.names, texts(args, i, value, *list)?),
            Role::Id { list } => narrow(&mut found.ids, texts(args, i, value, *list)?),
            Role::State { list } => {
                let named = texts(args, i, value, *list)?.iter().fold(States::NONE, |all, name| all.or(States::named(name)));
                found.states = Some(found.states.unwrap_or(States::ALL).and(named));
            }
            Role::Due(comparison) => found.due.add(*comparison, value),
            Role::Limit => found.limit = value.as_i64().ok().filter(|limit| *limit >= 0),
            Role::Offset => found.offset = value.as_i64().unwrap_or(0),
        }
    }
    Ok(found)
}

/// Values that both this list and those before have.
fn narrow(known: &mut Option<Vec<Vec<u8>>>, mut values: Vec<Vec<u8>>) {
    if let Some(known) = known {
        values.retain(|value| known.contains(value));
    }
    *known = Some(values);
}

fn texts(args: &Filters<'_>, i: usize, value: ValueRef<'_>, list: bool) -> Result<Vec<Vec<u8>>, SqlError> {
    if !list {
        return Ok(text(value).into_iter().collect());
    }
    let mut values = args.in_values(i).map_err(|error| from_sqlite(&error))?;
    let mut found = Vec::new();
    while let Some(value) = values.next().map_err(|error| from_sqlite(&error))? {
        found.extend(text(value));
    }
    Ok(found)
}

/// A value as the affinity of a TEXT column makes it; what can equal no text is `None`.
fn text(value: ValueRef<'_>) -> Option<Vec<u8>> {
    match value {
        ValueRef::Text(text) => Some(text.to_vec()),
        ValueRef::Integer(n) => Some(n.to_string().into_bytes()),
        ValueRef::Real(_) | ValueRef::Null | ValueRef::Blob(_) => None,
    }
}

/// An id as it is written: text is compared byte by byte, so lower case is none.
fn task_id(text: &[u8]) -> Option<TaskId> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse::<TaskId>().ok().filter(|id| id.to_string() == text)
}
