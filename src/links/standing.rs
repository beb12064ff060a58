//! Where this peer stands: in no cluster yet, or a member of one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;

use super::identity::Identity;

/// Shared by everything that asks who this peer is.
#[derive(Debug, Default)]
pub struct Standing {
    identity: ArcSwapOption<Identity>,
    is_open: AtomicBool,
}

impl Standing {
    /// Who this peer is; `None`: it waits to be added to a cluster.
    pub fn identity(&self) -> Option<Arc<Identity>> {
        self.identity.load_full()
    }

    /// From now on it is this one.
    pub fn become_member(&self, identity: Identity) {
        self.identity.store(Some(Arc::new(identity)));
    }

    /// Its groups are open: it knows what its registry says.
    pub fn open(&self) {
        self.is_open.store(true, Ordering::Release);
    }

    /// See [`Standing::open`].
    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }
}
