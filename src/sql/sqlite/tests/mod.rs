//! Queries over rows in memory.
