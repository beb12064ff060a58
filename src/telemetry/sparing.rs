//! Lines that others can cause, on whatever port, do not fill the disk: a long one is cut, and each place in the code that logs has so many
//! bytes to spend, which come back slowly. What is left out is counted in the next line of that place.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;
use z4_shards::runtime::clock;

use super::lines::Lines;

/// A line is cut after so many bytes.
const LINE_BYTES_MAX: usize = 4 << 10;

/// What one place may log at once, bytes: a line for each of a few thousand groups.
const BURST_BYTES: u64 = 512 << 10;

/// What it may log in the long run, bytes per second: some 40 MB a day.
const BYTES_PER_SECOND: u64 = 512;

/// Where lines go.
pub trait Sink {
    /// Takes text that counts as so many lines, and does not wait.
    fn put(&self, text: Vec<u8>, lines: u64, is_error: bool);
}

impl Sink for Arc<Lines> {
    fn put(&self, text: Vec<u8>, lines: u64, is_error: bool) {
        Lines::put(self, text, lines, is_error);
    }
}

/// Hands lines on, sparingly.
pub struct Sparing<S> {
    to: S,
    json: bool,
    /// `false`: every line, and whole.
    spares: bool,
    /// Held for a few additions.
    purses: Mutex<HashMap<Identifier, Purse>>,
}

/// What one place has to spend.
struct Purse {
    bytes: u64,
    filled: Instant,
    left_out: u64,
}

/// The writer of one line.
pub struct Line<'a, S> {
    of: &'a Sparing<S>,
    place: Option<Identifier>,
    is_error: bool,
}

impl<S> Sparing<S> {
    /// `json`: the lines are JSON objects, and stay such when they are cut.
    pub fn new(to: S, json: bool) -> Self {
        Sparing { to, json, spares: true, purses: Mutex::default() }
    }

    /// Spares nothing: every line is handed on whole.
    pub fn nothing(to: S) -> Self {
        Sparing { to, json: false, spares: false, purses: Mutex::default() }
    }

    /// Pays for a line; `Some`: it may be written, and so many were left out before.
    fn pay(&self, place: Identifier, bytes: usize, now: Instant) -> Option<u64> {
        let mut purses = self.purses.lock().unwrap_or_else(PoisonError::into_inner);
        let purse = purses.entry(place).or_insert(Purse { bytes: BURST_BYTES, filled: now, left_out: 0 });
        let seconds = now.duration_since(purse.filled).as_secs();
        if seconds > 0 {
            purse.bytes = purse.bytes.saturating_add(seconds.saturating_mul(BYTES_PER_SECOND)).min(BURST_BYTES);
            // What is left of a second counts the next time.
            purse.filled += Duration::from_secs(seconds);
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

impl<'a, S: Sink + 'a> MakeWriter<'a> for Sparing<S> {
    type Writer = Line<'a, S>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { of: self, place: None, is_error: false }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Self::Writer {
        Line { of: self, place: Some(meta.callsite()), is_error: *meta.level() == Level::ERROR }
    }
}

impl<S: Sink> Write for Line<'_, S> {
    /// A line comes in one call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let place = self.place.clone().filter(|_| self.of.spares);
        let mut out = if self.of.spares { self.of.cut(line) } else { line.to_vec() };
        let mut lines = 1;
        if let Some(place) = place {
            match self.of.pay(place, out.len(), clock::monotonic()) {
                Some(0) => {}
                Some(left_out) => {
                    out = [self.of.left_out(left_out).into_bytes(), out].concat();
                    lines += left_out;
                }
                None => return Ok(line.len()),
            }
        }
        self.of.to.put(out, lines, self.is_error);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    //! A stranger who can make a peer write a line must not be able to fill its disk with lines.
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Sink for Kept {
        fn put(&self, text: Vec<u8>, _: u64, _: bool) {
            self.0.lock().expect("one thread").extend(text);
        }
    }

    fn logged(json: bool, log: impl FnOnce()) -> String {
        let kept = Kept::default();
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Sparing::new(kept.clone(), json));
        let layer: Box<dyn tracing_subscriber::Layer<_> + Send + Sync> =
            if json { Box::new(lines.json()) } else { Box::new(lines) };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let bytes = kept.0.lock().expect("one thread").clone();
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
        let sparing = Sparing::new(Kept::default(), false);
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

    #[test]
    fn a_place_that_logs_now_and_then_has_what_the_time_is_worth() {
        let sparing = Sparing::new(Kept::default(), false);
        tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            let span = tracing::info_span!("a place");
            let place = span.metadata().expect("enabled").callsite();
            let start = clock::monotonic();
            assert_eq!(sparing.pay(place.clone(), BURST_BYTES as usize, start), Some(0));
            let (each, lines) = (BYTES_PER_SECOND as usize * 19 / 10, 100);
            let paid = (1..=lines).map(|n| sparing.pay(place.clone(), each, start + Duration::from_millis(1_900) * n));
            let written = paid.flatten().count();
            assert!(written >= 98, "{written} of {lines}: each time there is enough for one, but at the beginning");
        });
    }
}
