//! Who logs does not wait for who reads the log: lines go into a bounded queue, and a thread of its own writes them. A reader that stands
//! still, such as a full pipe or a journal that hangs, costs lines, which are counted, and stops no executor.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Lines that wait to be written, bytes.
pub const WAITING_BYTES_MAX: usize = 4 << 20;

/// Errors may take so much more, bytes: the last one says why the process ends.
const ERRORS_BYTES_MAX: usize = 64 << 10;

/// A stream that takes nothing and does not let its writer wait, either, is tried again after this.
const TRY_AGAIN: Duration = Duration::from_millis(10);

/// What is to be written.
enum Entry {
    /// Text that counts as so many lines.
    Text { text: Vec<u8>, lines: u64 },
    /// So many lines are missing here.
    Gap(u64),
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    /// Of the entries, and of the one that is being written.
    bytes: usize,
    left_out: u64,
    /// The last line could not be written: the gap is told with the next one.
    failed: bool,
    /// The thread has nothing to do.
    idle: bool,
}

/// The lines between those who log and the thread that writes.
pub struct Lines {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
    bytes_max: usize,
    /// How a gap of so many lines is told.
    gap: fn(u64) -> String,
}

impl Lines {
    /// Starts the thread that writes. At most `bytes_max` bytes wait for it.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(bytes_max: usize, gap: fn(u64) -> String, to: impl Write + Send + 'static) -> io::Result<Arc<Lines>> {
        let (filled, emptied) = (Condvar::new(), Condvar::new());
        let lines = Arc::new(Lines { state: Mutex::default(), filled, emptied, bytes_max, gap });
        let writing = Arc::clone(&lines);
        thread::Builder::new().name("z4-log".into()).spawn(move || writing.write_to(to))?;
        Ok(lines)
    }

    /// Queues text that counts as so many lines, or leaves it out. Waits for nobody who writes.
    pub fn put(&self, text: Vec<u8>, lines: u64, is_error: bool) {
        let mut state = self.lock();
        let max = match state.left_out {
            _ if is_error => self.bytes_max + ERRORS_BYTES_MAX,
            0 => self.bytes_max,
            // Not before there is room for many: a gap is told once, not before each line.
            _ => self.bytes_max / 2,
        };
        if state.bytes + text.len() > max {
            state.left_out += lines;
        } else {
            if state.left_out > 0 {
                let gap = Entry::Gap(std::mem::take(&mut state.left_out));
                state.entries.push_back(gap);
            }
            state.bytes += text.len();
            state.entries.push_back(Entry::Text { text, lines });
        }
        drop(state);
        self.filled.notify_one();
    }

    /// Waits until everything is written, for so long at most.
    pub fn flush(&self, wait_max: Duration) {
        let is_busy = |state: &mut State| !state.idle || !state.entries.is_empty();
        drop(self.emptied.wait_timeout_while(self.lock(), wait_max, is_busy));
    }

    /// Writes what comes, for ever.
    fn write_to(&self, mut to: impl Write) {
        loop {
            let (text, bytes, lines) = match self.next() {
                Entry::Text { text, lines } => {
                    let bytes = text.len();
                    (text, bytes, lines)
                }
                Entry::Gap(lines) => ((self.gap)(lines).into_bytes(), 0, lines),
            };
            let written = write_whole(&mut to, &text);
            let mut state = self.lock();
            state.bytes -= bytes;
            state.failed = written.is_err();
            if state.failed {
                state.left_out += lines;
            }
        }
    }

    /// Waits for the next one.
    fn next(&self) -> Entry {
        let mut state = self.lock();
        loop {
            if let Some(entry) = state.entries.pop_front() {
                state.idle = false;
                return entry;
            }
            if state.left_out > 0 && !state.failed {
                state.idle = false;
                return Entry::Gap(std::mem::take(&mut state.left_out));
            }
            state.idle = true;
            self.emptied.notify_all();
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Held for a few additions, never while somebody writes.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_whole(to: &mut impl Write, mut text: &[u8]) -> io::Result<()> {
    while !text.is_empty() {
        match to.write(text) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => text = &text[written..],
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => thread::park_timeout(TRY_AGAIN),
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    //! A log that nobody reads must not stop who logs, and must not lose what fits, nor hide that something is missing.
    use super::*;

    #[derive(Default)]
    struct Written {
        text: Vec<u8>,
        stands_still: bool,
        fails: bool,
    }

    /// A stream whose reader can stand still, and whose disk can be full.
    #[derive(Clone, Default)]
    struct Stream(Arc<(Mutex<Written>, Condvar)>);

    impl Stream {
        fn set(&self, change: impl FnOnce(&mut Written)) {
            change(&mut self.0.0.lock().expect("sound"));
            self.0.1.notify_all();
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.0.lock().expect("sound").text.clone()).expect("text")
        }
    }

    impl Write for Stream {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let written = self.0.0.lock().expect("sound");
            let mut written = self.0.1.wait_while(written, |written| written.stands_still).expect("sound");
            if written.fails {
                return Err(ErrorKind::StorageFull.into());
            }
            // A pipe takes a part, too.
            let some = bytes.len().min(7);
            written.text.extend_from_slice(&bytes[..some]);
            Ok(some)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start(stream: &Stream) -> Arc<Lines> {
        Lines::start(1_000, |lines| format!("{lines} are missing\n"), stream.clone()).expect("a thread")
    }

    /// A line of 100 bytes.
    fn line(n: usize) -> String {
        format!("{n:099}\n")
    }

    fn put(lines: &Lines, numbers: std::ops::Range<usize>, is_error: bool) {
        numbers.for_each(|n| lines.put(line(n).into_bytes(), 1, is_error));
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn who_logs_goes_on_and_what_fits_comes_out_in_order_with_the_number_of_the_others() {
        let stream = Stream::default();
        let lines = start(&stream);
        stream.set(|written| written.stands_still = true);
        put(&lines, 0..50, false);
        // Not for ever, although nobody reads.
        lines.flush(Duration::from_millis(1));
        assert_eq!(stream.text(), "");
        put(&lines, 50..51, true);
        put(&lines, 51..60, false);
        stream.set(|written| written.stands_still = false);
        lines.flush(LONG);
        put(&lines, 60..61, false);
        lines.flush(LONG);
        let fits: String = (0..10).map(line).collect();
        assert_eq!(stream.text(), format!("{fits}40 are missing\n{}9 are missing\n{}", line(50), line(60)));
    }

    #[test]
    fn a_gap_is_told_once_and_not_before_each_line_of_a_slow_reader() {
        let stream = Stream::default();
        let lines = start(&stream);
        stream.set(|written| written.stands_still = true);
        put(&lines, 0..11, false);
        // As if the reader had taken three.
        lines.lock().bytes -= 300;
        put(&lines, 11..13, false);
        lines.lock().bytes -= 300;
        put(&lines, 13..15, false);
        lines.lock().bytes += 600;
        stream.set(|written| written.stands_still = false);
        lines.flush(LONG);
        assert_eq!(stream.text().matches("are missing").count(), 1, "{}", stream.text());
        assert!(stream.text().contains(&format!("3 are missing\n{}", line(13))), "{}", stream.text());
    }

    #[test]
    fn what_could_not_be_written_is_counted_and_told_when_it_can() {
        let stream = Stream::default();
        let lines = start(&stream);
        stream.set(|written| written.fails = true);
        put(&lines, 0..3, false);
        lines.flush(LONG);
        put(&lines, 3..4, false);
        lines.flush(LONG);
        stream.set(|written| written.fails = false);
        put(&lines, 4..5, false);
        lines.flush(LONG);
        assert_eq!(stream.text(), format!("4 are missing\n{}", line(4)));
    }
}
