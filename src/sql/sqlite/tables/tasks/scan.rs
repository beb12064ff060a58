//! A cursor over `tasks`.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::vtab::{Context, Filters};
use z4_model::ids::{GroupId, Namespace, TaskId, TaskKey};
use z4_model::rows::record::TaskRecord;

use super::Reach;
use super::chunk::{Chunk, Reader};
use super::explain::explain;
use super::feed::{Feed, Merge, Work};
use super::filter::{Wanted, wanted};
use super::look;
use super::metadata::write_json;
use super::plan::Plan;
use super::rule::Missing;
use super::segments::{Origin, Request, Segment, SortBy, States, segments};
use super::unbounded::{check, too_many};
use crate::sql::catalog::task;
use crate::sql::error::SqlError;
use crate::sql::sqlite::fault::to_sqlite;
use crate::sql::sqlite::memory;
use crate::sql::sqlite::running::Running;
use crate::sql::sqlite::tables::bridge::Scan;

/// Columns that are in the record and not in the key.
const IN_RECORD: &[usize] = &[
    task::ID,
    task::CREATED_AT,
    task::LAST_RETRY,
    task::ATTEMPTS,
    task::METADATA,
    task::PAYLOAD,
    task::PAYLOAD_BYTES,
    task::LAST_ERROR,
];

/// Ids that are looked for where their tasks were created, before the range is scanned.
const IDS_LOOKED_UP_MAX: usize = 256;

/// The cursor.
#[derive(Default)]
pub struct TaskScan {
    reach: Reach,
    /// Rows that may still be read when they are not bounded, and what they lack.
    left: Option<(u64, Missing)>,
    running: Option<Rc<Running>>,
    plan_text: String,
    plan: Plan,
    decodes: bool,
    feed: Option<Feed>,
    chunk: Option<Chunk>,
    row: Option<Row>,
    ids: Option<Vec<TaskId>>,
    leased: HashMap<GroupId, Arc<HashSet<TaskKey>>>,
    now_ms: u64,
    json: RefCell<String>,
}

struct Row {
    origin: Arc<Origin>,
    key: TaskKey,
    state: States,
    record: TaskRecord,
}

/// Of a row's chunk: whose it is, which states are wanted, whether it was found by its id.
type From = (Arc<Origin>, States, bool);

impl Scan for TaskScan {
    fn filter(&mut self, number: i32, plan: &str, args: &Filters<'_>) -> Result<(), SqlError> {
        let running = Running::current()?;
        if self.plan_text != plan || self.running.is_none() {
            self.plan = Plan::decode(plan).ok_or_else(|| SqlError::other("a scan has no plan"))?;
            plan.clone_into(&mut self.plan_text);
            self.decodes = IN_RECORD.iter().any(|column| self.plan.uses(*column));
        }
        self.forget();
        self.now_ms = running.now_ms();
        let wanted = match self.reach {
            Reach::Bounded => wanted(&self.plan, args, &running)?,
            reach => look::wanted(reach, &self.plan, args, &running)?,
        };
        self.left = self.may_read(&wanted, &running)?;
        if running.explain {
            return explain(number, &self.plan, &wanted, &running);
        }
        running.check()?;
        let Wanted { request, ids, hint, rows_max } = wanted;
        self.ids = ids;
        if let Some(request) = request {
            self.feed = Some(self.start(request, (hint, rows_max), &running)?);
            self.running = Some(running);
            self.next()?;
        }
        Ok(())
    }

    fn next(&mut self) -> Result<(), SqlError> {
        self.row = None;
        let Some(running) = self.running.clone() else { return Ok(()) };
        loop {
            if running.must_stop() {
                return running.check();
            }
            if let Some(chunk) = &mut self.chunk
                && let Some((key, value)) = chunk.rows.pop_front()
            {
                let from = (Arc::clone(&chunk.origin), chunk.states, chunk.looked_up);
                if let Some((left, missing)) = &mut self.left {
                    // No counter is trusted further than this.
                    *left = left.checked_sub(1).ok_or_else(|| too_many(running.unbounded_rows_max + 1, *missing, &running))?;
                }
                if let Some(row) = self.row_of(from, key, &value)? {
                    self.row = Some(row);
                    return Ok(());
                }
                continue;
            }
            self.put_chunk(None);
            let Some(feed) = &mut self.feed else { return Ok(()) };
            match feed.next(&running)? {
                Some(chunk) => self.put_chunk(Some(chunk)),
                None => {
                    self.feed = None;
                    return Ok(());
                }
            }
        }
    }

