//! Structured logs on stderr.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, fmt};

use super::lines::{Lines, WAITING_BYTES_MAX};
use super::sparing::Sparing;
use crate::config::LogFormat;

/// So long a process that ends waits for its last lines to be written.
const LAST_LINES_MAX: Duration = Duration::from_secs(1);

static LINES: OnceLock<Arc<Lines>> = OnceLock::new();

/// Starts to log. Dependencies are quiet: they log warnings and errors only, at either level of ours.
///
/// # Errors
/// The thread that writes cannot be started, or has no file descriptor.
pub fn start(format: LogFormat, debug: bool) -> io::Result<()> {
    let ours = if debug { LevelFilter::DEBUG } else { LevelFilter::INFO };
    // "z4" is the prefix of every crate of ours.
    // It warns of each request that a peer does not answer, in each group, several times a second: links say that once.
    let raft = if debug { LevelFilter::WARN } else { LevelFilter::ERROR };
    let stopped = if debug { LevelFilter::WARN } else { LevelFilter::OFF };
    let filter = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target(z4_shards::raft::LOG_TARGET, raft)
        .with_target(z4_shards::raft::LOG_TARGET_STOPPED, stopped)
        .with_target("z4", ours);
    let json = format == LogFormat::Json;
    // A descriptor of its own: the standard library's lock of stderr would be held while a line waits.
    let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let lines = Lines::start(WAITING_BYTES_MAX, if json { json_gap } else { text_gap }, stderr)?;
    let lines = LINES.get_or_init(|| lines);
    // Who debugs wants every line.
    let writer = if debug { Sparing::nothing(Arc::clone(lines)) } else { Sparing::new(Arc::clone(lines), json) };
    let lines = fmt::layer().with_writer(writer).with_ansi(io::stderr().is_terminal());
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => lines.with_target(debug).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // An error says that the process logs already.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer.with_filter(filter)));
    Ok(())
}

/// Has the last lines written, before the process ends: a second is waited for who reads them, at most.
pub fn flush() {
    if let Some(lines) = LINES.get() {
        lines.flush(LAST_LINES_MAX);
    }
}

fn text_gap(lines: u64) -> String {
    format!("{lines} lines are missing here: they could not be written in time\n")
}

fn json_gap(lines: u64) -> String {
    let message = "lines are missing here: they could not be written in time";
    format!("{}\n", serde_json::json!({ "message": message, "lines": lines }))
}
