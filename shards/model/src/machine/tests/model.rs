//! The machine, said as simply as possible: plain maps, copied before each command and put back when it is refused.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use crate::command::{Command, Create, Created, Defect, Op, OpReply, PurgeCursor, Refusal, Reply, Update};
use crate::ids::{GroupId, Namespace, RequestHash, TaskId, TaskKey};
use crate::keys;
use crate::rows::namespace::NamespaceRow;
use crate::rows::record::TaskRecord;
use crate::rows::task::{Place, TaskRow};

/// One namespace.
#[derive(Clone)]
pub(super) struct Space {
    pub(super) row: NamespaceRow,
    /// By sequence.
    pub(super) tasks: BTreeMap<u64, TaskRow>,
}

/// One group.
#[derive(Clone)]
pub(super) struct Model {
    pub(super) group: GroupId,
    pub(super) stamp_ms: u64,
    pub(super) now_ms: u64,
    pub(super) spaces: BTreeMap<Namespace, Space>,
    /// Id, created, expires.
    requests: HashMap<RequestHash, (TaskId, u64, u64)>,
    index: u64,
    assigned: u64,
}

impl Model {
    pub(super) fn new(group: GroupId) -> Self {
        Model { group, stamp_ms: 0, now_ms: 0, spaces: BTreeMap::new(), requests: HashMap::new(), index: 0, assigned: 0 }
    }

    pub(super) fn begin_entry(&mut self, index: u64, stamp_ms: u64, now_ms: Option<u64>) {
        self.stamp_ms = self.stamp_ms.max(stamp_ms);
        self.now_ms = now_ms.unwrap_or(self.stamp_ms);
        self.index = index;
        self.assigned = 0;
    }

    pub(super) fn space(&self, name: &Namespace) -> Space {
        self.spaces.get(name).cloned().unwrap_or(Space { row: NamespaceRow::default(), tasks: BTreeMap::new() })
    }

    pub(super) fn apply(&mut self, command: &Command) -> Reply {
        let before = self.clone();
        let mut space = self.space(&command.namespace);
        let reply = self.run(&mut space, command);
        match reply {
            Ok(_) if space.row.created_ms != 0 => {
                space.row.live = space.tasks.values().filter(|t| !t.dead).count() as u64;
                space.row.dead = space.tasks.values().filter(|t| t.dead).count() as u64;
                self.spaces.insert(command.namespace.clone(), space);
            }
            Ok(_) => {
                self.spaces.remove(&command.namespace);
            }
            Err(_) => *self = before,
        }
        reply
    }

    fn run(&mut self, space: &mut Space, command: &Command) -> Reply {
        let alone = |op: &Op| matches!(op, Op::Purge { .. } | Op::PurgeFrom { .. } | Op::LowWater { .. });
        if command.ops.len() > 1 && command.ops.iter().any(alone) {
            return Err(Refusal::Malformed(Defect::PURGE_NOT_ALONE));
        }
        if command.ops.len() > 1 && command.ops.contains(&Op::DropNamespace) {
            return Err(Refusal::Malformed(Defect::DROP_NOT_ALONE));
        }
        let mut named = Vec::new();
        for op in &command.ops {
            let sequence = match op {
                Op::Create(create) if create.sequence != 0 => create.sequence,
                Op::Ack { key, .. } | Op::Retry { key, .. } | Op::GiveBack { key, .. } => key.sequence,
                Op::Update(Update { id, .. }) | Op::Delete { id, .. } => id.sequence,
                _ => continue,
            };
            if named.contains(&sequence) {
                return Err(Refusal::Malformed(Defect::ROW_TWICE));
            }
            named.push(sequence);
        }
        command.ops.iter().map(|op| self.run_op(space, &command.namespace, op)).collect()
    }

