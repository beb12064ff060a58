//! What comes back of a command: what each operation did, or why nothing happened.

use super::defect::Defect;
use super::op::PurgeCursor;
use crate::ids::{Namespace, TaskId};
use crate::rows::namespace::NamespaceRow;
use crate::rows::task::TaskRow;
use crate::settings::SettingError;

/// A command's answer: one [`OpReply`] per operation, or the reason why nothing happened.
pub type Reply = Result<Vec<OpReply>, Refusal>;

/// What an operation did.
#[derive(Clone, Debug, PartialEq)]
pub enum OpReply {
    /// The task exists.
    Created(Created),
    /// The row is gone.
    Acked,
    /// The attempt was counted.
    Retried {
        /// The attempts were used up.
        dead: bool,
    },
    /// The task is due again as it was.
    GivenBack,
    /// It is known which earlier deliveries go on.
    ClaimsEnded,
    /// The task as it is now.
    Updated(TaskRow),
    /// The task is gone.
    Deleted,
    /// The namespace as it is now.
    Configured(Box<NamespaceRow>),
    /// The mark was set (it never goes past a live row).
    LowWater,
    /// So many rows went.
    Purged {
        /// Less than the limit means that nothing is left.
        removed: u32,
    },
    /// The registry row was set.
    Registered,
    /// So many rows went.
    PurgedTo {
        /// How many.
        removed: u32,
        /// Where to go on; `None`: the end was reached.
        next: Option<PurgeCursor>,
        /// Tasks that are in the namespace by its counts: behind the cursor, when the end was reached.
        left: u64,
    },
    /// The namespace is not there.
    NamespaceDropped {
        /// It was before.
        existed: bool,
    },
}

/// What became of tasks, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Acknowledged.
    pub acked: u64,
    /// Attempts that ended without an ack: nacks, leases that were over, consumers that went.
    pub nacked: u64,
    /// Tasks whose last attempt that was.
    pub dead: u64,
    /// Deleted and purged.
    pub removed: u64,
    /// Given back.
    pub given_back: u64,
}

impl Tally {
    /// With one more answer.
    pub fn and(mut self, reply: &OpReply) -> Self {
        match reply {
            OpReply::Acked => self.acked += 1,
            OpReply::Retried { dead } => {
                self.nacked += 1;
                self.dead += u64::from(*dead);
            }
            OpReply::Deleted => self.removed += 1,
            OpReply::GivenBack => self.given_back += 1,
            OpReply::Purged { removed } | OpReply::PurgedTo { removed, .. } => self.removed += u64::from(*removed),
            OpReply::Created(_)
            | OpReply::ClaimsEnded
            | OpReply::Updated(_)
            | OpReply::Configured(_)
            | OpReply::LowWater
            | OpReply::Registered
            | OpReply::NamespaceDropped { .. } => {}
        }
        self
    }
}

/// A create's answer. With the request's own metadata and payload it makes the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its name.
    pub id: TaskId,
    /// When it was created: the entry's time.
    pub created_ms: u64,
    /// The request id was seen before: `id` is the earlier task's, which may have changed or gone since.
    pub duplicate: bool,
}

/// Why a command was not done. Nothing of it happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such task.
    #[error("task {id} is not in namespace {namespace}: it was acknowledged, deleted or never existed")]
    NotFound {
        /// Where it was looked for.
        namespace: Namespace,
        /// Its id as far as the command told.
        id: TaskId,
    },
    /// A compare-and-set precondition failed.
    #[error("task {id} has version {found}, expected_version is {expected}")]
    VersionMismatch {
        /// The task.
        id: TaskId,
        /// What the command asked for.
        expected: u32,
        /// What the task has.
        found: u32,
    },
    /// A namespace that is to be removed has tasks.
    #[error("namespace {namespace} is not empty: it has {live} live and {dead} dead tasks; purge it first")]
    NotEmpty {
        /// Which.
        namespace: Namespace,
        /// Tasks that are not dead.
        live: u64,
        /// Dead tasks.
        dead: u64,
    },
    /// A registry row is not what the command expects: it is there already, or somebody changed it.
    #[error("the registry row is not what the command expects: it exists already, or somebody changed it")]
    Exists,
    /// A setting outside its range.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The entry was written by a newer z4 than this one, or names a task twice.
    #[error("malformed command: {0}")]
    Malformed(Defect),
}
