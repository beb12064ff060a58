//! Entries in, answers and effects out.

use bytes::Bytes;

use super::claims::Claimable;
use super::effect::{Effect, Outcome};
use super::error::ApplyError;
use super::hash::StateHash;
use super::idempotency::Window;
use super::meta::{Meta, Totals};
use super::namespaces::{self, Cache, Touched};
use super::ops;
use super::plan::{At, Draft, Plan, Stop};
use super::settled::SettledLately;
use super::store::Store;
use crate::command::{Command, Defect, Op, OpReply, Refusal, Reply, decode_entry};
use crate::ids::GroupId;
use crate::keys;

/// The in-memory part of a group's state: what is not worth a read per command. It can always be loaded again from the store.
pub struct Machine {
    group: GroupId,
    meta: Meta,
    window: Window,
    /// How many namespaces there are.
    namespaces_count: u64,
    claimable: Claimable,
    settled: SettledLately,
    namespaces: Cache,
    touched: Touched,
    draft: Draft,
}

impl Machine {
    /// Loads the machine's memory (group row, idempotency window, how many namespaces there are) from its store.
    ///
    /// # Errors
    /// The store cannot be read, or a row in it.
    pub fn load(group: GroupId, store: &mut impl Store) -> Result<Self, ApplyError> {
        let meta = match store.get(&keys::meta())? {
            Some(value) => Meta::decode(&value)?,
            None => Meta::EMPTY,
        };
        let window = Window::load(store)?;
        let namespaces_count = namespaces::count(store)?;
        let (claimable, settled) = (Claimable::load(store)?, SettledLately::default());
        let (namespaces, touched, draft) = (Cache::default(), Touched::default(), Draft::default());
        Ok(Machine { group, meta, window, namespaces_count, claimable, settled, namespaces, touched, draft })
    }

    /// Applies one entry (the bytes of [`crate::command::encode_entry`]) at `index`, which is greater than that of every entry
    /// before.
    ///
    /// # Errors
    /// Every error is fatal; commands that cannot be done are answered in the outcome instead.
    pub fn apply(&mut self, store: &mut impl Store, index: u64, entry: &Bytes) -> Result<Outcome, ApplyError> {
        let entry = decode_entry(entry).map_err(ApplyError::Entry)?;
        // What is remembered is never forgotten early, also when an older z4's clock went back.
        self.meta.stamp_ms = self.meta.stamp_ms.max(entry.stamp_ms);
        let now_ms = entry.now_ms.unwrap_or(self.meta.stamp_ms);
        let commands = entry.commands.len();
        let mut outcome = Outcome { replies: Vec::with_capacity(entry.commands.len()), effects: Vec::new() };
        let mut assigned = 0;
        for command in entry.commands {
            let reply = self.apply_command(store, (index, now_ms), command, &mut assigned, &mut outcome)?;
            outcome.replies.push(reply);
        }
        let Machine { meta, window, namespaces, touched, .. } = self;
        let more = touched.close(namespaces, |write| write.run(store, &mut meta.hash));
        self.namespaces_count = self.namespaces_count.saturating_add_signed(more);
        let created_ms = entry.now_ms.map(|_| now_ms);
        window.close(index, (meta.stamp_ms, created_ms), |write| write.run(store, &mut meta.hash));
        store.put(keys::meta(), meta.encode());
        assert_eq!(outcome.replies.len(), commands, "each command is answered");
        Ok(outcome)
    }

    fn apply_command(
        &mut self,
        store: &mut impl Store,
        (index, now_ms): (u64, u64),
        command: Command,
        assigned: &mut u64,
        outcome: &mut Outcome,
    ) -> Result<Reply, ApplyError> {
        if let Err(refusal) = check(self.group, &command) {
            return Ok(Err(refusal));
        }
        if let [Op::EndClaims { below, kept, more }] = &command.ops[..] {
            self.claimable.end(*below, kept);
            self.claimable.write().run(store, &mut self.meta.hash);
            if !more {
                outcome.effects.push(Effect::ClaimsEnded { below: *below });
            }
            return Ok(Ok(vec![OpReply::ClaimsEnded]));
        }
        debug_assert!(self.draft.is_empty(), "a command has left something behind");
        let touched = self.touched.open(&mut self.namespaces, store, &command.namespace)?;
        let ops = command.ops.len();
        let before = self.touched.row(touched).clone();
        let at = At { group: self.group, namespace: self.touched.name(touched), index, stamp_ms: self.meta.stamp_ms, now_ms };
        let fresh = self.window.fresh();
        let mut replies = Vec::with_capacity(command.ops.len());
        let mut plan = Plan {
            at,
            store: &mut *store,
            window: &mut self.window,
            draft: &mut self.draft,
            row: before.clone(),
            assigned: *assigned,
        };
        for op in command.ops {
            match ops::plan(&mut plan, op) {
                Ok(reply) => replies.push(reply),
                Err(stop) => {
                    self.draft.writes.clear();
                    self.draft.effects.clear();
                    self.draft.settled.clear();
                    self.window.undo(fresh);
                    return match stop {
                        Stop::Refused(refusal) => Ok(Err(refusal)),
                        Stop::Fatal(error) => Err(error),
                    };
                }
            }
        }
        assert_eq!(replies.len(), ops, "each operation is answered");
        *assigned = plan.assigned;
        let row = plan.row;
        let totals = &mut self.meta.totals;
        totals.live = totals.live.wrapping_add(row.live).wrapping_sub(before.live);
        totals.dead = totals.dead.wrapping_add(row.dead).wrapping_sub(before.dead);
        self.touched.set(touched, row);
        for write in self.draft.writes.drain(..) {
            write.run(store, &mut self.meta.hash);
        }
        outcome.effects.append(&mut self.draft.effects);
        for (token, sequence, acked) in self.draft.settled.drain(..) {
            self.settled.add(token, sequence, acked);
        }
        Ok(Ok(replies))
    }

