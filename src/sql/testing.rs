//! A peer in memory for tests of SQL: rows of a few groups, sorted as on disk, and counts of what was asked of it.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use z4_model::ids::{GroupId, Namespace, TaskKey};
use z4_model::rows::metadata::pack_metadata;
use z4_model::rows::namespace::NamespaceRow;
use z4_model::rows::record::TaskRecord;

use super::context::{Consistency, Context};
use super::data::{Data, GroupRow, Leases, Live, PeerRow, ProcessRow, Range, RawRow, Rows};
use super::error::SqlError;
use super::zones::Zone;

/// A row: namespace, dead, position, record.
pub type FakeRow = (Namespace, bool, TaskKey, TaskRecord);

/// Group, namespace, dead.
type Place = (u16, Namespace, bool);

/// The peer.
#[derive(Default)]
pub struct Fake {
    /// Groups that hold tasks, 1 to this.
    pub groups: u16,
    /// Its clock.
    pub now_ms: AtomicU64,
    /// Encoded rows by group, namespace and kind.
    rows: Mutex<BTreeMap<Place, Arc<Vec<RawRow>>>>,
    /// What is leased.
    pub leased: Mutex<HashSet<TaskKey>>,
    /// Leaders do not answer.
    pub leases_unknown: bool,
    /// This peer leads nothing, and has not heard from a leader for so long, milliseconds.
    pub stale_ms: Option<u64>,
    /// How many ranges were read, how many rows came of them, how often leases were asked for, how many barriers.
    pub counts: Arc<Counts>,
}

/// What was asked of a [`Fake`].
#[derive(Default, Debug)]
#[allow(missing_docs)]
pub struct Counts {
    pub reads: AtomicUsize,
    pub rows: AtomicUsize,
    pub leases: AtomicUsize,
    pub barriers: AtomicUsize,
    /// Not 0: what each counter of a namespace's tasks says, whatever there is.
    pub told_of_each: AtomicUsize,
}

impl Fake {
    /// Holds rows; each namespace is in the group of its slot.
    pub fn new(groups: u16, now_ms: u64, rows: &[FakeRow]) -> Fake {
        let fake = Fake { groups, now_ms: AtomicU64::new(now_ms), ..Fake::default() };
        {
            let mut all = fake.rows.lock().expect("a lock");
            for (namespace, dead, key, record) in rows {
                let place = (fake.group(namespace).0, namespace.clone(), *dead);
                let list = all.entry(place).or_default();
                Arc::make_mut(list).push((*key, record.encode()));
            }
            for list in all.values_mut() {
                Arc::make_mut(list).sort();
            }
        }
        fake
    }

    /// The group of a namespace.
    pub fn group(&self, namespace: &Namespace) -> GroupId {
        GroupId(namespace.slot() % self.groups.max(1) + 1)
    }

    /// How many ranges were read.
    pub fn reads(&self) -> usize {
        self.counts.reads.load(Ordering::Relaxed)
    }
}

/// One group's rows.
struct FakeRows {
    rows: BTreeMap<(Namespace, bool), Arc<Vec<RawRow>>>,
    counts: Arc<Counts>,
}

impl Rows for FakeRows {
    fn read(&self, range: &Range, limits: (usize, usize), into: &mut Vec<RawRow>) -> Result<Option<Range>, SqlError> {
        self.counts.reads.fetch_add(1, Ordering::Relaxed);
        let Some(rows) = self.rows.get(&(range.namespace.clone(), range.dead)) else { return Ok(None) };
        let from = rows.partition_point(|(key, _)| *key < range.from);
        let until = rows.partition_point(|(key, _)| *key < range.until).max(from);
        let taken: Box<dyn Iterator<Item = &RawRow>> =
            if range.backwards { Box::new(rows[from..until].iter().rev()) } else { Box::new(rows[from..until].iter()) };
        let (mut count, mut bytes) = (0, 0);
        for (key, value) in taken {
            count += 1;
            bytes += value.len();
            into.push((*key, value.clone()));
            self.counts.rows.fetch_add(1, Ordering::Relaxed);
            if count >= limits.0 || bytes >= limits.1 {
                let mut left = range.clone();
                if range.backwards {
                    left.until = *key
                } else {
                    left.from = key.next()
                }
                return Ok((left.from < left.until).then_some(left));
            }
        }
        Ok(None)
    }

