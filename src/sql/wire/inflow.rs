//! The bytes of the client's packets, whether they come in frames or not; see [`super::compress`].
//!
//! A frame is never whole in memory: it is unpacked in steps, when somebody wants what is in it, so what it claims to hold costs nothing
//! before it is there. Only zstd looks back as far as a frame is long; that is charged before the frame is read.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use z4_shards::account::Share;

use super::compress::{HEADER_BYTES, Method, Step, Unpacker};
use super::inlet::{Stop, out_of_order, too_long};
use super::line::Line;
use crate::sql::error::SqlError;

/// So much is unpacked at a time.
const STEP_BYTES: usize = 16 << 10;
/// After so many steps others have their turn.
const STEPS: u32 = 4;
/// A frame may hold so much, however short packets have to be: there may be several in it.
const FRAME_BYTES_LEAST: usize = 64 << 10;
/// And the headers of two packets beside the longest payload.
const HEADERS_BYTES: usize = 8;

/// The reading end of a socket.
pub(super) struct Inflow<R> {
    socket: BufReader<R>,
    line: Arc<Line>,
    /// It holds more than was taken of it.
    frame: Option<Frame>,
    /// What was unpacked, and how much of it was taken.
    plain: Vec<u8>,
    taken: usize,
    steps: u32,
    /// Nothing of the next command was read yet.
    fresh: bool,
    /// The number of the last frame.
    pub(super) number: u8,
}

/// A frame that is being read.
struct Frame {
    packed_left: usize,
    plain_left: usize,
    unpacker: Unpacker,
    _charge: Option<Share>,
}

impl Frame {
    fn is_read(&self) -> bool {
        self.packed_left + self.plain_left == 0
    }
}

impl<R: AsyncRead + Unpin> Inflow<R> {
    pub(super) fn new(socket: R, line: Arc<Line>) -> Inflow<R> {
        let socket = BufReader::with_capacity(8 << 10, socket);
        Inflow { socket, line, frame: None, plain: Vec::new(), taken: 0, steps: 0, fresh: true, number: 0 }
    }

    /// Waits until the client's next command begins.
    ///
    /// Between its login and the answer to it a client says nothing, so when this returns it is known how the command comes.
    pub(super) async fn begins(&mut self) -> Result<(), Stop> {
        self.fresh = true;
        if self.taken < self.plain.len() || self.frame.is_some() || !self.socket.fill_buf().await?.is_empty() {
            return Ok(());
        }
        Err(Stop::Gone)
    }

    /// Fills a buffer.
    pub(super) async fn read(&mut self, into: &mut [u8]) -> Result<(), Stop> {
        let Some(method) = self.line.compression() else {
            self.socket.read_exact(into).await?;
            self.count(into.len());
            return Ok(());
        };
        let mut at = 0;
        while at < into.len() {
            if self.taken == self.plain.len() {
                self.unpack(method).await?;
            }
            let step = (into.len() - at).min(self.plain.len() - self.taken);
            into[at..at + step].copy_from_slice(&self.plain[self.taken..self.taken + step]);
            (at, self.taken) = (at + step, self.taken + step);
            self.fresh = false;
        }
        if self.taken == self.plain.len() && self.frame.is_none() {
            // An idle connection holds none.
            (self.plain, self.taken) = (Vec::new(), 0);
        }
        Ok(())
    }

    fn count(&self, bytes: usize) {
        self.line.service.connections.counters.bytes_in.fetch_add(bytes as u64, Relaxed);
    }

    /// Unpacks some. The last bytes of a frame are given when its end is found to be sound.
    async fn unpack(&mut self, method: Method) -> Result<(), Stop> {
        let mut frame = match self.frame.take() {
            Some(frame) => frame,
            None => self.begin(method).await?,
        };
        // One byte is left for what a frame holds beyond what it says.
        self.plain.resize(STEP_BYTES + 1, 0);
        let mut made = 0;
        loop {
            let packed = if frame.packed_left == 0 { &[][..] } else { self.socket.fill_buf().await? };
            if frame.packed_left > 0 && packed.is_empty() {
                return Err(Stop::Gone);
            }
            let packed = &packed[..packed.len().min(frame.packed_left)];
            let end = STEP_BYTES + usize::from(made > 0);
            let step: Step = frame.unpacker.step(packed, &mut self.plain[made..end]).map_err(|_| damaged())?;
            self.socket.consume(step.read);
            self.count(step.read);
            if step.made > frame.plain_left {
                return Err(damaged());
            }
            frame.packed_left -= step.read;
            frame.plain_left -= step.made;
            made += step.made;
            self.steps = self.steps.wrapping_add(1);
            if self.steps.is_multiple_of(STEPS) {
                tokio::task::yield_now().await;
            }
            if frame.is_read() && step.ended || made > 0 && frame.plain_left > 0 {
                break;
            }
            if step.read + step.made == 0 {
                return Err(damaged());
            }
        }
        self.plain.truncate(made);
        self.taken = 0;
        if !frame.is_read() {
            self.frame = Some(frame);
        }
        Ok(())
    }

    async fn begin(&mut self, method: Method) -> Result<Frame, Stop> {
        let mut header = [0; HEADER_BYTES];
        self.socket.read_exact(&mut header).await?;
        self.count(HEADER_BYTES);
        let [a, b, c, number, d, e, f] = header;
        let length = |a, b, c| u32::from_le_bytes([a, b, c, 0]) as usize;
        let (packed_left, whole) = (length(a, b, c), length(d, e, f));
        let expected = match self.fresh {
            true if self.line.is_proof_expected() => self.line.outgoing().next_frame(),
            true => 0,
            false => self.number.wrapping_add(1),
        };
        self.number = number;
        if number != expected {
            return Err(out_of_order());
        }
        if packed_left == 0 {
            return Err(damaged());
        }
        let max = self.line.service.options.packet_bytes_max;
        if packed_left.max(whole) > max.max(FRAME_BYTES_LEAST) + HEADERS_BYTES {
            return Err(too_long(max));
        }
        let charge = match method.bytes_for(whole) {
            0 => None,
            bytes => self.line.entry.take(bytes).await,
        };
        let unpacker = Unpacker::new(method, whole).map_err(|_| damaged())?;
        let plain_left = if whole == 0 { packed_left } else { whole };
        Ok(Frame { packed_left, plain_left, unpacker, _charge: charge })
    }

    /// Reads on, and drops it, until the client stops or so much was read.
    pub(super) async fn drop_rest(self, bytes_max: u64) -> io::Result<()> {
        let mut rest = self.socket.take(bytes_max);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await.map(drop)
    }
}

fn damaged() -> Stop {
    Stop::Broken(SqlError::new(1157, "08S01", "Couldn't uncompress communication packet"))
}
