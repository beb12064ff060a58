//! Chaos.
#[path = "../harness/mod.rs"]
mod harness;

mod checker;
mod history;