    /// What must hold between two entries: counts are sums of the rows', and what is kept in memory is what loading would find. Reads every
    /// row of a namespace, so it is for tests.
    ///
    /// # Panics
    /// It does not hold, or the store cannot be read.
    pub fn check(&self, store: &mut impl Store) {
        assert!(self.draft.is_empty() && self.touched.is_empty(), "an entry has left something behind");
        self.window.check();
        self.claimable.check();
        self.settled.check();
        self.namespaces.check(store);
        assert_eq!(self.claimable, Claimable::load(store).expect("readable"), "claims");
        assert_eq!(self.namespaces_count, namespaces::count(store).expect("readable"), "how many namespaces");
        assert_eq!(self.meta.totals, namespaces::totals(store).expect("readable"), "totals are the sums over namespaces");
        let loaded = Window::load(store).expect("readable");
        self.window.check_against(&loaded, self.meta.stamp_ms);
        if let Some(value) = store.get(&keys::meta()).expect("readable") {
            assert_eq!(Meta::decode(&value), Ok(self.meta), "the group's row");
        }
    }

    /// The stamp of the last entry, milliseconds; 0 before the first. A new leader never stamps below it.
    pub fn last_stamp_ms(&self) -> u64 {
        self.meta.stamp_ms
    }

    /// A hash over every write of every entry so far: equal on all replicas at the same index.
    pub fn state_hash(&self) -> u64 {
        let StateHash(hash) = self.meta.hash;
        hash
    }

    /// Which deliveries of earlier leaders may be claimed.
    pub fn claimable(&self) -> &Claimable {
        &self.claimable
    }

    /// What was settled lately.
    pub fn settled(&self) -> &SettledLately {
        &self.settled
    }

    /// How many namespaces the group has.
    pub fn namespaces_count(&self) -> u64 {
        self.namespaces_count
    }

    /// Counts over the group.
    pub fn totals(&self) -> Totals {
        self.meta.totals
    }
}

/// What can be said of a command without reading anything.
fn check(group: GroupId, command: &Command) -> Result<(), Refusal> {
    let ops = &command.ops;
    if group == GroupId::REGISTRY && ops.iter().any(|op| !matches!(op, Op::Register { .. })) {
        return Err(Refusal::Malformed(Defect::TASK_IN_REGISTRY));
    }
    if ops.len() < 2 {
        return Ok(());
    }
    // Planning reads what the store has, and not what operations before in the command are going to do to it.
    if ops.iter().any(|op| matches!(op, Op::Purge { .. } | Op::PurgeFrom { .. } | Op::LowWater { .. })) {
        return Err(Refusal::Malformed(Defect::PURGE_NOT_ALONE));
    }
    if ops.contains(&Op::DropNamespace) {
        return Err(Refusal::Malformed(Defect::DROP_NOT_ALONE));
    }
    if ops.iter().any(|op| matches!(op, Op::EndClaims { .. })) {
        return Err(Refusal::Malformed(Defect::END_OF_CLAIMS_NOT_ALONE));
    }
    // A sequence is one task's alone.
    let sequences = ops.iter().filter_map(|op| match op {
        Op::Create(create) => (create.sequence != 0).then_some(create.sequence),
        Op::Ack { key, .. } | Op::Retry { key, .. } | Op::GiveBack { key, .. } => Some(key.sequence),
        Op::Update(update) => Some(update.id.sequence),
        Op::Delete { id, .. } => Some(id.sequence),
        Op::Configure(_)
        | Op::LowWater { .. }
        | Op::Purge { .. }
        | Op::PurgeFrom { .. }
        | Op::DropNamespace
        | Op::EndClaims { .. }
        | Op::Register { .. } => None,
    });
    let names = ops.iter().filter_map(|op| if let Op::Register { key, .. } = op { Some(key) } else { None });
    if repeats(sequences) || repeats(names) {
        return Err(Refusal::Malformed(Defect::ROW_TWICE));
    }
    Ok(())
}

fn repeats<T: Ord>(names: impl Iterator<Item = T>) -> bool {
    let mut names: Vec<T> = names.collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}