    fn eof(&self) -> bool {
        self.row.is_none()
    }

    fn column(&self, context: &mut Context, column: usize) -> rusqlite::Result<()> {
        let Some(row) = &self.row else { return Ok(()) };
        let record = &row.record;
        let time = |ms: u64| ValueRef::Integer(i64::try_from(ms.saturating_mul(1000)).unwrap_or(i64::MAX));
        let id;
        let mut json = self.json.borrow_mut();
        let value = match column {
            task::ID => {
                id = record.id(row.origin.group, row.key).to_string();
                ValueRef::Text(id.as_bytes())
            }
            task::NAMESPACE => ValueRef::Text(row.origin.namespace.as_bytes()),
            task::STATE => ValueRef::Text(name(row.state).as_bytes()),
            task::DELIVER_AT => time(row.key.due_ms),
            task::CREATED_AT => time(record.created_ms),
            task::LAST_RETRY if record.last_retry_ms != 0 => time(record.last_retry_ms),
            task::ATTEMPTS => ValueRef::Integer(i64::from(record.attempts)),
            task::METADATA => {
                json.clear();
                write_json(&record.metadata, &mut json).map_err(|error| to_sqlite(&damaged(&row.origin, row.key, error.0)))?;
                ValueRef::Text(json.as_bytes())
            }
            task::PAYLOAD => ValueRef::Blob(&record.payload),
            task::PAYLOAD_BYTES => ValueRef::Integer(i64::try_from(record.payload.len()).unwrap_or(i64::MAX)),
            task::LAST_ERROR if !record.last_error.is_empty() => ValueRef::Text(&record.last_error),
            _ => ValueRef::Null,
        };
        context.set_result(ToSqlOutput::Borrowed(value))
    }

    /// 12 bits of group, and of the sequence (log index << 16 | position, or reserved by a leader: then with its top bit) 51 bits and
    /// the top bit. Unique while a group's log has fewer than 2^35 entries and a cluster fewer than 4096 groups; the same whenever
    /// the task is met in a query, wherever it was moved.
    fn rowid(&self) -> i64 {
        const LOW: u64 = (1 << 51) - 1;
        let Some(row) = &self.row else { return 0 };
        let group = u64::from(row.origin.group.0 & 0xfff) << 52;
        (group | (row.key.sequence >> 63) << 51 | (row.key.sequence & LOW)).cast_signed()
    }
}

impl TaskScan {
    /// A cursor without rows.
    pub fn new(reach: Reach) -> TaskScan {
        let mut scan = TaskScan::default();
        scan.reach = reach;
        scan
    }

    /// How many rows may be read where they are not bounded; `None`: they are.
    fn may_read(&self, wanted: &Wanted, running: &Running) -> Result<Option<(u64, Missing)>, SqlError> {
        let Some(request) = &wanted.request else { return Ok(None) };
        let rows = match self.reach {
            Reach::Bounded => check(&self.plan, request, running)?,
            Reach::Look if wanted.rows_max.is_some() => None,
            Reach::Look | Reach::Whole => Some(running.unbounded_rows_max),
        };
        Ok(rows.map(|rows| (rows, Missing::of(self.plan.roles.iter()))))
    }

    fn forget(&mut self) {
        self.running = None;
        self.feed = None;
        self.row = None;
        self.ids = None;
        self.leased.clear();
        self.put_chunk(None);
    }

    fn put_chunk(&mut self, chunk: Option<Chunk>) {
        let before = self.chunk.as_ref().map_or(0, |chunk| chunk.bytes);
        let after = chunk.as_ref().map_or(0, |chunk| chunk.bytes);
        self.chunk = chunk;
        memory::charge(after as i64 - before as i64);
    }

