//! The rule: no reference to `tasks` without `namespace` (= or IN) and both bounds of `deliver_at`. SQLite's planner proves it: it is
//! told here which constraints it can use for a reference, and a reference that gets too few of them has no plan.

use rusqlite::vtab::{DistinctMode, IndexConstraintOp as Op, IndexInfo};

use super::bounds::Comparison;
use super::plan::{Plan, Role};
use super::segments::{Sort, SortBy};
use crate::sql::catalog::task;
use crate::sql::error::SqlError;
use crate::sql::sqlite::fault::from_sqlite;
use crate::sql::sqlite::running::Running;
use crate::sql::statement::Query;

/// What a query's planning saw, and, for EXPLAIN, what its tables were asked to read.
#[derive(Debug, Default)]
pub struct Seen {
    refused: Vec<(Signature, Missing)>,
    accepted: Vec<Signature>,
    /// Plans by their number.
    pub plans: Vec<(Plan, Estimate)>,
    /// Number of the plan, groups and key ranges: as the tables were asked.
    pub reads: Vec<(i32, Reading)>,
}

/// What a reference reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The groups, in order.
    pub groups: Vec<u16>,
    /// The first few key ranges, for people.
    pub ranges: Vec<String>,
    /// How many there are.
    pub count: usize,
    /// About how many rows they hold.
    pub rows: u64,
}

/// Any other plan is better than one without bounds.
const UNBOUNDED_COST: f64 = 1000.0;

/// The constraints of a reference tell it from others.
type Signature = Vec<(i32, Op)>;

/// Which predicates a reference lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    namespace: bool,
    lower: bool,
    upper: bool,
}

/// What SQLite's planner counts with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Rows.
    pub rows: i64,
    /// Cost.
    pub cost: f64,
}

impl Missing {
    /// Nothing is bounded.
    pub const EVERYTHING: Missing = Missing { namespace: true, lower: true, upper: true };

    /// What a reference with these arguments lacks.
    pub fn of<'a>(roles: impl Iterator<Item = &'a Role> + Clone) -> Missing {
        let lacks = |wanted: &dyn Fn(&Role) -> bool| !roles.clone().any(wanted);
        Missing {
            namespace: lacks(&|role| matches!(role, Role::Namespace { .. })),
            lower: lacks(&|role| matches!(role, Role::Due(Comparison::Greater | Comparison::AtLeast | Comparison::Equal))),
            upper: lacks(&|role| matches!(role, Role::Due(Comparison::Less | Comparison::AtMost | Comparison::Equal))),
        }
    }

    /// It is bounded.
    pub fn is_nothing(self) -> bool {
        self.count() == 0
    }

    /// For people.
    pub fn told(self) -> &'static str {
        match (self.namespace, self.lower, self.upper) {
            (true, false, false) => "namespace (= or IN)",
            (true, true, false) => "namespace (= or IN) and a lower bound of deliver_at (>, >= or BETWEEN)",
            (true, false, true) => "namespace (= or IN) and an upper bound of deliver_at (<, <= or BETWEEN)",
            (true, true, true) => "namespace (= or IN) and both bounds of deliver_at (BETWEEN, or >= and <)",
            (false, true, false) => "a lower bound of deliver_at (>, >= or BETWEEN)",
            (false, false, _) => "an upper bound of deliver_at (<, <= or BETWEEN)",
            (false, true, true) => "both bounds of deliver_at (BETWEEN, or >= and <)",
        }
    }

    fn count(self) -> usize {
        usize::from(self.namespace) + usize::from(self.lower) + usize::from(self.upper)
    }
}

impl Seen {
    /// A reference has no plan with these constraints.
    pub fn refuse(&mut self, info: &IndexInfo, missing: Missing) {
        self.refused.push((signature(info), missing));
    }

    /// It has one, which SQLite is told.
    pub fn accept(&mut self, info: &mut IndexInfo, plan: Plan, estimate: Estimate) {
        self.accepted.push(signature(info));
        info.set_estimated_rows(estimate.rows);
        info.set_estimated_cost(estimate.cost);
        info.set_idx_str(&plan.encode());
        info.set_idx_num(i32::try_from(self.plans.len()).unwrap_or(i32::MAX));
        self.plans.push((plan, estimate));
    }

