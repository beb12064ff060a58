//! A client's socket, at a pace that leaves the executor to others: so much in one turn, so many control frames over time.
//!
//! h2 reads for as long as there is something to read. A client that sends faster than it is read (control frames cost it nothing) would
//! hold the executor for as long as it likes.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use z4_shards::runtime::{clock, net};

/// What one turn of a connection reads, bytes. Then everything else that is ready runs, and the executor looks at its rings.
const TURN_BYTES: usize = 32 << 10;

/// And so many frames: what is done for each does not become less with its size, and the bytes of a turn could be thousands of them.
const TURN_FRAMES: usize = 256;

/// Where frames have fewer bytes than these, mostly, so much is read at a time.
const SMALL_FRAME_BYTES: usize = 64;
const SMALL_FRAMES_READ_BYTES: usize = 2 << 10;

/// A connection whose turn was used up goes on after this.
pub(super) const PAUSE: Duration = Duration::from_micros(20);

/// Control frames that a client may send at once, beyond what its own requests and our answers give reason for.
const CONTROL_FRAMES_BURST: i64 = 10_000;

/// And how many more with each second.
const CONTROL_FRAMES_PER_SECOND: u64 = 1_000;

/// So many bytes of answers are reason enough for one control frame of the client: window updates and pings follow what it receives.
const ANSWER_BYTES_PER_CONTROL_FRAME: usize = 1_024;

/// An HTTP/2 client speaks first: these many bytes.
pub(super) const PREFACE_BYTES: usize = 24;

const HEAD_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

/// What a connection and its socket know of each other.
pub(super) struct Pace {
    /// Bytes that this turn may still read.
    left: Cell<usize>,
    /// Frames that it has read.
    frames: Cell<usize>,
    /// What was read last was small frames.
    small: Cell<bool>,
    used_up: Cell<bool>,
    /// Control frames that the client may still send.
    credit: Cell<i64>,
    refilled: Cell<Instant>,
    /// Bytes of answers that have not become credit yet.
    answered: Cell<usize>,
}

impl Pace {
    fn new() -> Rc<Self> {
        Rc::new(Self {
            left: Cell::new(TURN_BYTES),
            frames: Cell::new(0),
            small: Cell::new(false),
            used_up: Cell::new(false),
            credit: Cell::new(CONTROL_FRAMES_BURST),
            refilled: Cell::new(clock::monotonic()),
            answered: Cell::new(0),
        })
    }

    /// A new turn begins.
    pub(super) fn begin_turn(&self) {
        self.left.set(TURN_BYTES);
        self.frames.set(0);
        self.used_up.set(false);
    }

    /// The turn is over, whatever is left to be read.
    pub(super) fn use_up(&self) {
        self.used_up.set(true);
    }

    /// Something is left to be read in another turn; nobody wakes for it.
    pub(super) fn is_used_up(&self) -> bool {
        self.used_up.get()
    }

    /// The client sent more control frames than any client has reason to.
    pub(super) fn is_flooded(&self) -> bool {
        if self.credit.get() >= 0 {
            return false;
        }
        // The clock is read only now: a client with credit costs nothing.
        let now = clock::monotonic();
        let passed_ms = now.duration_since(self.refilled.replace(now)).as_millis() as u64;
        self.earn((passed_ms.saturating_mul(CONTROL_FRAMES_PER_SECOND) / 1_000) as i64);
        self.credit.get() < 0
    }

    /// So many bytes with so many frames in them were read.
    fn took(&self, bytes: usize, frames: usize) {
        self.small.set(frames * SMALL_FRAME_BYTES > bytes);
        self.frames.set(self.frames.get() + frames);
        let over = self.frames.get() >= TURN_FRAMES;
        self.left.set(if over { 0 } else { self.left.get().saturating_sub(bytes) });
    }

    fn earn(&self, frames: i64) {
        self.credit.set(self.credit.get().saturating_add(frames).min(CONTROL_FRAMES_BURST));
    }

    fn count(&self, frame: u8) {
        match frame {
            DATA | HEADERS => self.earn(2),
            // Part of the headers before it; h2 bounds them.
            CONTINUATION => {}
            _ => self.credit.set(self.credit.get() - 1),
        }
    }

    fn answered(&self, bytes: usize) {
        let bytes = self.answered.get() + bytes;
        self.earn((bytes / ANSWER_BYTES_PER_CONTROL_FRAME) as i64);
        self.answered.set(bytes % ANSWER_BYTES_PER_CONTROL_FRAME);
    }
}

/// Finds the heads of frames in what is read.
struct Frames {
    /// Bytes until the next head.
    skip: usize,
    head: [u8; HEAD_BYTES],
    filled: usize,
}

impl Frames {
    fn scan(&mut self, mut bytes: &[u8], mut found: impl FnMut(u8)) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let part = (HEAD_BYTES - self.filled).min(bytes.len());
            self.head[self.filled..self.filled + part].copy_from_slice(&bytes[..part]);
            self.filled += part;
            bytes = &bytes[part..];
            if self.filled == HEAD_BYTES {
                let [a, b, c, kind, ..] = self.head;
                self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
                self.filled = 0;
                found(kind);
            }
        }
    }
}

