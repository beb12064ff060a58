//! The table `tasks`: the rule that bounds it, key ranges read in the order that is wanted, and values of what is used alone.

mod bounds;
pub mod chunk;
mod explain;
mod feed;
mod filter;
mod metadata;
mod plan;
mod rule;
mod scan;
mod segments;

use rusqlite::vtab::IndexInfo;

pub use plan::Plan;
pub use rule::{Reading, Seen};

use super::bridge::Source;
use super::declaration;
use crate::sql::catalog;
use crate::sql::error::SqlError;

/// The table.
#[derive(Clone)]
pub struct Tasks;

impl Source for Tasks {
    type Scan = scan::TaskScan;

    fn declaration(&self) -> String {
        declaration(&catalog::TASKS)
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool, SqlError> {
        rule::best_index(info)
    }

    fn open(&self) -> Result<Self::Scan, SqlError> {
        Ok(scan::TaskScan::default())
    }
}
