//! Connections between places: bytes arrive in their order or the connection is over, after a time that is drawn. Where the way from one place
//! to another is cut nothing arrives until it is mended, as with packets that are sent again.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::executor;
use super::world::{self, Local, Place, Timer};

/// So many bytes may be on their way on one direction of a connection.
const WINDOW_BYTES: usize = 1 << 20;

/// How often somebody looks whether a way that is cut is mended.
const LOOK: Duration = Duration::from_millis(5);

/// How a way between two places is from now on.
#[derive(Clone, Debug)]
pub struct Way {
    /// The least that bytes take, microseconds.
    pub least_us: u64,
    /// What comes on top, at most.
    pub jitter_us_max: u64,
    /// One piece in so many is lost and sent again, 200 ms later; 0: none.
    pub lost_once_in: u64,
    /// Nothing arrives.
    pub cut: bool,
}

impl Default for Way {
    fn default() -> Self {
        Way { least_us: 50, jitter_us_max: 400, lost_once_in: 0, cut: false }
    }
}

static WAYS: Local<BTreeMap<(Place, Place), Way>> = Local::of_world(BTreeMap::new);

/// Changes the way from one place to another; the way back is another one.
pub fn set_way(from: Place, to: Place, way: Way) {
    WAYS.with_borrow_mut(|ways| ways.insert((from, to), way));
}

/// The way from one place to another.
pub fn way(from: Place, to: Place) -> Way {
    WAYS.with_borrow(|ways| ways.get(&(from, to)).cloned().unwrap_or_default())
}

/// Mends all ways.
pub fn mend() {
    WAYS.with_borrow_mut(BTreeMap::clear);
}

/// One direction of a connection.
struct Wire {
    from: Place,
    to: Place,
    state: RefCell<WireState>,
}

#[derive(Default)]
struct WireState {
    flying: VecDeque<(u64, Bytes)>,
    bytes: usize,
    /// Nothing more is written.
    ended: bool,
    /// Nobody reads any more.
    deaf: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Wire {
    fn new(from: Place, to: Place) -> Rc<Self> {
        Rc::new(Wire { from, to, state: RefCell::default() })
    }

    fn wake_reader(&self) {
        let waker = self.state.borrow_mut().reader.take();
        waker.into_iter().for_each(Waker::wake);
    }

    fn wake_writer(&self) {
        let waker = self.state.borrow_mut().writer.take();
        waker.into_iter().for_each(Waker::wake);
    }

    fn end(&self) {
        self.state.borrow_mut().ended = true;
        self.wake_reader();
        self.wake_writer();
    }

    fn deafen(&self) {
        self.state.borrow_mut().deaf = true;
        self.wake_writer();
        self.wake_reader();
    }

    async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        poll_fn(|cx| {
            let mut state = self.state.borrow_mut();
            if state.deaf || state.ended || state.bytes < WINDOW_BYTES {
                return Poll::Ready(());
            }
            state.writer = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
        let way = way(self.from, self.to);
        let mut state = self.state.borrow_mut();
        if state.deaf || state.ended {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let again = if way.lost_once_in > 0 && world::once_in(way.lost_once_in) { 200_000 } else { 0 };
        let us = way.least_us + world::below(way.jitter_us_max.max(1)) + again + bytes.len() as u64 / 1_000;
        let arrives = world::now_ns() + us * 1_000;
        let arrives = state.flying.back().map_or(arrives, |(last, _)| arrives.max(*last));
        state.bytes += bytes.len();
        state.flying.push_back((arrives, Bytes::copy_from_slice(bytes)));
        drop(state);
        self.wake_reader();
        Ok(())
    }

    async fn read(&self, into: &mut BytesMut) -> io::Result<usize> {
        loop {
            poll_fn(|cx| {
                let mut state = self.state.borrow_mut();
                if state.deaf || state.ended || !state.flying.is_empty() {
                    return Poll::Ready(());
                }
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            })
            .await;
            if self.state.borrow().deaf {
                return Ok(0);
            }
            if way(self.from, self.to).cut {
                executor::sleep(LOOK).await;
                continue;
            }
            let next = self.state.borrow().flying.front().map(|(at, _)| *at);
            let Some(at) = next else { return Ok(0) };
            let now = world::now_ns();
            if at > now {
                Timer::after(Duration::from_nanos(at - now)).await;
                continue;
            }
            let mut state = self.state.borrow_mut();
            let Some((_, bytes)) = state.flying.pop_front() else { continue };
            state.bytes -= bytes.len();
            drop(state);
            self.wake_writer();
            into.extend_from_slice(&bytes);
            return Ok(bytes.len());
        }
    }
}

/// One end of a connection that nobody reads or writes yet. Dropped, it is closed.
pub struct Connected(Option<Ends>);

struct Ends {
    out: Rc<Wire>,
    into: Rc<Wire>,
}

impl Ends {
    fn close(&self) {
        self.out.end();
        self.into.deafen();
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        if let Some(ends) = &self.0 {
            ends.close();
        }
    }
}

impl std::fmt::Debug for Connected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Connected").field(&self.0.as_ref().map(|ends| (ends.out.from, ends.out.to))).finish()
    }
}

/// Connects two places. Each end goes to a task of its place.
pub fn connect(a: Place, b: Place) -> (Connected, Connected) {
    let (there, back) = (Wire::new(a, b), Wire::new(b, a));
    let here = Ends { out: Rc::clone(&there), into: Rc::clone(&back) };
    (Connected(Some(here)), Connected(Some(Ends { out: back, into: there })))
}

/// One end of a connection, for one task that reads and one that writes.
pub struct Socket {
    ends: Ends,
    /// The host has gone without a word: the other end hears nothing of it.
    silent: Rc<Cell<bool>>,
}

/// Closes a [`Socket`] under its reader and writer.
pub struct SocketCloser(Ends);

impl SocketCloser {
    /// Reads find the end, writes fail.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Socket {
    /// Takes a connection over.
    ///
    /// # Errors
    /// None here.
    pub fn adopt(mut stream: Connected) -> io::Result<(Self, SocketCloser)> {
        let ends = stream.0.take().ok_or(ErrorKind::NotConnected)?;
        let closer = SocketCloser(Ends { out: Rc::clone(&ends.out), into: Rc::clone(&ends.into) });
        Ok((Socket { ends, silent: silence() }, closer))
    }

    /// Appends what is there, at least a byte; 0: the other end has closed.
    ///
    /// # Errors
    /// None here: a connection that is over has an end.
    pub async fn read(&self, into: &mut BytesMut) -> io::Result<usize> {
        self.ends.into.read(into).await
    }

    /// Sends everything.
    ///
    /// # Errors
    /// The connection is over.
    pub async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        self.ends.out.write(bytes).await
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if !self.silent.get() {
            self.ends.close();
        }
    }
}

/// Whether the caller's process ends without a word, as one whose host has lost its power.
static SILENCE: Local<Rc<Cell<bool>>> = Local::new(Rc::default);

fn silence() -> Rc<Cell<bool>> {
    SILENCE.with_borrow(Rc::clone)
}

/// Connections of the caller's place do not tell their other ends when they go.
pub(super) fn fall_silent() {
    silence().set(true);
}

/// Ready after so long.
pub struct Sleep(Timer);

impl Sleep {
    /// Ready after so long.
    pub fn new(duration: Duration) -> Self {
        Sleep(Timer::after(duration))
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<()> {
        std::pin::Pin::new(&mut self.0).poll(cx)
    }
}
