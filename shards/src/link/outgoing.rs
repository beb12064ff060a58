//! What waits to be sent on one link, in two lanes: heartbeats, ballots, pings and their answers go first, everything else in its order
//! behind them. Large frames are cut into pieces, so that what goes first waits for one piece and not for a whole snapshot's chunk.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use prost::Message;
use z4_proto::peer::frame::Body;
use z4_proto::peer::{Frame, Piece};

use super::frame;

/// So many bytes are written before what is urgent has its turn again.
const PIECE_BYTES: usize = 128 << 10;

/// Frames that wait.
#[derive(Default)]
pub(super) struct Outgoing {
    urgent: BytesMut,
    /// Whole frames, so many that they fill a piece.
    bulk: VecDeque<BytesMut>,
    bulk_bytes: usize,
}

impl Outgoing {
    /// Puts a frame in line.
    pub(super) fn put(&mut self, frame: &Frame) {
        if frame.body.as_ref().is_some_and(is_urgent) {
            return frame::put(&mut self.urgent, frame);
        }
        if frame.encoded_len() <= PIECE_BYTES {
            return self.put_bulk(frame);
        }
        let whole = Bytes::from(frame.encode_to_vec());
        let mut at = 0;
        while at < whole.len() {
            let end = whole.len().min(at + PIECE_BYTES);
            let piece = Piece { bytes: whole.slice(at..end), last: end == whole.len() };
            self.put_bulk(&Frame { body: Some(Body::Piece(piece)), ..Frame::default() });
            at = end;
        }
    }

    fn put_bulk(&mut self, frame: &Frame) {
        if self.bulk.back().is_none_or(|last| last.len() >= PIECE_BYTES) {
            self.bulk.push_back(BytesMut::new());
        }
        if let Some(last) = self.bulk.back_mut() {
            let before = last.len();
            frame::put(last, frame);
            self.bulk_bytes += last.len() - before;
        }
    }

    /// Takes what is to be written next.
    pub(super) fn next(&mut self) -> Option<BytesMut> {
        if !self.urgent.is_empty() {
            return Some(self.urgent.split());
        }
        let next = self.bulk.pop_front()?;
        self.bulk_bytes -= next.len();
        Some(next)
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.urgent.len() + self.bulk_bytes
    }

    /// Bytes that wait and are urgent.
    pub(super) fn urgent_bytes(&self) -> usize {
        self.urgent.len()
    }
}

/// Elections and leases depend on it, it is small, and nothing suffers when it arrives before what was put in line earlier.
pub(super) fn is_urgent(body: &Body) -> bool {
    matches!(body, Body::Ping(_) | Body::Pong(_) | Body::Beats(_) | Body::Ballot(_) | Body::Vote(_) | Body::Appended(_))
}

/// Puts pieces together.
#[derive(Default)]
pub(super) struct Incoming(BytesMut);

impl Incoming {
    /// Bytes of a frame that is not whole.
    pub(super) fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Takes a piece; returns the frame that it completes.
    pub(super) fn take(&mut self, piece: &Piece) -> Result<Option<Frame>, frame::FrameError> {
        if self.0.len() + piece.bytes.len() > frame::FRAME_BYTES_MAX {
            return Err(frame::FrameError::TooLong(self.0.len() + piece.bytes.len()));
        }
        self.0.extend_from_slice(&piece.bytes);
        if !piece.last {
            return Ok(None);
        }
        Ok(Some(Frame::decode(std::mem::take(&mut self.0).freeze())?))
    }
}

#[cfg(test)]
mod tests {
    //! A heartbeat that waits behind twenty megabytes costs a leader its lease.
    use z4_proto::peer::{Beats, Submit};

    use super::*;

    fn bulk(id: u64, bytes: usize) -> Frame {
        Frame { id, group: 1, body: Some(Body::Submit(Submit { commands: vec![id as u8; bytes].into() })), ..Frame::default() }
    }

    fn beat() -> Frame {
        Frame { body: Some(Body::Beats(Beats::default())), ..Frame::default() }
    }

    #[test]
    fn a_beat_waits_for_one_piece_at_most_and_the_rest_keeps_its_order() {
        let mut out = Outgoing::default();
        let sent: Vec<Frame> =
            [3_000_000, 10, PIECE_BYTES, 0, 70_000, 70_000, 20 << 20].into_iter().zip(1..).map(|(n, id)| bulk(id, n)).collect();
        sent.iter().for_each(|frame| out.put(frame));
        let (mut arrived, mut incoming, mut wire, mut beats) = (Vec::new(), Incoming::default(), BytesMut::new(), 0);
        let total = out.bytes();
        let mut written = 0;
        while let Some(piece) = out.next() {
            assert!(piece.len() <= 2 * PIECE_BYTES + 64, "{}", piece.len());
            written += piece.len();
            wire.extend_from_slice(&piece);
            while let Some(frame) = frame::take(&mut wire).expect("whole frames") {
                match &frame.body {
                    Some(Body::Beats(_)) => beats += 1,
                    Some(Body::Piece(piece)) => arrived.extend(incoming.take(piece).expect("pieces")),
                    _ => arrived.push(frame),
                }
            }
            assert!(wire.is_empty(), "what is written at a time are whole frames");
            if beats < 3 {
                out.put(&beat());
                let next = out.next().expect("the beat");
                assert!(next.len() < 16, "the beat is next: {} bytes", next.len());
                wire.extend_from_slice(&next);
            }
        }
        assert_eq!((beats, written), (3, total));
        assert_eq!(arrived, sent);
    }

    #[test]
    fn pieces_without_an_end_are_refused() {
        let mut incoming = Incoming::default();
        let piece = Piece { bytes: vec![0; 64 << 20].into(), last: false };
        assert!(incoming.take(&piece).is_ok() && incoming.take(&piece).is_ok());
        assert!(matches!(incoming.take(&Piece { bytes: vec![0].into(), last: true }), Err(frame::FrameError::TooLong(_))));
    }
}
