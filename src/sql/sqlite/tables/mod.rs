//! The virtual tables.