    fn run_op(&mut self, space: &mut Space, name: &Namespace, op: &Op) -> Result<OpReply, Refusal> {
        let now = self.now_ms;
        match op {
            Op::Create(create) => Ok(self.create(space, create)),
            Op::Ack { id, .. } => {
                space.tasks.remove(&id.sequence);
                Ok(OpReply::Acked)
            }
            Op::GiveBack { key, token } => {
                let id = TaskId { due_ms: key.due_ms, group: self.group, sequence: key.sequence };
                let found = space.tasks.get_mut(&key.sequence).filter(|task| task.key == *key && !task.dead);
                let task = found.ok_or_else(|| Refusal::NotFound { namespace: name.clone(), id })?;
                task.record.fence = task.record.fence.max(*token);
                task.record.rewritten = true;
                Ok(OpReply::GivenBack)
            }
            Op::Retry { key, due_ms, error, of } => {
                let max_attempts = space.row.settings.max_attempts;
                let id = TaskId { due_ms: key.due_ms, group: self.group, sequence: key.sequence };
                let found = space.tasks.get_mut(&key.sequence).filter(|task| task.key == *key && !task.dead);
                let task = found.ok_or_else(|| Refusal::NotFound { namespace: name.clone(), id })?;
                task.record.attempts += 1;
                task.record.last_retry_ms = now;
                task.record.last_error = error.slice(..error.len().min(1024));
                task.record.rewritten = true;
                task.record.fence = task.record.fence.max(of.map_or(0, |of| of.token));
                if task.record.attempts >= max_attempts {
                    task.dead = true;
                } else {
                    task.key.due_ms = now.max(*due_ms);
                    space.row.low_water_ms = space.row.low_water_ms.min(task.key.due_ms);
                }
                Ok(OpReply::Retried { dead: task.dead })
            }
            Op::Update(update) => self.update(space, name, update),
            Op::Delete { id, expected_version } => {
                find(space, name, *id, *expected_version)?;
                space.tasks.remove(&id.sequence);
                Ok(OpReply::Deleted)
            }
            Op::Configure(patch) => {
                space.row.settings = space.row.settings.patched(patch)?;
                self.touch(space);
                let mut row = space.row.clone();
                row.live = space.tasks.values().filter(|t| !t.dead).count() as u64;
                row.dead = space.tasks.values().filter(|t| t.dead).count() as u64;
                Ok(OpReply::Configured(Box::new(row)))
            }
            Op::LowWater { due_ms } => {
                let first = space.tasks.values().filter(|task| !task.dead).map(|task| task.key.due_ms).min();
                let mark = now.min(*due_ms).min(first.unwrap_or(u64::MAX));
                space.row.low_water_ms = space.row.low_water_ms.max(mark);
                Ok(OpReply::LowWater)
            }
            Op::Purge { limit } => {
                let mut order: Vec<_> = space.tasks.values().map(|task| (task.dead, task.key)).collect();
                order.sort();
                order.truncate(*limit as usize);
                for (_, key) in &order {
                    space.tasks.remove(&key.sequence);
                }
                let live = order.iter().filter(|(dead, _)| !dead).count();
                if live < *limit as usize {
                    space.row.low_water_ms = space.row.low_water_ms.max(now);
                }
                Ok(OpReply::Purged { removed: order.len() as u32 })
            }
            Op::PurgeFrom { from, limit } => Ok(purge_from(space, now, *from, *limit as usize)),
            Op::DropNamespace => {
                let existed = space.row.created_ms != 0;
                let dead = space.tasks.values().filter(|task| task.dead).count() as u64;
                let live = space.tasks.len() as u64 - dead;
                if live + dead > 0 {
                    return Err(Refusal::NotEmpty { namespace: name.clone(), live, dead });
                }
                space.row = NamespaceRow::default();
                Ok(OpReply::NamespaceDropped { existed })
            }
            Op::EndClaims { .. } => Ok(OpReply::ClaimsEnded),
            Op::Register { .. } => Err(Refusal::Malformed(Defect::REGISTRY_ELSEWHERE)),
        }
    }

    fn touch(&self, space: &mut Space) {
        if space.row.created_ms == 0 {
            space.row.created_ms = self.now_ms;
        }
    }

    fn create(&mut self, space: &mut Space, create: &Create) -> OpReply {
        let (stamp, now) = (self.stamp_ms, self.now_ms);
        if let Some((id, created_ms, expires_ms)) = create.request.and_then(|request| self.requests.get(&request))
            && *expires_ms > stamp
        {
            return OpReply::Created(Created { id: *id, created_ms: *created_ms, duplicate: true });
        }
        let key = if create.sequence != 0 {
            TaskKey { due_ms: create.due_ms, sequence: create.sequence }
        } else {
            self.assigned += 1;
            TaskKey { due_ms: create.due_ms.max(now), sequence: self.index * 65_536 + self.assigned - 1 }
        };
        let id = TaskId { due_ms: key.due_ms, group: self.group, sequence: key.sequence };
        if let Some(request) = create.request {
            self.requests.insert(request, (id, now, stamp + space.row.settings.idempotency_window_ms));
        }
        let record = TaskRecord {
            id_due_ms: key.due_ms,
            created_ms: now,
            version: 1,
            metadata: create.metadata.clone(),
            payload: create.payload.clone(),
            ..Default::default()
        };
        space.tasks.insert(key.sequence, TaskRow { id, key, dead: false, record });
        space.row.low_water_ms = space.row.low_water_ms.min(key.due_ms);
        self.touch(space);
        OpReply::Created(Created { id, created_ms: now, duplicate: false })
    }