    fn namespace(&self, namespace: &Namespace) -> Result<Option<NamespaceRow>, SqlError> {
        let len = |dead| self.rows.get(&(namespace.clone(), dead)).map_or(0, |rows| rows.len() as u64);
        let (live, dead) = match self.counts.told_of_each.load(Ordering::Relaxed) as u64 {
            0 => (len(false), len(true)),
            told => (told, 0),
        };
        Ok((live + dead > 0).then(|| NamespaceRow { created_ms: 1, live, dead, ..NamespaceRow::default() }))
    }

    fn namespaces(&self, after: Option<&Namespace>, limit: usize) -> Result<Vec<(Namespace, NamespaceRow)>, SqlError> {
        let mut names: Vec<Namespace> = self.rows.keys().map(|(name, _)| name.clone()).collect();
        names.dedup();
        let mut found = Vec::new();
        for name in names.into_iter().filter(|name| after.is_none_or(|after| name > after)).take(limit) {
            let row = self.namespace(&name)?.unwrap_or_default();
            found.push((name, row));
        }
        Ok(found)
    }
}

impl Data for Fake {
    fn groups_of_tasks(&self) -> Result<Vec<GroupId>, SqlError> {
        Ok((1..=self.groups).map(GroupId).collect())
    }

    fn group_of(&self, namespace: &Namespace) -> Result<GroupId, SqlError> {
        Ok(self.group(namespace))
    }

    fn rows(&self, group: GroupId) -> Result<Arc<dyn Rows>, SqlError> {
        let all = self.rows.lock().expect("a lock");
        let of = |((g, name, dead), rows): (&(u16, Namespace, bool), &Arc<Vec<RawRow>>)| {
            (*g == group.0).then(|| ((name.clone(), *dead), Arc::clone(rows)))
        };
        Ok(Arc::new(FakeRows { rows: all.iter().filter_map(of).collect(), counts: Arc::clone(&self.counts) }))
    }

    fn barrier(&self, _: &[GroupId]) -> Result<(), SqlError> {
        self.counts.barriers.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn leases(&self, _: GroupId, _: &[Namespace]) -> Result<Leases, SqlError> {
        self.counts.leases.fetch_add(1, Ordering::Relaxed);
        let keys = if self.leases_unknown { HashSet::new() } else { self.leased.lock().expect("a lock").clone() };
        Ok(Leases { keys: Arc::new(keys), unknown: self.leases_unknown })
    }

    fn peers(&self) -> Result<Vec<PeerRow>, SqlError> {
        Ok(vec![PeerRow { id: "p1".into(), number: 1, me: true, connected: true, ..PeerRow::default() }])
    }

    fn groups(&self) -> Result<Vec<GroupRow>, SqlError> {
        let (leads, stale_ms) = (self.stale_ms.is_none(), self.stale_ms.or(Some(0)));
        let row = |id| GroupRow { id, leads, stale_ms, voters: vec!["p1".into()], ..GroupRow::default() };
        Ok((0..=self.groups).map(row).collect())
    }

    fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }
}

impl Live for Fake {
    fn processes(&self) -> Vec<ProcessRow> {
        vec![ProcessRow { id: 7, user: "u".into(), host: "h".into(), command: "Query", ..ProcessRow::default() }]
    }

    fn status(&self) -> Vec<(&'static str, String)> {
        vec![("Uptime", "1".to_owned())]
    }
}

/// A session at a time.
pub fn context(now_ms: u64) -> Context {
    Context {
        connection: 1,
        user: "u".into(),
        host: "h".into(),
        database: Some("z4".into()),
        now_us: (now_ms * 1000).cast_signed(),
        zone: Zone::UTC,
        params: Arc::default(),
        consistency: Consistency::Stale,
        max_execution_ms: 0,
        select_limit: u64::MAX,
        variables: super::context::Variables::default(),
        own: Arc::default(),
        warnings: Vec::new(),
    }
}

/// A row with a payload of its own.
pub fn row(namespace: &str, dead: bool, due_ms: u64, sequence: u64) -> FakeRow {
    let record = TaskRecord {
        id_due_ms: due_ms,
        created_ms: 1,
        version: 1,
        attempts: (sequence % 3) as u32,
        metadata: pack_metadata([("n", sequence.to_string().as_str())].into_iter()),
        payload: Bytes::from(format!("payload {sequence}")),
        ..TaskRecord::default()
    };
    (Namespace::new(namespace).expect("a name"), dead, TaskKey { due_ms, sequence }, record)
}
