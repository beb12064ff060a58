//! Rows of the tables about the cluster and the server.

use std::collections::VecDeque;

use rusqlite::types::Value;
use z4_model::ids::{GroupId, Namespace, TaskKey};
use z4_model::rows::namespace::NamespaceRow;

use super::connections::{self, counted, machine, process, thread};
use super::small::{Asked, Pages, Record};
use crate::sql::catalog::{self, DATABASE, Table};
use crate::sql::context::{Consistency, Warning};
use crate::sql::data::{GroupRow, PeerRow, Range, Rows};
use crate::sql::error::SqlError;
use crate::sql::information::information_rows;
use crate::sql::sqlite::running::Running;
use crate::sql::types::Datum;

/// Namespaces of a page.
const PAGE: usize = 256;
/// Rows counted between two looks at whether the query must end.
const ROWS: usize = 4096;

/// The version of the schema `sys` that MySQL 8.0 has.
const SYS_VERSION: &str = "2.1.3";

/// A follower hears from its leader several times in this, milliseconds.
const STALE_MS: u64 = 1_000;

/// The rows of a table.
///
/// # Errors
/// What the peer says; a table without rows of any kind.
pub fn pages(table: &Table, asked: &Asked, running: &Running) -> Result<Pages, SqlError> {
    let same = |other: &Table| table.schema == other.schema && table.name == other.name;
    if same(&catalog::NAMESPACES) {
        return namespaces(asked.clone(), running);
    }
    let rows: Vec<Record> = if same(&catalog::PEERS) {
        running.data.peers()?.into_iter().map(peer).collect()
    } else if same(&catalog::GROUPS) {
        running.data.groups()?.into_iter().map(group).collect()
    } else if table.schema != DATABASE {
        session(table, running)?
    } else {
        return Err(SqlError::other(format!("{}.{} has no rows behind it", table.schema, table.name)));
    };
    Ok(once(rows))
}

fn once(rows: Vec<Record>) -> Pages {
    let mut rows = Some(rows);
    Box::new(move |_| Ok(rows.take().unwrap_or_default()))
}

fn session(table: &Table, running: &Running) -> Result<Vec<Record>, SqlError> {
    let context = &running.context;
    Ok(match table.name.to_ascii_uppercase().as_str() {
        "PROCESSLIST" => running.live.processes().into_iter().map(process).collect(),
        "THREADS" => running.live.processes().into_iter().map(thread).collect(),
        "SESSION" => running.live.processes().into_iter().map(|row| connections::session(row, table.columns.len())).collect(),
        "ACCOUNTS" => counted(running.live.processes(), |row| vec![row.user.clone(), machine(&row.host).to_owned()]),
        "USERS" => counted(running.live.processes(), |row| vec![row.user.clone()]),
        "HOSTS" => counted(running.live.processes(), |row| vec![machine(&row.host).to_owned()]),
        "SESSION_STATUS" | "GLOBAL_STATUS" => {
            running.live.status().into_iter().map(|(name, value)| vec![text(name), text(&value)]).collect()
        }
        "SESSION_VARIABLES" | "GLOBAL_VARIABLES" => {
            context.all_variables().map(|(name, value)| vec![text(name), datum_text(&value)]).collect()
        }
        "WARNINGS" => {
            let row = |w: &Warning| vec![text(w.level), Value::Integer(i64::from(w.error.code)), text(&w.error.message)];
            context.warnings.iter().chain(&staleness(running)?).map(row).collect()
        }
        "VERSION" => {
            let version = context.all_variables().find(|(name, _)| *name == "version");
            version.map(|(_, value)| vec![text(SYS_VERSION), datum_text(&value)]).into_iter().collect()
        }
        _ => information_rows(table).iter().map(|row| row.iter().map(constant).collect()).collect(),
    })
}

/// What a stale read may have missed: a note for each group whose replica here is behind, now.
fn staleness(running: &Running) -> Result<Vec<Warning>, SqlError> {
    if running.context.consistency == Consistency::Linearizable {
        return Ok(Vec::new());
    }
    let is_behind = |group: &GroupRow| {
        group.id != 0 && !group.leads && (group.lag > 0 || group.stale_ms.is_none_or(|stale_ms| stale_ms > STALE_MS))
    };
    let note = |group: GroupRow| {
        let heard = group.stale_ms.map_or("has not heard from a leader yet".to_owned(), |stale_ms| {
            format!("last heard from its leader {stale_ms} ms ago")
        });
        let told = format!(
            "Queries read what this peer has applied (z4_consistency = 'stale'): its replica of group {} {heard} and lacks {} entries",
            group.id, group.lag
        );
        Warning { level: "Note", error: SqlError::other(told) }
    };
    Ok(running.data.groups()?.into_iter().filter(is_behind).map(note).collect())
}

