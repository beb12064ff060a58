//! Where the queue of a partition is emptied to.

use std::sync::OnceLock;

use super::tree::Tree;
use crate::partition::error::Place;

/// Where a queue is emptied to, once that is known.
#[derive(Default)]
pub(crate) struct Target(pub(super) OnceLock<(Tree, Place)>);
