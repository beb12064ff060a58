//! Replicas apply the same entries, but in runs of their own and with restarts of their own. Were their states to differ, a failover
//! would change the past, and comparing state hashes across peers would cry wolf.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::actions::plots;
use super::model_test::write;
use crate::ids::GroupId;
use crate::machine::testing::MemoryStore;
use crate::machine::{Machine, Store, StoreError};

const GROUP: GroupId = GroupId(3);

/// The writes of a run of entries over what was there before it.
struct Run<'a> {
    below: &'a mut MemoryStore,
    changes: BTreeMap<Bytes, Option<Bytes>>,
}

impl Run<'_> {
    fn commit(self) {
        for (key, change) in self.changes {
            match change {
                Some(value) => self.below.put(key, value),
                None => self.below.delete(key, false),
            }
        }
    }
}

impl Store for Run<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.clone()),
            None => self.below.get(key),
        }
    }

    fn put(&mut self, key: Bytes, value: Bytes) {
        self.changes.insert(key, Some(value));
    }

    fn delete(&mut self, key: Bytes, _weak: bool) {
        self.changes.insert(key, None);
    }

    fn scan(&mut self, from: &[u8], until: &[u8], limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let mut rows: BTreeMap<Bytes, Bytes> = self.below.scan(from, until, usize::MAX)?.into_iter().collect();
        for (key, change) in self.changes.iter().filter(|(key, _)| from <= &key[..] && &key[..] < until) {
            match change {
                Some(value) => rows.insert(key.clone(), value.clone()),
                None => rows.remove(key),
            };
        }
        Ok(rows.into_iter().take(limit).collect())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..Default::default() })]

    #[test]
    fn runs_and_restarts_change_nothing(plots in plots(), ends in proptest::collection::vec((any::<bool>(), any::<bool>()), 25)) {
        let mut entries = Vec::new();
        write(&plots, |_, index, bytes, _| entries.push((index, bytes)));

        // One replica: every entry a run of its own, never restarted.
        let mut store = MemoryStore::new();
        let mut machine = Machine::load(GROUP, &mut store).expect("empty");
        let mut hashes = Vec::new();
        for (index, bytes) in &entries {
            machine.apply(&mut store, *index, bytes).expect("applies");
            machine.check(&mut store);
            hashes.push(machine.state_hash());
        }

        // Another: random runs, and after some of them a restart.
        let mut other = MemoryStore::new();
        let mut machine = Machine::load(GROUP, &mut other).expect("empty");
        let mut run = Run { below: &mut other, changes: BTreeMap::new() };
        for (i, (index, bytes)) in entries.iter().enumerate() {
            machine.apply(&mut run, *index, bytes).expect("applies");
            machine.check(&mut run);
            prop_assert_eq!(machine.state_hash(), hashes[i]);
            let (ends, restarts) = ends[i];
            if ends {
                run.commit();
                if restarts {
                    machine = Machine::load(GROUP, &mut other).expect("loads");
                    prop_assert_eq!(machine.state_hash(), hashes[i]);
                }
                run = Run { below: &mut other, changes: BTreeMap::new() };
            }
        }
        run.commit();
        prop_assert_eq!(other.rows(), store.rows());
    }
}