    fn update(&mut self, space: &mut Space, name: &Namespace, update: &Update) -> Result<OpReply, Refusal> {
        let now = self.now_ms;
        find(space, name, update.id, update.expected_version)?;
        let space_row = &mut space.row;
        let task = space.tasks.get_mut(&update.id.sequence).expect("found");
        let was = (task.dead, task.key);
        if let Some(due_ms) = update.due_ms {
            task.key.due_ms = now.max(due_ms);
        } else if task.dead && update.revive {
            task.key.due_ms = now;
        }
        if update.revive {
            task.dead = false;
            task.record.attempts = 0;
        }
        task.record.metadata = update.metadata.clone().unwrap_or(task.record.metadata.clone());
        task.record.payload = update.payload.clone().unwrap_or(task.record.payload.clone());
        task.record.version += 1;
        task.record.fence = task.record.fence.max(update.fence);
        task.record.rewritten = true;
        if was != (task.dead, task.key) && !task.dead {
            space_row.low_water_ms = space_row.low_water_ms.min(task.key.due_ms);
        }
        Ok(OpReply::Updated(task.clone()))
    }

    /// Every row that the store should have, but for the group's own and the request ids.
    pub(super) fn rows(&self) -> BTreeMap<Bytes, Bytes> {
        let mut rows = BTreeMap::new();
        for (name, space) in &self.spaces {
            rows.insert(keys::namespace(name), space.row.encode());
            for task in space.tasks.values() {
                rows.insert(keys::row(name, task.dead, task.key), task.record.encode());
                if task.dead || task.key != task.id.home() {
                    rows.insert(keys::moved(name, task.id), Place { dead: task.dead, key: task.key }.encode());
                }
            }
        }
        rows
    }
}

fn find(space: &Space, name: &Namespace, id: TaskId, expected: u32) -> Result<(), Refusal> {
    let found = space.tasks.get(&id.sequence).filter(|task| task.id == id);
    let task = found.ok_or_else(|| Refusal::NotFound { namespace: name.clone(), id })?;
    match task.record.version {
        version if expected == 0 || expected == version => Ok(()),
        found => Err(Refusal::VersionMismatch { id, expected, found }),
    }
}

/// One step of a purge: the live rows from the cursor on, then the dead ones.
fn purge_from(space: &mut Space, stamp_ms: u64, from: PurgeCursor, limit: usize) -> OpReply {
    let rows = |space: &Space, dead: bool| -> Vec<TaskKey> {
        let mut keys: Vec<_> = space.tasks.values().filter(|task| task.dead == dead).map(|task| task.key).collect();
        keys.sort();
        keys
    };
    let mut next = from;
    let mut removed = 0;
    let mut ended = true;
    for dead in [false, true] {
        let first = if dead { from.dead } else { from.live.max(TaskKey::at(space.row.low_water_ms)) };
        let all = rows(space, dead);
        let gone: Vec<_> = all.iter().filter(|key| **key >= first).take(limit - removed).copied().collect();
        gone.iter().for_each(|key| {
            space.tasks.remove(&key.sequence);
        });
        ended = gone.len() < limit - removed;
        removed += gone.len();
        let cursor = if ended { TaskKey::MAX } else { gone.last().map_or(first, |last| last.next()) };
        if dead {
            next.dead = cursor;
        } else {
            next.live = cursor;
            let (low, mark) = (space.row.low_water_ms, if ended { stamp_ms } else { gone.last().map_or(0, |last| last.due_ms) });
            let behind = all.iter().any(|key| *key < first);
            if space.row.created_ms != 0 && !behind && low >= first.due_ms {
                space.row.low_water_ms = low.max(mark);
            }
        }
        if !ended {
            break;
        }
    }
    OpReply::PurgedTo { removed: removed as u32, next: (!ended).then_some(next), left: space.tasks.len() as u64 }
}