    /// `rows`: those that are likely to be taken, and those that may be read.
    fn start(&mut self, mut request: Request, rows: (Option<usize>, Option<usize>), running: &Running) -> Result<Feed, SqlError> {
        let (hint, rows_max) = rows;
        let mut groups: Vec<GroupId> = request.namespaces.iter().map(|(_, group)| *group).collect();
        groups.sort_unstable();
        groups.dedup();
        let rows: HashMap<GroupId, _> = groups.iter().copied().zip(running.rows(&groups)?).collect();
        if self.leases_matter(&request) {
            for group in groups {
                let of = |(name, at): &(Namespace, GroupId)| (*at == group).then(|| name.clone());
                let names: Vec<Namespace> = request.namespaces.iter().filter_map(of).collect();
                self.leased.insert(group, running.leased(group, &names)?);
            }
        }
        request.leases = self.leased.values().any(|keys| !keys.is_empty());
        let first = hint.map_or(Reader::FIRST, |hint| hint.max(8));
        let with_rows = |segment: Segment| rows.get(&segment.origin.group).map(|of| (segment, Arc::clone(of)));
        let work: Work = segments(&request, &self.plan.order).into_iter().filter_map(with_rows).collect();
        if let Some(rows) = rows_max {
            return Ok(Feed::first(work, rows));
        }
        if let [sort] = self.plan.order.as_slice()
            && sort.by == SortBy::Due
        {
            return Ok(Feed::Merge(Merge::new(work, sort.descending, first)));
        }
        if self.ids.as_ref().is_some_and(|ids| ids.len() <= IDS_LOOKED_UP_MAX) {
            return self.look_up(work, first);
        }
        Ok(Feed::phases(work, first))
    }

    /// Ready and leased are told apart by a column or by a predicate, and some task may be either.
    fn leases_matter(&self, request: &Request) -> bool {
        let both = States::READY.or(States::LEASED);
        let wanted = request.states.and(both);
        wanted != States::NONE && request.due.0 <= request.now_ms && (wanted != both || self.plan.uses(task::STATE))
    }

    /// Looks for each id where its task was created; what is not there is looked for in the whole range, because it may have moved.
    fn look_up(&mut self, work: Work, first: usize) -> Result<Feed, SqlError> {
        let mut ids = self.ids.take().unwrap_or_default();
        let mut found: VecDeque<Chunk> = VecDeque::new();
        for (segment, rows) in &work {
            let mut left = Vec::with_capacity(ids.len());
            for id in ids {
                let home = id.home();
                let mut range = segment.range(false);
                let inside = range.from <= home && home < range.until && id.group == segment.origin.group;
                let before = found.len();
                if inside {
                    (range.from, range.until) = (home, home.next());
                    let mut row = Vec::new();
                    rows.read(&range, (1, usize::MAX), &mut row)?;
                    let is_it = |(key, value): &(TaskKey, Bytes)| {
                        TaskRecord::decode(value).is_ok_and(|record| record.id(segment.origin.group, *key) == id)
                    };
                    row.retain(is_it);
                    if !row.is_empty() {
                        let (origin, states, phase) = (Arc::clone(&segment.origin), segment.states, segment.phase);
                        found.push_back(Chunk { origin, states, phase, rows: row.into(), bytes: 0, looked_up: true });
                    }
                }
                if found.len() == before {
                    left.push(id);
                }
            }
            ids = left;
        }
        let rest = if ids.is_empty() { Feed::Empty } else { Feed::phases(work, first) };
        self.ids = Some(ids);
        Ok(if found.is_empty() { rest } else { Feed::Ready(found, Box::new(rest)) })
    }

    fn row_of(&self, from: From, key: TaskKey, value: &Bytes) -> Result<Option<Row>, SqlError> {
        let (origin, states, looked_up) = from;
        let state = if origin.dead {
            States::DEAD
        } else if key.due_ms > self.now_ms {
            States::SCHEDULED
        } else if self.leased.get(&origin.group).is_some_and(|keys| keys.contains(&key)) {
            States::LEASED
        } else {
            // Also when leases were not asked for: then nobody wants to know.
            States::READY
        };
        if !states.any_of(state) {
            return Ok(None);
        }
        let ids = self.ids.as_ref().filter(|_| !looked_up);
        if ids.is_some_and(|ids| !ids.iter().any(|id| id.sequence == key.sequence)) {
            return Ok(None);
        }
        let record = if self.decodes || ids.is_some() {
            TaskRecord::decode(value).map_err(|error| damaged(&origin, key, error.0))?
        } else {
            TaskRecord::default()
        };
        let id = record.id(origin.group, key);
        if ids.is_some_and(|ids| !ids.contains(&id)) {
            return Ok(None);
        }
        Ok(Some(Row { origin, key, state, record }))
    }
}

impl Drop for TaskScan {
    fn drop(&mut self) {
        self.put_chunk(None);
    }
}

fn name(state: States) -> &'static str {
    States::EACH.iter().find(|(known, _)| *known == state).map_or("", |(_, name)| name)
}

fn damaged(origin: &Origin, key: TaskKey, what: &str) -> SqlError {
    SqlError::other(format!(
        "A task's row cannot be read: namespace {}, due {} ms, sequence {}, group {}: {what}",
        origin.namespace, key.due_ms, key.sequence, origin.group
    ))
}
