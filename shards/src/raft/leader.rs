//! Who leads the group, and how far a reader must wait.

use openraft::async_runtime::WatchReceiver;
use openraft::errors::RaftError;
use openraft::raft::ReadPolicy;
use z4_model::ids::PeerNumber;

use super::replica::{ProposeError, Replica};
use crate::runtime::executor;

/// Who leads a group, as one of its replicas knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leader {
    /// Nobody: an election is under way, or the replica has heard of none.
    pub peer: Option<PeerNumber>,
    /// The term in which it leads.
    pub term: u64,
}

impl Replica {
    /// Calls `on_change` with who leads now, and whenever that changes, for as long as the replica lives. A leader that is dead is
    /// named until the next election begins.
    pub fn watch_leader(&self, on_change: impl Fn(Leader) + 'static) {
        let mut metrics = self.raft.server_metrics();
        executor::spawn(async move {
            let mut last = None;
            loop {
                let now = {
                    let m = metrics.borrow_watched();
                    Leader { peer: m.current_leader, term: m.vote.leader_id.term }
                };
                if last.replace(now) != Some(now) {
                    on_change(now);
                }
                if metrics.changed().await.is_err() {
                    return;
                }
            }
        });
    }

    /// The index that a read must have applied to see everything that was committed before this call, on whichever replica it
    /// happens. This replica is the leader, confirmed by a quorum.
    ///
    /// # Errors
    /// It is not, or no quorum answered in time.
    pub async fn read_index(&self) -> Result<u64, ProposeError> {
        match self.raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
            Ok(linearizer) => Ok(linearizer.read_log_id().log_id().index),
            Err(RaftError::APIError(_)) => Err(ProposeError::NotLeader { leader: self.status().leader }),
            Err(RaftError::Fatal(e)) => Err(ProposeError::Stopped(e.to_string())),
        }
    }

    /// Waits until this replica has applied the entry at `index`. `false`: it has stopped before.
    #[must_use = "a replica that has stopped has not applied it"]
    pub async fn applied(&self, index: u64) -> bool {
        let mut metrics = self.raft.data_metrics();
        while metrics.borrow_watched().last_applied.is_none_or(|applied| applied.index < index) {
            if metrics.changed().await.is_err() {
                return metrics.borrow_watched().last_applied.is_some_and(|applied| applied.index >= index);
            }
        }
        true
    }
}
