//! `fsync`: the disk alone.

use std::time::Duration;

use crate::cli::Common;
use crate::error::Result;
use crate::fsync;
use crate::report::Report;

/// Options of `fsync`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Bytes of each write, rounded up to 4 KiB
    #[arg(long, default_value_t = 4_096)]
    pub size: usize,
    /// How long
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,
}

/// Runs it; blocks the thread, for nothing else is going on.
pub fn run(common: &Common, options: &Options) -> Result<Report> {
    let raw = fsync::measure(&common.data, options.size, Duration::from_secs(options.seconds))?;
    Ok(Report {
        name: "fsync",
        setup: format!("write of {} bytes and fdatasync in {}", raw.write_bytes, common.data.display()),
        latencies: vec![("latency", raw.latency)],
        raw: Some(raw),
        ..Report::default()
    })
}