/// The socket.
pub(super) struct Paced<S = net::Stream> {
    stream: S,
    pace: Rc<Pace>,
    frames: Frames,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S) -> (Self, Rc<Pace>) {
        let pace = Pace::new();
        let frames = Frames { skip: PREFACE_BYTES, head: [0; HEAD_BYTES], filled: 0 };
        (Self { stream, pace: pace.clone(), frames }, pace)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, pace, frames } = self.get_mut();
        if pace.left.get() == 0 {
            pace.used_up.set(true);
            return Poll::Pending;
        }
        let before = into.filled().len();
        let read = match pace.small.get() {
            false => Pin::new(stream).poll_read(cx, into),
            true => {
                let mut part = ReadBuf::new(into.initialize_unfilled_to(into.remaining().min(SMALL_FRAMES_READ_BYTES)));
                let read = Pin::new(stream).poll_read(cx, &mut part);
                let bytes = part.filled().len();
                into.advance(bytes);
                read
            }
        };
        let new = &into.filled()[before..];
        let mut found = 0;
        frames.scan(new, |kind| {
            found += 1;
            pace.count(kind);
        });
        if !new.is_empty() {
            pace.took(new.len(), found);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, from);
        this.count(written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, from);
        this.count(written)
    }
}

impl<S> Paced<S> {
    /// Answers to pings and settings do not give reason for more of them.
    fn count(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written
            && *bytes >= ANSWER_BYTES_PER_CONTROL_FRAME
        {
            self.pace.answered(*bytes);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    //! Were a head missed, data would be counted as control frames and honest clients cut off; were the turn not bounded, one client would
    //! hold the executor.
    use std::task::Waker;

    use super::*;

    fn frame(kind: u8, payload: usize) -> Vec<u8> {
        let mut frame = (payload as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, 0, 0, 0, 0, 0]);
        frame.resize(HEAD_BYTES + payload, 6);
        frame
    }

    #[test]
    fn heads_are_found_in_pieces_of_any_size() {
        let kinds = [4, 1, 0, 0, 6, 8, 99, 0];
        let sizes = [0, 70, 5, 16_384, 8, 4, 0, 300];
        let mut bytes = vec![b'P'; PREFACE_BYTES];
        kinds.iter().zip(sizes).for_each(|(kind, size)| bytes.extend(frame(*kind, size)));
        for piece in [1, 7, 9, 1_000, bytes.len()] {
            let mut frames = Frames { skip: PREFACE_BYTES, head: [0; HEAD_BYTES], filled: 0 };
            let mut found = Vec::new();
            bytes.chunks(piece).for_each(|part| frames.scan(part, |kind| found.push(kind)));
            assert_eq!(found, kinds, "in pieces of {piece}");
        }
    }

    /// Reads as h2 does, until nothing comes.
    fn turn(paced: &mut Paced<&[u8]>) -> usize {
        let mut total = 0;
        loop {
            let mut piece = [0; 8_192];
            let mut piece = ReadBuf::new(&mut piece);
            match Pin::new(&mut *paced).poll_read(&mut Context::from_waker(Waker::noop()), &mut piece) {
                Poll::Ready(Ok(())) if !piece.filled().is_empty() => total += piece.filled().len(),
                _ => return total,
            }
        }
    }

    /// A turn of nine bytes a frame was three and a half thousand of them.
    #[test]
    fn a_turn_of_small_frames_ends_sooner() {
        let mut bytes = vec![0; PREFACE_BYTES];
        (0..10_000).for_each(|_| bytes.extend(frame(4, 0)));
        let (mut paced, pace) = Paced::new(&bytes[..]);
        // How small they are shows with the first read.
        let first = turn(&mut paced);
        assert!(first <= 8_192 && pace.is_used_up(), "{first}");
        let mut rest = bytes.len() - first;
        while rest > 0 {
            pace.begin_turn();
            let read = turn(&mut paced);
            assert!(0 < read && read <= TURN_FRAMES * HEAD_BYTES + SMALL_FRAMES_READ_BYTES, "{read}");
            rest -= read;
        }
    }

    #[test]
    fn a_turn_ends_although_there_is_more() {
        // Frames of 16 KiB.
        let frames = std::iter::repeat_with(|| frame(0, 16 << 10)).take(20).flatten();
        let bytes: Vec<u8> = vec![0; PREFACE_BYTES].into_iter().chain(frames).take(10 * TURN_BYTES).collect();
        let (mut paced, pace) = Paced::new(&bytes[..]);
        for _ in 0..10 {
            assert_eq!(turn(&mut paced), TURN_BYTES);
            assert!(pace.is_used_up());
            pace.begin_turn();
        }
        assert_eq!((turn(&mut paced), pace.is_used_up()), (0, false), "the end");
    }

    #[test]
    fn control_frames_have_a_budget_and_data_earns_it() {
        let flood = |kinds: &[u8], times: usize| {
            let mut bytes = vec![0; PREFACE_BYTES];
            (0..times).for_each(|_| kinds.iter().for_each(|kind| bytes.extend(frame(*kind, 8))));
            let (mut paced, pace) = Paced::new(&bytes[..]);
            while turn(&mut paced) > 0 {
                pace.begin_turn();
            }
            pace.is_flooded()
        };
        for kind in [2, 3, 4, 6, 8, 77] {
            assert!(flood(&[kind], 100_000), "frames of kind {kind}");
        }
        assert!(!flood(&[0], 100_000), "small messages are no flood");
        assert!(!flood(&[0, 8, 6], 100_000), "nor is a window update and a ping for each");
        assert!(!flood(&[6], 9_000));
    }
}
