//! A bare look at `tasks`, `SELECT … FROM tasks LIMIT n`, and a bare reading of it all: references without any predicate, for which the
//! dialect writes tables of their own.
//!
//! A look reads the first rows of the first namespaces that have any, no more than [`LOOK_ROWS_MAX`], so the rule has no say in it. What
//! asks for more is read whole, and that only where there are few tasks (see [`unbounded`](super::unbounded)).

use rusqlite::vtab::{Filters, IndexConstraintOp as Op, IndexInfo};
use z4_model::ids::{DUE_MS_MAX, GroupId, Namespace};

use super::Reach;
use super::filter::{Wanted, arguments};
use super::plan::{Plan, Role};
use super::rule::{Estimate, Missing};
use super::segments::{Request, States};
use super::unbounded;
use crate::sql::catalog::LOOK_ROWS_MAX;
use crate::sql::error::SqlError;
use crate::sql::sqlite::running::Running;

/// Rows of namespaces that are read at a time.
const PAGE: usize = 256;

/// Answers SQLite's planner. A look must know its LIMIT: SQLite tells it where a row is given for each that is read, and nowhere else.
pub fn best_index(info: &mut IndexInfo, reach: Reach) -> Result<bool, SqlError> {
    let running = Running::current()?;
    let mut seen = running.seen.borrow_mut();
    let place = |op: Op| info.constraints().position(|c| c.is_usable() && c.operator() == op);
    let limit = place(Op::SQLITE_INDEX_CONSTRAINT_LIMIT).map(|place| (place, Role::Limit));
    let offset = place(Op::SQLITE_INDEX_CONSTRAINT_OFFSET).map(|place| (place, Role::Offset));
    let bounded = if reach == Reach::Look { limit.is_some() } else { running.unbounded_rows_max > 0 };
    if !bounded {
        seen.refuse(info, Missing::EVERYTHING);
        return Ok(false);
    }
    let taken: Vec<(usize, Role)> = [limit, offset].into_iter().flatten().collect();
    for (i, (place, _)) in taken.iter().enumerate() {
        let mut usage = info.constraint_usage(*place);
        usage.set_argv_index(i as i32 + 1);
        usage.set_omit(false);
    }
    let roles = taken.into_iter().map(|(_, role)| role).collect();
    let estimate = Estimate { rows: LOOK_ROWS_MAX as i64, cost: LOOK_ROWS_MAX as f64 };
    seen.accept(info, Plan { roles, order: Vec::new(), columns: info.col_used() }, estimate);
    Ok(true)
}

/// What a look reads, or all.
///
/// # Errors
/// What the peer says; 1175: there are more tasks than may be read without bounds.
pub fn wanted(reach: Reach, plan: &Plan, args: &Filters<'_>, running: &Running) -> Result<Wanted, SqlError> {
    let arguments = arguments(plan, args)?;
    // Without a LIMIT, or with one that SQLite takes for none: all.
    let rows = arguments.limit.and_then(|limit| usize::try_from(limit.checked_add(arguments.offset.max(0))?).ok());
    let few = rows.filter(|rows| reach == Reach::Look && *rows <= LOOK_ROWS_MAX);
    let namespaces = match few {
        Some(rows) => first(rows as u64, running)?,
        None => unbounded::all(running, PAGE)?,
    };
    let request = Request { namespaces, due: (0, DUE_MS_MAX), states: States::ALL, now_ms: running.now_ms(), leases: false };
    Ok(Wanted { request: Some(request).filter(|request| !request.namespaces.is_empty()), ids: None, hint: rows, rows_max: few })
}

/// The first namespaces with so many tasks together, by their counters: group by group, so that a larger LIMIT begins with the same rows.
fn first(rows: u64, running: &Running) -> Result<Vec<(Namespace, GroupId)>, SqlError> {
    let mut found = Vec::new();
    let mut tasks = 0;
    let mut groups = running.data.groups_of_tasks()?.into_iter();
    while tasks < rows
        && let Some(group) = groups.next()
    {
        let mut namespaces = unbounded::Namespaces::of(group, PAGE);
        while tasks < rows
            && let Some((name, count)) = namespaces.next(running)?
        {
            tasks += count;
            found.push((name, group));
        }
    }
    Ok(found)
}