fn constant(value: &Datum) -> Value {
    match value {
        Datum::Null => Value::Null,
        Datum::Int(n) => Value::Integer(*n),
        Datum::UInt(n) => number(*n),
        Datum::Double(x) => Value::Real(*x),
        Datum::Text(text) => Value::Text(text.clone()),
        Datum::Blob(bytes) => Value::Blob(bytes.clone()),
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn maybe(value: Option<String>) -> Value {
    value.map_or(Value::Null, Value::Text)
}

fn number(n: u64) -> Value {
    Value::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}

fn flag(on: bool) -> Value {
    Value::Integer(i64::from(on))
}

/// A variable as SHOW VARIABLES writes it.
fn datum_text(value: &Datum) -> Value {
    Value::Text(match value {
        Datum::Null => String::new(),
        Datum::Int(n) => n.to_string(),
        Datum::UInt(n) => n.to_string(),
        Datum::Double(x) => x.to_string(),
        Datum::Text(text) => text.clone(),
        Datum::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    })
}

fn peer(row: PeerRow) -> Record {
    vec![
        Value::Text(row.id),
        number(row.number),
        Value::Text(row.address),
        maybe(row.service_address),
        flag(row.connected),
        flag(row.me),
        number(row.leads),
        row.clock_skew_ms.map_or(Value::Null, Value::Integer),
        maybe(row.error),
    ]
}

fn group(row: GroupRow) -> Record {
    vec![
        number(u64::from(row.id)),
        maybe(row.leader),
        flag(row.leads),
        number(row.term),
        number(row.last_log_index),
        number(row.applied_index),
        number(row.lag),
        row.stale_ms.map_or(Value::Null, number),
        number(row.bytes),
        number(row.shard),
        Value::Text(row.voters.join(",")),
        Value::Text(row.learners.join(",")),
        number(row.slots),
    ]
}

/// Group by group, in pages; counts by state only when they are asked for: they read what is due.
fn namespaces(asked: Asked, running: &Running) -> Result<Pages, SqlError> {
    if let Some(name) = &asked.first {
        let Ok(name) = Namespace::new(name) else { return Ok(once(Vec::new())) };
        let group = running.data.group_of(&name)?;
        let Some(rows) = running.rows(&[group])?.pop() else { return Ok(once(Vec::new())) };
        let found = match rows.namespace(&name)? {
            Some(row) if row.created_ms != 0 => vec![namespace(group, &name, &row, &*rows, (&asked, running))?],
            _ => Vec::new(),
        };
        return Ok(once(found));
    }
    let mut groups: VecDeque<GroupId> = running.data.groups_of_tasks()?.into();
    let mut after: Option<Namespace> = None;
    Ok(Box::new(move |running| {
        while let Some(group) = groups.front().copied() {
            let Some(rows) = running.rows(&[group])?.pop() else { break };
            let page = rows.namespaces(after.as_ref(), PAGE)?;
            after = page.last().map(|(name, _)| name.clone());
            if page.is_empty() {
                groups.pop_front();
                continue;
            }
            if asked.uses(4) || asked.uses(5) {
                // At once for the page, not one by one.
                let names: Vec<Namespace> = page.iter().filter(|(_, row)| row.live > 0).map(|(name, _)| name.clone()).collect();
                running.leased(group, &names)?;
            }
            return page.iter().map(|(name, row)| namespace(group, name, row, &*rows, (&asked, running))).collect();
        }
        Ok(Vec::new())
    }))
}

fn namespace(
    group: GroupId,
    name: &Namespace,
    row: &NamespaceRow,
    rows: &dyn Rows,
    query: (&Asked, &Running),
) -> Result<Record, SqlError> {
    let (asked, running) = query;
    let (ready, leased) = if asked.uses(3) || asked.uses(4) || asked.uses(5) {
        due(group, name, row, rows, (running, asked.uses(4) || asked.uses(5)))?
    } else {
        (0, 0)
    };
    let settings = &row.settings;
    Ok(vec![
        text(name.as_str()),
        number(u64::from(group.0)),
        if row.created_ms == 0 { Value::Null } else { number(row.created_ms.saturating_mul(1000)) },
        number(row.live.saturating_sub(ready).saturating_sub(leased)),
        number(ready),
        number(leased),
        number(row.dead),
        number(settings.lease_ms.into()),
        number(settings.max_attempts.into()),
        number(settings.backoff_first_ms),
        Value::Real(settings.backoff_factor),
        number(settings.backoff_ceiling_ms),
        Value::Real(settings.backoff_jitter),
        flag(settings.paused),
        number(settings.idempotency_window_ms),
    ])
}

/// Counts what is ready and what is leased: rows that are due, usually few.
fn due(
    group: GroupId,
    name: &Namespace,
    row: &NamespaceRow,
    rows: &dyn Rows,
    query: (&Running, bool),
) -> Result<(u64, u64), SqlError> {
    let (running, leases) = query;
    let (from, until) = (TaskKey::at(row.low_water_ms), TaskKey::at(running.now_ms().saturating_add(1)));
    if row.live == 0 || from >= until {
        return Ok((0, 0));
    }
    let leased_keys = if leases { running.leased(group, std::slice::from_ref(name))? } else { Default::default() };
    let mut range = Some(Range { namespace: name.clone(), dead: false, from, until, backwards: false });
    let (mut ready, mut leased) = (0, 0);
    let mut found = Vec::new();
    while let Some(left) = range {
        running.check_now()?;
        range = rows.read(&left, (ROWS, 1 << 20), &mut found)?;
        for (key, _) in found.drain(..) {
            if leased_keys.contains(&key) {
                leased += 1;
            } else {
                ready += 1;
            }
        }
    }
    Ok((ready, leased))
}
