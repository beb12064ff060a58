//! `sql_unbounded_rows_max`: what lacks bounds of `deliver_at` is read where its namespaces have few tasks by their counters, those of
//! all references of the query together. Counters and rows are of one view, and whoever reads counts the rows, too.

use std::collections::VecDeque;

use z4_model::ids::{GroupId, Namespace};

use super::plan::Plan;
use super::rule::{self, Missing};
use super::segments::Request;
use crate::sql::error::SqlError;
use crate::sql::sqlite::running::Running;

/// Namespaces of a group that have tasks, each with how many, read some at a time.
pub struct Namespaces {
    group: GroupId,
    page: VecDeque<(Namespace, u64)>,
    after: Option<Namespace>,
    page_max: usize,
    ended: bool,
}

impl Namespaces {
    /// From the first one on.
    pub fn of(group: GroupId, page_max: usize) -> Namespaces {
        Namespaces { group, page: VecDeque::new(), after: None, page_max, ended: false }
    }

    /// The next one.
    ///
    /// # Errors
    /// What the peer says, or that the query must end.
    pub fn next(&mut self, running: &Running) -> Result<Option<(Namespace, u64)>, SqlError> {
        while self.page.is_empty() && !self.ended {
            running.check_now()?;
            let Some(rows) = running.rows(&[self.group])?.pop() else { return Ok(None) };
            let page = rows.namespaces(self.after.as_ref(), self.page_max)?;
            self.ended = page.len() < self.page_max;
            self.after = page.last().map(|(name, _)| name.clone());
            self.page = page.into_iter().map(|(name, row)| (name, row.live + row.dead)).filter(|(_, tasks)| *tasks > 0).collect();
        }
        Ok(self.page.pop_front())
    }
}

/// Every namespace that has tasks.
///
/// # Errors
/// What the peer says; 1175: together they have more tasks than may be read without bounds.
pub fn all(running: &Running, page_max: usize) -> Result<Vec<(Namespace, GroupId)>, SqlError> {
    let mut found = Vec::new();
    for group in running.data.groups_of_tasks()? {
        let mut namespaces = Namespaces::of(group, page_max);
        while let Some((name, tasks)) = namespaces.next(running)? {
            count(&name, tasks, Missing::EVERYTHING, running)?;
            found.push((name, group));
        }
    }
    found.sort();
    Ok(found)
}

/// Counts the tasks of a reference's namespaces when it lacks bounds of `deliver_at`. How many rows it may read then; `None`: it has them.
///
/// # Errors
/// What the peer says; 1175: there are more tasks than may be read without bounds.
pub fn check(plan: &Plan, request: &Request, running: &Running) -> Result<Option<u64>, SqlError> {
    let missing = Missing::of(plan.roles.iter());
    if missing.is_nothing() {
        return Ok(None);
    }
    for (namespace, group) in &request.namespaces {
        let row = running.rows(&[*group])?.pop().map(|rows| rows.namespace(namespace)).transpose()?.flatten();
        count(namespace, row.map_or(0, |row| row.live + row.dead), missing, running)?;
    }
    Ok(Some(running.unbounded_rows_max))
}

/// One more namespace of the query, or one that was counted before.
fn count(namespace: &Namespace, tasks: u64, missing: Missing, running: &Running) -> Result<(), SqlError> {
    let mut counted = running.unbounded.borrow_mut();
    if counted.names.insert(namespace.clone()) {
        counted.tasks = counted.tasks.saturating_add(tasks);
    }
    if counted.tasks <= running.unbounded_rows_max { Ok(()) } else { Err(too_many(counted.tasks, missing, running)) }
}

/// 1175: so many tasks, or more, cannot be read without bounds.
pub fn too_many(tasks: u64, missing: Missing, running: &Running) -> SqlError {
    rule::refused(&format!(
        "it lacks {}: without, its namespaces may have sql_unbounded_rows_max = {} tasks together, and have {tasks} or more",
        missing.told(),
        running.unbounded_rows_max
    ))
}
