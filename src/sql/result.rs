//! Rows on their way from SQLite to the client.

use super::context::Warning;
use super::error::SqlError;

/// One value of a row; bytes are in the batch's arena.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell {
    /// NULL.
    Null,
    /// INTEGER.
    Int(i64),
    /// REAL.
    Double(f64),
    /// TEXT or BLOB: `arena[from..until]`.
    Bytes {
        /// Where it starts.
        from: u32,
        /// Where it ends.
        until: u32,
    },
}

/// Some rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Row after row, each with as many cells as the query has columns.
    pub cells: Vec<Cell>,
    /// The bytes of texts and blobs.
    pub arena: Vec<u8>,
}

impl Batch {
    /// Adds bytes to the arena.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        let from = self.arena.len() as u32;
        self.arena.extend_from_slice(bytes);
        self.cells.push(Cell::Bytes { from, until: self.arena.len() as u32 });
    }

    /// The bytes of a cell.
    pub fn bytes(&self, from: u32, until: u32) -> &[u8] {
        &self.arena[from as usize..until as usize]
    }
}

/// What a running query tells, in order; after `Done` or `Failed` nothing more comes.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Some rows; never none.
    Rows(Batch),
    /// All rows were sent.
    Done {
        /// For SHOW WARNINGS.
        warnings: Vec<Warning>,
        /// For FOUND_ROWS: rows, also those that a window left out.
        found: u64,
    },
    /// It ended early.
    Failed(SqlError),
}
