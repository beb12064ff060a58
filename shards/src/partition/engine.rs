//! The tree that a partition's rows are in: fjall's, or that of a simulated world.

#[cfg(all(test, not(z4_sim)))]
pub(crate) use super::fjall::SyncGate;
#[cfg(not(z4_sim))]
pub(super) use super::fjall::{Journals, Result, Rows, Snapshot, Sorted, Tree, audit_journals, files};
#[cfg(z4_sim)]
pub(super) use super::simulated::{Journals, Result, Rows, Snapshot, Sorted, Threads, Tree, audit_journals, files};
#[cfg(not(z4_sim))]
pub(super) use super::writer::Threads;
