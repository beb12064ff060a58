//! Structured logs on stderr.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, fmt};

use super::sparing::Sparing;
use crate::config::LogFormat;

/// Starts to log. Dependencies are quiet: they log warnings and errors only, at either level of ours.
pub fn start(format: LogFormat, debug: bool) {
    let ours = if debug { LevelFilter::DEBUG } else { LevelFilter::INFO };
    // "z4" is the prefix of every crate of ours.
    // It warns of each request that a peer does not answer, in each group, several times a second: links say that once.
    let raft = if debug { LevelFilter::WARN } else { LevelFilter::ERROR };
    let filter =
        Targets::new().with_default(LevelFilter::WARN).with_target(z4_shards::raft::LOG_TARGET, raft).with_target("z4", ours);
    // Who debugs wants every line.
    let json = format == LogFormat::Json;
    let writer =
        if debug { BoxMakeWriter::new(std::io::stderr) } else { BoxMakeWriter::new(Sparing::new(std::io::stderr, json)) };
    let lines = fmt::layer().with_writer(writer).with_ansi(std::io::stderr().is_terminal());
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => lines.with_target(debug).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // An error says that the process logs already.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer.with_filter(filter)));
}