    /// The error for a query that has no plan: 1175.
    pub fn refusal(&self, query: &Query) -> SqlError {
        let open = self.refused.iter().filter(|(signature, _)| !self.accepted.contains(signature));
        let missing = open.map(|(_, missing)| *missing).min_by_key(|missing| missing.count());
        let which = if query.tasks > 1 { "one of its references to tasks lacks" } else { "it lacks" };
        let what = match missing {
            Some(missing) => format!("{which} {}", missing.told()),
            None => "its references to tasks bound each other, and none is bounded by itself".to_owned(),
        };
        // Said only where it may be the reason.
        let hides = [" OR ", "NOT ", " LEFT ", " RIGHT "].iter().any(|word| query.sqlite.contains(word));
        let hint = if query.bare {
            ". For a look at it LIMIT and OFFSET are at most 1000 together; a dump takes such bounds as --where, or \
             sql_unbounded_rows_max of as many tasks as there are"
        } else if hides {
            ". Bounds in one arm of an OR, under NOT, or in the ON of an outer join do not hold for every row"
        } else {
            ""
        };
        refused(&format!("{what}{hint}"))
    }
}

fn signature(info: &IndexInfo) -> Signature {
    info.constraints().map(|c| (c.column(), c.operator())).collect()
}

/// 1175; `what` is wrong.
pub fn refused(what: &str) -> SqlError {
    SqlError::new(
        1175,
        "HY000",
        format!(
            "A query of tasks must bound namespace and deliver_at, and {what}. For example: SELECT * FROM tasks WHERE namespace = \
             'welcome_emails' AND deliver_at >= '2022-04-16' AND deliver_at < '2022-04-17'"
        ),
    )
}

/// A constraint that is taken: its place and what it is.
struct Taken {
    place: usize,
    role: Role,
}

/// Answers SQLite's planner; see [`Source::best_index`](crate::sql::sqlite::tables::bridge::Source::best_index).
pub fn best_index(info: &mut IndexInfo) -> Result<bool, SqlError> {
    let running = Running::current()?;
    let mut seen = running.seen.borrow_mut();
    let taken = take(info)?;
    let missing = Missing::of(taken.iter().map(|taken| &taken.role));
    // What few tasks are in may do without bounds of time: they are counted before any is read.
    let unbounded = !missing.is_nothing() && !missing.namespace && running.unbounded_rows_max > 0;
    if !missing.is_nothing() && !unbounded {
        seen.refuse(info, missing);
        return Ok(false);
    }
    let order = order(info, &taken);
    if order.is_some() {
        info.set_order_by_consumed(true);
    }
    let plan = Plan { roles: taken.iter().map(|t| t.role).collect(), order: order.unwrap_or_default(), columns: info.col_used() };
    for (i, taken) in taken.iter().enumerate() {
        let omit = !matches!(taken.role, Role::Limit | Role::Offset);
        let mut usage = info.constraint_usage(taken.place);
        usage.set_argv_index(i as i32 + 1);
        usage.set_omit(omit);
    }
    let mut estimate = estimate(&plan);
    if unbounded {
        estimate.cost *= UNBOUNDED_COST;
    }
    seen.accept(info, plan, estimate);
    Ok(true)
}

fn take(info: &mut IndexInfo) -> Result<Vec<Taken>, SqlError> {
    let usable: Vec<(usize, i32, Op)> =
        info.constraints().enumerate().filter(|(_, c)| c.is_usable()).map(|(i, c)| (i, c.column(), c.operator())).collect();
    let mut taken = Vec::with_capacity(usable.len());
    for (place, column, op) in usable {
        if let Some(role) = role(info, place, column, op)? {
            taken.push(Taken { place, role });
        }
    }
    Ok(taken)
}

