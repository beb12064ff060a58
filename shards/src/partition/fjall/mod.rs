//! The tree of a partition as fjall keeps it: the only place that names fjall.

mod audit;
pub(super) mod files;
mod tree;

pub(super) use audit::{Journals, audit_journals};
#[cfg(test)]
pub(crate) use tree::SyncGate;
pub(super) use tree::{Result, Rows, Snapshot, Sorted, Tree};
