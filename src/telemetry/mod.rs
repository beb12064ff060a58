//! What z4 tells about itself: logs, metrics, health.

pub mod endpoint;
pub mod health;
mod lines;
pub mod log;
mod proc;
mod sparing;