fn role(info: &mut IndexInfo, place: usize, column: i32, op: Op) -> Result<Option<Role>, SqlError> {
    let equal = matches!(op, Op::SQLITE_INDEX_CONSTRAINT_EQ | Op::SQLITE_INDEX_CONSTRAINT_IS);
    match op {
        Op::SQLITE_INDEX_CONSTRAINT_LIMIT => return Ok(Some(Role::Limit)),
        Op::SQLITE_INDEX_CONSTRAINT_OFFSET => return Ok(Some(Role::Offset)),
        _ => {}
    }
    let column = usize::try_from(column).unwrap_or(usize::MAX);
    if column == task::DELIVER_AT {
        return Ok(Some(Role::Due(match op {
            Op::SQLITE_INDEX_CONSTRAINT_GT => Comparison::Greater,
            Op::SQLITE_INDEX_CONSTRAINT_GE => Comparison::AtLeast,
            Op::SQLITE_INDEX_CONSTRAINT_LT => Comparison::Less,
            Op::SQLITE_INDEX_CONSTRAINT_LE => Comparison::AtMost,
            _ if equal => Comparison::Equal,
            _ => return Ok(None),
        })));
    }
    if !equal || !matches!(column, task::NAMESPACE | task::STATE | task::ID) {
        return Ok(None);
    }
    // Under another collation more texts are equal than the key says.
    if info.collation(place).map_err(|error| from_sqlite(&error))? != "BINARY" {
        return Ok(None);
    }
    let list = info.set_in_constraint(place, true).map_err(|error| from_sqlite(&error))?;
    Ok(Some(match column {
        task::NAMESPACE => Role::Namespace { list },
        task::STATE => Role::State { list },
        _ => Role::Id { list },
    }))
}

/// The order in which rows will come, when it can be the one that is wanted. The order by id is not that of the keys (it is by the
/// due time at creation), so nothing but namespace, state and due time is.
fn order(info: &IndexInfo, taken: &[Taken]) -> Option<Vec<Sort>> {
    if info.num_of_order_by() == 0 || taken.iter().any(|t| matches!(t.role, Role::Id { .. })) {
        return None;
    }
    let single = |wanted: Role| taken.iter().any(|t| t.role == wanted);
    let mut order: Vec<Sort> = Vec::new();
    for term in info.order_bys() {
        let by = match usize::try_from(term.column()).ok()? {
            task::NAMESPACE if single(Role::Namespace { list: false }) => continue,
            task::STATE if single(Role::State { list: false }) => continue,
            task::NAMESPACE => SortBy::Namespace,
            task::STATE => SortBy::State,
            task::DELIVER_AT => SortBy::Due,
            _ => return None,
        };
        order.push(Sort { by, descending: term.is_order_by_desc() });
    }
    let due = order.iter().position(|sort| sort.by == SortBy::Due);
    match (due, info.distinct()) {
        // Rows of a due time in no order of their own, or after namespaces one by one.
        (None, _) => Some(order),
        (Some(0), _) if order.len() == 1 => Some(order),
        // A merge within each namespace is not done.
        (Some(_), DistinctMode::Ordered | DistinctMode::DistinctOrdered) => None,
        _ => None,
    }
}

/// Guesses: planning reads nothing. They matter in joins only, and there a reference that is bounded by constants comes first and
/// one that takes its namespace from another table after it.
fn estimate(plan: &Plan) -> Estimate {
    let has = |wanted: &dyn Fn(&Role) -> bool| plan.roles.iter().any(wanted);
    let mut rows = 1000.0;
    if has(&|role| matches!(role, Role::Namespace { list: true })) && !has(&|role| *role == Role::Namespace { list: false }) {
        rows *= 10.0;
    }
    if has(&|role| *role == Role::Due(Comparison::Equal)) {
        rows /= 500.0;
    }
    if has(&|role| matches!(role, Role::State { .. })) {
        rows /= 2.0;
    }
    let cost = rows * if plan.uses(task::PAYLOAD) { 1.5 } else { 1.0 };
    if has(&|role| matches!(role, Role::Id { .. })) {
        rows = 1.0;
    }
    Estimate { rows: rows as i64 + 1, cost: cost + 10.0 }
}
