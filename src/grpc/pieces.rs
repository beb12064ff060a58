//! Messages of a call in the order in which they came, and the beginning of one, in as little memory as they need.
//!
//! A large message lies alone in a buffer of its own size: whoever keeps a part of it keeps that and nothing else. Small ones lie together,
//! and what is made of them is copied out ([`is_large`]).

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// A message starts with a flag (compressed or not) and its length.
pub(super) const HEAD_BYTES: usize = 5;

/// A message of so many bytes is large.
const LARGE_BYTES: usize = 16 << 10;

/// Small messages are handed out so many bytes at a time; the last one may begin below it.
const PIECE_BYTES: usize = 48 << 10;

/// A buffer of small messages begins with so many bytes.
const ROOM_BYTES: usize = 4 << 10;

/// Whether bytes of this size are of a message that lies alone. Others must be copied by whoever keeps them.
pub(super) fn is_large(bytes: usize) -> bool {
    bytes >= LARGE_BYTES
}

/// Whole messages, then the beginning of one.
#[derive(Default)]
pub(super) struct Pieces {
    /// Each is one large message or some small ones.
    ready: VecDeque<Bytes>,
    ready_bytes: usize,
    /// Whole small messages, and the beginning of one; or the beginning of a large one.
    buffer: BytesMut,
    /// The bytes of whole messages in the buffer.
    whole: usize,
    /// The buffer is that of a large message.
    alone: bool,
}

impl Pieces {
    /// All bytes that lie here.
    pub(super) fn len(&self) -> usize {
        self.ready_bytes + self.buffer.len()
    }

    /// The message that is not whole, with its head.
    pub(super) fn begun(&self) -> &[u8] {
        &self.buffer[self.whole..]
    }

    /// Takes bytes of that message.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        if self.buffer.capacity() - self.buffer.len() < bytes.len() {
            self.buffer.reserve(bytes.len().max(ROOM_BYTES));
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The head of the message is there, and so much will follow.
    pub(super) fn announced(&mut self, length: usize) {
        if !is_large(length) {
            return;
        }
        let mut own = BytesMut::with_capacity(HEAD_BYTES + length);
        own.extend_from_slice(self.begun());
        self.buffer.truncate(self.whole);
        self.gather();
        (self.buffer, self.alone) = (own, true);
    }

    /// The message is whole.
    pub(super) fn stands(&mut self) {
        if self.alone {
            self.alone = false;
            let own = std::mem::take(&mut self.buffer).freeze();
            return self.put(own);
        }
        self.whole = self.buffer.len();
        if self.whole >= PIECE_BYTES {
            self.gather();
        }
    }

    /// What is whole in the buffer is a piece.
    fn gather(&mut self) {
        if self.whole > 0 {
            let whole = self.buffer.split_to(std::mem::take(&mut self.whole)).freeze();
            self.put(whole);
        }
    }

    fn put(&mut self, piece: Bytes) {
        self.ready_bytes += piece.len();
        self.ready.push_back(piece);
    }

    /// Cuts the message that is not whole down to so many of its bytes; returns how many went.
    pub(super) fn cut(&mut self, length: usize) -> usize {
        let cut = self.begun().len() - length;
        self.buffer.truncate(self.whole + length);
        if self.alone {
            (self.buffer, self.alone) = (BytesMut::from(&self.buffer[..]), false);
        }
        cut
    }

    /// The message that is not whole becomes an empty one: a head of zeros. Returns how many bytes went.
    pub(super) fn empty(&mut self) -> usize {
        let cut = self.cut(HEAD_BYTES);
        self.buffer[self.whole..].fill(0);
        cut
    }

    /// The next piece, of whole messages.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        if self.ready.is_empty() {
            self.gather();
        }
        let piece = self.ready.pop_front()?;
        self.ready_bytes -= piece.len();
        Some(piece)
    }

    /// Nothing is whole: what is kept for messages to come goes.
    pub(super) fn let_go(&mut self) {
        if !self.alone {
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
    }

    /// All that lies here; nothing does any more.
    pub(super) fn rest(&mut self) -> Bytes {
        let mut all = BytesMut::new();
        std::mem::take(&mut self.ready).iter().for_each(|piece| all.extend_from_slice(piece));
        all.extend_from_slice(&self.buffer);
        *self = Self::default();
        all.freeze()
    }
}

#[cfg(test)]
mod tests {
    //! A payload of 64 KiB kept a buffer of 128 KiB for as long as its create was on its way.
    use super::*;

    fn put(pieces: &mut Pieces, length: usize) {
        pieces.extend(&[1; HEAD_BYTES]);
        pieces.announced(length);
        for part in vec![2; length].chunks(7_000) {
            pieces.extend(part);
        }
        pieces.stands();
    }

    #[test]
    fn a_large_message_keeps_no_more_memory_than_it_has_bytes() {
        let mut pieces = Pieces::default();
        let sizes = [10, LARGE_BYTES - 1, 65_600, 0, LARGE_BYTES, 300, 1 << 20, 1 << 20];
        sizes.iter().for_each(|size| put(&mut pieces, *size));
        let together = |sizes: &[usize]| sizes.iter().map(|size| HEAD_BYTES + size).sum::<usize>();
        assert_eq!(pieces.len(), together(&sizes));
        let found: Vec<Bytes> = std::iter::from_fn(|| pieces.next()).collect();
        let expected = [0..2, 2..3, 3..4, 4..5, 5..6, 6..7, 7..8].map(|range| together(&sizes[range]));
        assert!(found.iter().map(Bytes::len).eq(expected), "{sizes:?}");
        assert_eq!(pieces.len(), 0);
        for (place, piece) in found.into_iter().enumerate().filter(|(place, _)| [1, 3, 5, 6].contains(place)) {
            let bytes = piece.len();
            assert_eq!(piece.try_into_mut().expect("nobody else has it").capacity(), bytes, "{place}");
        }
    }

    #[test]
    fn pieces_of_small_messages_are_small_and_leave_nothing_behind() {
        let mut pieces = Pieces::default();
        (0..1_000).for_each(|_| put(&mut pieces, 1_000));
        let mut bytes = 0;
        while let Some(piece) = pieces.next() {
            assert!(piece.len() < PIECE_BYTES + LARGE_BYTES + HEAD_BYTES && piece.len().is_multiple_of(1_000 + HEAD_BYTES));
            bytes += piece.len();
        }
        assert_eq!(bytes, 1_000 * (1_000 + HEAD_BYTES));
        pieces.extend(&[1; 3]);
        pieces.let_go();
        assert_eq!((pieces.begun(), pieces.buffer.capacity()), (&[1; 3][..], 3));
    }

    #[test]
    fn a_large_message_that_is_left_out_keeps_its_head_alone() {
        let mut pieces = Pieces::default();
        put(&mut pieces, 7);
        pieces.extend(&[1; HEAD_BYTES]);
        pieces.announced(100_000);
        pieces.extend(&[2; 90_000]);
        assert_eq!(pieces.empty(), 90_000);
        assert!(pieces.buffer.capacity() < ROOM_BYTES);
        pieces.stands();
        assert_eq!(pieces.next().map(|piece| piece.len()), Some(7 + HEAD_BYTES));
        assert_eq!(pieces.next().as_deref(), Some(&[0; HEAD_BYTES][..]));
        assert_eq!(pieces.next(), None);
    }
}
