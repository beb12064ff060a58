//! Lines that others can cause, on whatever port, do not fill the disk: a long one is cut, and each place in the code that logs has so many
//! bytes to spend, which come back slowly. What is left out is counted in the next line of that place.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tracing::Metadata;
use tracing::callsite::Identifier;
use tracing_subscriber::fmt::MakeWriter;
use z4_shards::runtime::clock;

/// A line is cut after so many bytes.
const LINE_BYTES_MAX: usize = 4 << 10;

/// What one place may log at once, bytes: a line for each of a few thousand groups.
const BURST_BYTES: u64 = 512 << 10;

/// What it may log in the long run, bytes per second: some 40 MB a day.
const BYTES_PER_SECOND: u64 = 512;

/// Writes lines to stderr, or wherever `open` says, sparingly.
pub struct Sparing<O> {
    open: O,
    json: bool,
    /// Held for a few additions; the stream's own lock is held longer.
    purses: Mutex<HashMap<Identifier, Purse>>,
}

/// What one place has to spend.
struct Purse {
    bytes: u64,
    filled: Instant,
    left_out: u64,
}

/// The writer of one line.
pub struct Line<'a, O> {
    of: &'a Sparing<O>,
    place: Option<Identifier>,
}

impl<O> Sparing<O> {
    /// `json`: the lines are JSON objects, and stay such when they are cut.
    pub fn new(open: O, json: bool) -> Self {
        Sparing { open, json, purses: Mutex::default() }
    }

    /// Pays for a line; `Some`: it may be written, and so many were left out before.
    fn pay(&self, place: Identifier, bytes: usize, now: Instant) -> Option<u64> {
        let mut purses = self.purses.lock().unwrap_or_else(PoisonError::into_inner);
        let purse = purses.entry(place).or_insert(Purse { bytes: BURST_BYTES, filled: now, left_out: 0 });
        let seconds = now.duration_since(purse.filled).as_secs();
        if seconds > 0 {
            purse.bytes = purse.bytes.saturating_add(seconds.saturating_mul(BYTES_PER_SECOND)).min(BURST_BYTES);
            purse.filled = now;
        }
        match purse.bytes.checked_sub(bytes as u64) {
            Some(rest) => {
                purse.bytes = rest;
                Some(std::mem::take(&mut purse.left_out))
            }
            None => {
                purse.left_out += 1;
                None
            }
        }
    }

    /// The line as it is written.
    fn cut(&self, line: &[u8]) -> Vec<u8> {
        if line.len() <= LINE_BYTES_MAX {
            return line.to_vec();
        }
        let text = String::from_utf8_lossy(&line[..LINE_BYTES_MAX]);
        let begins = text.trim_end_matches(['\u{fffd}', '\n']);
        match self.json {
            true => {
                format!("{}\n", serde_json::json!({ "message": "a long line was cut", "bytes": line.len(), "begins": begins }))
            }
            false => format!("{begins}... ({} bytes)\n", line.len()),
        }
        .into_bytes()
    }

    fn left_out(&self, lines: u64) -> String {
        match self.json {
            true => format!("{}\n", serde_json::json!({ "message": "lines like the next one were left out", "lines": lines })),
            false => format!("{lines} lines like the next one were left out\n"),
        }
    }
}

impl<'a, W: Write, O: Fn() -> W + 'a> MakeWriter<'a> for Sparing<O> {
    type Writer = Line<'a, O>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { of: self, place: None }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Self::Writer {
        Line { of: self, place: Some(meta.callsite()) }
    }
}

impl<W: Write, O: Fn() -> W> Write for Line<'_, O> {
    /// A line comes in one call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut out = self.of.cut(line);
        if let Some(place) = self.place.clone() {
            match self.of.pay(place, out.len(), clock::monotonic()) {
                Some(0) => {}
                Some(left_out) => out = [self.of.left_out(left_out).into_bytes(), out].concat(),
                None => return Ok(line.len()),
            }
        }
        (self.of.open)().write_all(&out)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        (self.of.open)().flush()
    }
}

#[cfg(test)]
mod tests {
    //! A stranger who can make a peer write a line must not be able to fill its disk with lines.
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("one thread").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(json: bool, log: impl FnOnce()) -> String {
        let sink = Sink::default();
        let open = {
            let sink = sink.clone();
            move || sink.clone()
        };
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Sparing::new(open, json));
        let layer: Box<dyn tracing_subscriber::Layer<_> + Send + Sync> =
            if json { Box::new(lines.json()) } else { Box::new(lines) };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let bytes = sink.0.lock().expect("one thread").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_flood_of_long_names_leaves_little_behind_and_others_are_heard() {
        let name = "ä".repeat(30_000);
        let text = logged(false, || {
            for _ in 0..1_000 {
                tracing::warn!(from = name, "refused a link");
            }
            tracing::warn!("something else");
        });
        let (lines, bytes) = (text.lines().count(), text.len() as u64);
        assert!(bytes <= BURST_BYTES + 10_000 && lines > 50, "{lines} lines, {bytes} bytes");
        assert!(text.lines().all(|line| line.len() < LINE_BYTES_MAX + 100));
        assert!(text.contains("something else"));
    }

    #[test]
    fn a_cut_line_is_still_json() {
        let name = "\"\n".repeat(10_000);
        let text = logged(true, || tracing::warn!(from = name, "refused a link"));
        let line: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(line["message"], "a long line was cut");
    }

    #[test]
    fn what_was_left_out_is_counted_once_there_is_room() {
        let sparing = Sparing::new(io::sink, false);
        tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            let span = tracing::info_span!("a place");
            let place = span.metadata().expect("enabled").callsite();
            let start = clock::monotonic();
            assert_eq!(sparing.pay(place.clone(), BURST_BYTES as usize, start), Some(0));
            assert_eq!(sparing.pay(place.clone(), 100, start), None);
            assert_eq!(sparing.pay(place.clone(), 100, start), None);
            assert_eq!(sparing.pay(place.clone(), 100, start + Duration::from_secs(1)), Some(2));
            assert_eq!(sparing.pay(place, 100, start + Duration::from_secs(2)), Some(0));
        });
    }
}
