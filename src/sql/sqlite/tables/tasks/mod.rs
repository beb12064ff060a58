//! The table `tasks`: the rule that bounds it, key ranges read in the order that is wanted, and values of what is used alone.

mod bounds;
pub mod chunk;
mod explain;
mod feed;
mod filter;
mod look;
mod metadata;
mod plan;
mod rule;
mod scan;
mod segments;
mod unbounded;

use rusqlite::vtab::IndexInfo;

pub use plan::Plan;
pub use rule::{Reading, Seen};

use super::bridge::Source;
use super::declaration;
use crate::sql::catalog;
use crate::sql::error::SqlError;

/// How far a reference to the table reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// The rule bounds it.
    #[default]
    Bounded,
    /// A look: the first rows of all, few, whatever is asked of it.
    Look,
    /// All rows, where there are few.
    Whole,
}

/// The table.
#[derive(Clone)]
pub struct Tasks {
    /// How far it reaches.
    pub reach: Reach,
}

impl Source for Tasks {
    type Scan = scan::TaskScan;

    fn declaration(&self) -> String {
        declaration(&catalog::TASKS)
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool, SqlError> {
        match self.reach {
            Reach::Bounded => rule::best_index(info),
            Reach::Look | Reach::Whole => look::best_index(info, self.reach),
        }
    }

    fn open(&self) -> Result<Self::Scan, SqlError> {
        Ok(scan::TaskScan::new(self.reach))
    }
}
