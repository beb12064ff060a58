//! Group 0's rows: peers, slot table, settings of the cluster.

use crate::ids::Namespace;

/// The namespace under which registry commands travel.
pub fn namespace() -> Namespace {
    unimplemented!()
}
