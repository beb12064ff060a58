//! A replica whose partition is damaged gets another one's rows. Its log and its vote are whole: it stays the voter that it is, takes
//! entries and applies them, while a snapshot comes that openraft knows nothing of. What was applied here since the snapshot was taken
//! is applied to the new partition from the log, and then that takes the damaged one's place between two applies.

use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::storage::RaftStateMachine;
use z4_model::ids::PeerNumber;
use z4_model::log::LogEntry;
use z4_proto::peer::{Failure, Rebuild};

use super::replica::Replica;
use super::snapshot_send;
use super::state_machine::GroupStateMachine;
use crate::link::Body;
use crate::log::GroupLog;
use crate::partition::Prepared;
use crate::runtime::executor;

/// Asking for a snapshot takes no longer.
const ASK_MAX: Duration = Duration::from_secs(10);

/// Entries that are read from the log and applied at a time, bytes.
const PIECE_BYTES: usize = 4 << 20;

/// How often it is looked whether a transfer is still under way.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// After so many looks without a transfer none will come.
const LOOKS_MAX: u32 = 50;

/// Why a partition was not rebuilt: try again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RebuildError(String);

fn failed(error: impl ToString) -> RebuildError {
    RebuildError(error.to_string())
}

impl Replica {
    /// Sends what this replica has applied to another one that asked for it; returns when it is installed there.
    ///
    /// # Errors
    /// It is not, or nobody knows.
    pub async fn send_rebuild(&self, to: PeerNumber) -> Result<(), RebuildError> {
        let vote = self.raft.metrics().borrow_watched().vote;
        let snapshot = self.machine.clone().get_current_snapshot().await.map_err(failed)?;
        let snapshot = snapshot.ok_or_else(|| failed("nothing is applied here"))?;
        snapshot_send::send_rebuild(&self.receiver.links, (to, self.group), vote, snapshot).await.map_err(failed)
    }

    /// Has another replica's rows take the place of the damaged ones. Entries go on to be applied meanwhile; the log must not be trimmed.
    ///
    /// # Errors
    /// Nothing has changed.
    pub async fn rebuild_from(&self, peer: PeerNumber) -> Result<(), RebuildError> {
        let rebuilt = self.receiver.want();
        match self.receiver.links.ask(peer, self.group, Body::Rebuild(Rebuild {}), ASK_MAX).await {
            Ok(Body::Done(_)) => {}
            Ok(Body::Failure(Failure { text, .. })) => return Err(RebuildError(text)),
            Ok(_) => return Err(failed("the answer is of another kind than the request")),
            Err(error) => return Err(failed(error)),
        }
        let mut looks = 0;
        while looks < LOOKS_MAX {
            executor::sleep(LOOK_AGAIN).await;
            if rebuilt.is_done() {
                return Ok(());
            }
            looks = if self.receiver.is_receiving() { 0 } else { looks + 1 };
        }
        Err(failed("no snapshot came, or it could not be used"))
    }
}

impl Replica {
    pub(super) async fn replace(&self, prepared: Prepared) -> Result<(), RebuildError> {
        replace(&self.machine, &self.log, prepared).await
    }
}

/// Lets what another replica had applied take the place of the partition here, with everything that was applied here since.
async fn replace(machine: &GroupStateMachine, log: &GroupLog, mut prepared: Prepared) -> Result<(), RebuildError> {
    // The bulk of it beside applies, what is left between two of them.
    loop {
        let missing = missing(machine, &prepared).await?;
        if missing <= 64 {
            break;
        }
        prepared = catch_up(log, prepared, missing).await?;
    }
    let alone = machine.alone().await;
    loop {
        let missing = missing(machine, &prepared).await?;
        if missing == 0 {
            break;
        }
        prepared = catch_up(log, prepared, missing).await?;
    }
    machine.adopt(prepared).await.map_err(failed)?;
    drop(alone);
    Ok(())
}

/// How many entries the partition here has applied and the other one has not.
async fn missing(machine: &GroupStateMachine, prepared: &Prepared) -> Result<u64, RebuildError> {
    let here = machine.applied().await.map_err(failed)?.map_or(0, |position| position.index + 1);
    Ok(here.saturating_sub(next(prepared)))
}

fn next(prepared: &Prepared) -> u64 {
    prepared.applied().map_or(0, |position| position.index + 1)
}

async fn catch_up(log: &GroupLog, mut prepared: Prepared, missing: u64) -> Result<Prepared, RebuildError> {
    let from = next(&prepared);
    let entries: Vec<LogEntry> = log.read(from..from + missing, PIECE_BYTES).await.map_err(failed)?;
    if entries.first().map(|entry| entry.position.index) != Some(from) {
        return Err(RebuildError(format!("entry {from} of the raft log is not there any more")));
    }
    let applied = executor::run_blocking(move || prepared.apply(&entries).map(|()| prepared)).await;
    applied.map_err(failed)?.map_err(failed)
}
