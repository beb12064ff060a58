//! openraft's own suite for storages, on our raft log and our partition: a store that breaks one of its rules loses entries or
//! memberships in ways that no test of ours would think of.

use std::rc::Rc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use z4_model::ids::GroupId;

use super::log_store::LogStore;
use super::state_machine::GroupStateMachine;
use super::types::TypeConfig;
use crate::log::{Log, LogOptions};
use crate::partition::{Partition, PartitionOptions};
use crate::runtime::ExecutorRuntime;
use crate::storage::Storage;

const GROUP: GroupId = GroupId(1);

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, GroupStateMachine, tempfile::TempDir> for Builder {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, GroupStateMachine), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().expect("temporary directory");
        let options = LogOptions { segment_bytes: 1 << 20, ..LogOptions::default() };
        let log = Log::open(dir.path().join("log"), options).await.expect("log");
        let storage = Storage::start("suite").expect("storage thread");
        let base = dir.path().join("group");
        let opened = storage.call(move |partitions| {
            let partition = Partition::open_current(&base, GROUP, &PartitionOptions::default()).expect("partition");
            partitions.insert(GROUP, partition);
        });
        opened.await.expect("opened");
        let machine = GroupStateMachine::new(GROUP, storage, Rc::new(|_| {}));
        Ok((dir, LogStore::new(log.group(GROUP)), machine))
    }
}

#[test]
fn passes_openrafts_storage_suite() {
    use openraft::AsyncRuntime;
    ExecutorRuntime::run(Suite::test_all(Builder)).expect("every case of the suite");
}
