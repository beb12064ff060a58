//! Reads the client's packets from the socket: bounded in length and time, whole, in sequence.
//!
//! It reads on while a statement runs, so that it sees a client that goes; but no more than one packet ahead. (A client that sends
//! several commands without waiting for the first answer, which none is known to do, and then goes is seen when the answers are written,
//! or when `max_execution_time` is over.)

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::sync::mpsc;

use super::connections::Interrupt;
use super::inflow::Inflow;
use super::line::Line;
use super::outgoing::PART_BYTES;
use super::service::PacketShare;
use crate::sql::error::SqlError;

/// A packet's payload before the login is done.
const LOGIN_BYTES_MAX: usize = 16 << 10;
/// A shorter payload takes no share of the server's memory for packets.
const SMALL_BYTES: usize = 16 << 10;
/// A payload is not given room before it is there.
const STEP_BYTES: usize = 64 << 10;
/// After a packet that is not taken, so much more is read and dropped: a client that is still sending would never see the error.
const DROPPED_BYTES_MAX: u64 = 64 << 20;

/// What came.
pub(super) enum Inbound {
    /// A payload, and the memory that its packets were given.
    Payload(Vec<u8>, Numbers, Vec<PacketShare>),
    /// Something that ends the connection.
    Broken(SqlError, Numbers),
}

/// The numbers of the last packet and, where packets are compressed, of the last frame; the answer goes on from them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Numbers {
    pub(super) packet: u8,
    pub(super) frame: u8,
}

/// Why no more is read.
pub(super) enum Stop {
    /// The client has gone.
    Gone,
    /// It sends what cannot be taken.
    Broken(SqlError),
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Stop {
        Stop::Gone
    }
}

/// Reads until the client goes, something is wrong with what it sends, or nobody wants more.
pub(super) async fn run(socket: impl AsyncRead + Unpin, line: Arc<Line>, inbound: mpsc::Sender<Inbound>) {
    let mut inlet = Inlet { inflow: Inflow::new(socket, line.clone()), line, sequence: 0, logins: 0 };
    loop {
        // The header first: it tells of the end of the connection while the packet before is being answered.
        let header = inlet.first_header().await;
        let Ok(permit) = inbound.reserve().await else { return };
        match inlet.payload(header).await {
            Ok(payload) => permit.send(payload),
            Err(Stop::Gone) => return inlet.line.entry.interrupt(Interrupt::Gone),
            Err(Stop::Broken(error)) => {
                permit.send(Inbound::Broken(error, inlet.numbers()));
                // Nothing depends on it.
                let _ = inlet.inflow.drop_rest(DROPPED_BYTES_MAX).await;
                return;
            }
        }
    }
}

struct Inlet<R> {
    inflow: Inflow<R>,
    line: Arc<Line>,
    /// Of the last header.
    sequence: u8,
    /// Packets of the login so far.
    logins: u8,
}

impl<R: AsyncRead + Unpin> Inlet<R> {
    fn numbers(&self) -> Numbers {
        Numbers { packet: self.sequence, frame: self.inflow.number }
    }

    /// The header of a payload's first packet: it may be long in coming, but once it has begun it must go on.
    async fn first_header(&mut self) -> Result<(usize, u8), Stop> {
        let header = match self.inflow.begins().await {
            Ok(()) => in_time(self.line.service.options.read_timeout, self.header()).await,
            Err(stop) => Err(stop),
        };
        // The end is seen at once, even when one packet is waiting to be taken already.
        if let Err(Stop::Gone) = header {
            self.line.entry.interrupt(Interrupt::Gone);
        }
        header
    }

    /// Length and sequence.
    async fn header(&mut self) -> Result<(usize, u8), Stop> {
        let mut header = [0; 4];
        self.inflow.read(&mut header).await?;
        let [a, b, c, sequence] = header;
        self.sequence = sequence;
        Ok((u32::from_le_bytes([a, b, c, 0]) as usize, sequence))
    }

    async fn payload(&mut self, header: Result<(usize, u8), Stop>) -> Result<Inbound, Stop> {
        let (length, sequence) = header?;
        let logged_in = self.line.is_logged_in();
        let expected = match logged_in {
            // After COM_CHANGE_USER and the request for another plugin.
            true if self.line.is_proof_expected() => 2,
            true => 0,
            false => 2 * self.logins + 1,
        };
        if sequence != expected {
            return Err(out_of_order());
        }
        // A login has two packets of the client at most.
        self.logins = (self.logins + 1).min(2);
        in_time(self.line.service.options.read_timeout, self.parts(length, sequence, logged_in)).await
    }

    async fn parts(&mut self, first: usize, sequence: u8, logged_in: bool) -> Result<Inbound, Stop> {
        let max = if logged_in { self.line.service.options.packet_bytes_max } else { LOGIN_BYTES_MAX };
        let (mut length, mut sequence) = (first, sequence);
        let mut payload = Vec::new();
        let mut shares = Vec::new();
        loop {
            if payload.len() + length > max {
                return Err(too_long(max));
            }
            if payload.len() + length > SMALL_BYTES {
                let charge = self.line.entry.take(length).await;
                let permit = self.line.service.packets.take(length).await.ok_or(Stop::Gone)?;
                shares.push(PacketShare { _permit: permit, _charge: charge });
            }
            self.append(&mut payload, length).await?;
            if length < PART_BYTES {
                return Ok(Inbound::Payload(payload, self.numbers(), shares));
            }
            let (next, number) = self.header().await?;
            if number != sequence.wrapping_add(1) {
                return Err(out_of_order());
            }
            (length, sequence) = (next, number);
        }
    }

    async fn append(&mut self, payload: &mut Vec<u8>, length: usize) -> Result<(), Stop> {
        let mut left = length;
        while left > 0 {
            let (at, step) = (payload.len(), left.min(STEP_BYTES));
            payload.resize(at + step, 0);
            self.inflow.read(&mut payload[at..]).await?;
            left -= step;
        }
        Ok(())
    }
}

/// Reads something that has begun.
async fn in_time<T>(timeout: Duration, read: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    match tokio::time::timeout(timeout, read).await {
        Ok(result) => result,
        Err(_) => Err(Stop::Broken(SqlError::new(1159, "08S01", "Got timeout reading communication packets"))),
    }
}

/// More than `max` bytes in one piece.
pub(super) fn too_long(max: usize) -> Stop {
    Stop::Broken(SqlError::new(1153, "08S01", format!("Got a packet bigger than 'max_allowed_packet' bytes ({max})")))
}

pub(super) fn out_of_order() -> Stop {
    Stop::Broken(SqlError::new(1156, "08S01", "Got packets out of order"))
}
