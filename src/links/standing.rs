//! Where this peer stands: not in a cluster yet, a member, or removed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;

use super::identity::Identity;

/// Shared by everything that asks who this peer is.
#[derive(Debug, Default)]
pub struct Standing {
    identity: ArcSwapOption<Identity>,
    removed: AtomicBool,
}

impl Standing {
    /// Who this peer is; `None`: it waits to be added to a cluster.
    pub fn identity(&self) -> Option<Arc<Identity>> {
        self.identity.load_full()
    }

    /// Another peer said that this one was removed from the cluster.
    pub fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }

    /// From now on it is this one.
    pub fn become_member(&self, identity: Identity) {
        self.identity.store(Some(Arc::new(identity)));
    }

    /// It was removed; `false`: that was known.
    pub fn set_removed(&self) -> bool {
        !self.removed.swap(true, Ordering::Relaxed)
    }
}
