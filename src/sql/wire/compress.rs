//! Compression of a connection: packets go in frames, each compressed by itself. Seven bytes stand before a frame: its length, its
//! number, and the length of what is in it, where 0 says that it is there as it is.

use std::io;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use zstd::bulk::Compressor;
use zstd::stream::raw::{DParameter, Decoder, Operation};

use super::handshake::capability as c;

/// Short packets go together into frames of so many bytes; the work for one is done in one piece.
pub(super) const FRAME_BYTES: usize = 32 << 10;
/// A packet that is longer, with its header, goes as it is, in a frame of its own: packing it would take too long in one piece, and clients
/// are met that read no more than two frames for a packet.
pub(super) const PACKED_BYTES_MAX: usize = 64 << 10;
/// The longest frame.
pub(super) const FRAME_BYTES_MAX: usize = 0xff_ffff;
/// Bytes in front of a frame.
pub(super) const HEADER_BYTES: usize = 7;
/// What a connection takes for it beside zstd's window: a frame that goes, zlib's state for one that comes, and a step of what is in it.
pub(super) const CONNECTION_BYTES: usize = 128 << 10;
/// A shorter one is not worth it, as in MySQL.
const SMALL_BYTES: usize = 50;
/// zstd's state for a frame that comes, without its window.
const ZSTD_BYTES: usize = 96 << 10;
/// zstd's window is one of these powers of two, the last of which holds the longest frame.
const ZSTD_WINDOWS: std::ops::RangeInclusive<u32> = 10..=24;
/// zstd's longest block.
const ZSTD_BLOCK_BYTES: usize = 128 << 10;
/// zstd's effort when the client names none, as in MySQL.
const ZSTD_LEVEL: i32 = 3;
/// More effort than this is not made, whatever the client wishes: it is time that other connections wait.
const ZSTD_LEVEL_MAX: i32 = 6;

/// By what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Zlib,
    /// With so much effort.
    Zstd(i32),
}

impl Method {
    /// What the client wants of what the server offers; zlib before zstd, as in MySQL.
    pub(super) fn of(capabilities: u32, zstd_level: Option<u8>) -> Option<Method> {
        let level = zstd_level.map_or(ZSTD_LEVEL, i32::from).clamp(1, ZSTD_LEVEL_MAX);
        match (capabilities & c::COMPRESS != 0, capabilities & c::ZSTD != 0) {
            (true, _) => Some(Method::Zlib),
            (_, true) => Some(Method::Zstd(level)),
            _ => None,
        }
    }

    /// What reading a frame that holds so many bytes may take beyond [`CONNECTION_BYTES`].
    pub(super) fn bytes_for(self, whole: usize) -> usize {
        match self {
            Method::Zstd(_) if whole > 0 => ZSTD_BYTES + whole + 2 * whole.min(ZSTD_BLOCK_BYTES),
            _ => 0,
        }
    }
}

/// What stands before a frame.
pub(super) fn header(length: usize, number: u8, whole: usize) -> [u8; HEADER_BYTES] {
    let ([a, b, c, _], [d, e, f, _]) = ((length as u32).to_le_bytes(), (whole as u32).to_le_bytes());
    [a, b, c, number, d, e, f]
}

/// Makes frames, for all connections: each frame is made in one piece.
#[derive(Default)]
pub(super) struct Packer {
    zlib: Option<Compress>,
    zstd: Option<(Compressor<'static>, i32)>,
}

impl Packer {
    /// Appends a frame of at most [`PACKED_BYTES_MAX`] bytes of packets.
    pub(super) fn pack(&mut self, method: Method, packets: &[u8], number: u8, into: &mut Vec<u8>) {
        let at = into.len();
        into.resize(at + HEADER_BYTES + packets.len(), 0);
        let room = &mut into[at + HEADER_BYTES..];
        let packed = if packets.len() < SMALL_BYTES { None } else { self.packed(method, packets, room) };
        // What does not get shorter goes as it is.
        let (length, whole) = match packed.filter(|length| *length < packets.len()) {
            Some(length) => (length, packets.len()),
            None => {
                room.copy_from_slice(packets);
                (packets.len(), 0)
            }
        };
        into.truncate(at + HEADER_BYTES + length);
        into[at..at + HEADER_BYTES].copy_from_slice(&header(length, number, whole));
    }

    /// The length of what was made; `None`: there is not room enough.
    fn packed(&mut self, method: Method, packets: &[u8], room: &mut [u8]) -> Option<usize> {
        match method {
            Method::Zlib => {
                let zlib = self.zlib.get_or_insert_with(|| Compress::new(Compression::fast(), true));
                zlib.reset();
                let status = zlib.compress(packets, room, FlushCompress::Finish).ok()?;
                (status == Status::StreamEnd).then_some(zlib.total_out() as usize)
            }
            Method::Zstd(level) => {
                if self.zstd.as_ref().is_none_or(|(_, now)| *now != level) {
                    self.zstd = Some((Compressor::new(level).ok()?, level));
                }
                self.zstd.as_mut()?.0.compress_to_buffer(packets, room).ok()
            }
        }
    }
}

/// Reads one frame, piece by piece.
pub(super) enum Unpacker {
    /// It is there as it is.
    Plain,
    Zlib(Box<Decompress>),
    Zstd(Box<Decoder<'static>>),
}

/// What came of a piece.
pub(super) struct Step {
    /// Bytes of the frame that were used.
    pub(super) read: usize,
    /// Bytes that were made of them.
    pub(super) made: usize,
    /// Nothing is missing.
    pub(super) ended: bool,
}

impl Unpacker {
    /// For a frame that holds so many bytes; 0: as it is.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(super) fn new(method: Method, whole: usize) -> io::Result<Unpacker> {
        Ok(match method {
            _ if whole == 0 => Unpacker::Plain,
            Method::Zlib => Unpacker::Zlib(Box::new(Decompress::new(true))),
            Method::Zstd(_) => {
                let mut decoder = Decoder::new()?;
                let log = whole.next_power_of_two().ilog2().clamp(*ZSTD_WINDOWS.start(), *ZSTD_WINDOWS.end());
                decoder.set_parameter(DParameter::WindowLogMax(log))?;
                Unpacker::Zstd(Box::new(decoder))
            }
        })
    }

    /// Reads some of it.
    ///
    /// # Errors
    /// It is damaged, or wants more memory than a frame of its length may.
    pub(super) fn step(&mut self, packed: &[u8], into: &mut [u8]) -> io::Result<Step> {
        match self {
            Unpacker::Plain => {
                let length = packed.len().min(into.len());
                into[..length].copy_from_slice(&packed[..length]);
                Ok(Step { read: length, made: length, ended: true })
            }
            Unpacker::Zlib(zlib) => {
                let (read, made) = (zlib.total_in(), zlib.total_out());
                let status = zlib.decompress(packed, into, FlushDecompress::None).map_err(io::Error::other)?;
                let (read, made) = ((zlib.total_in() - read) as usize, (zlib.total_out() - made) as usize);
                Ok(Step { read, made, ended: status == Status::StreamEnd })
            }
            Unpacker::Zstd(zstd) => {
                let status = zstd.run_on_buffers(packed, into)?;
                Ok(Step { read: status.bytes_read, made: status.bytes_written, ended: status.remaining == 0 })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! What one end packs, the other unpacks, in pieces of any length; what does not get shorter stays as it is.
    use super::*;

    #[test]
    fn frames_round_trip() {
        let noise: Vec<u8> = (0..FRAME_BYTES).map(|_| rand::random()).collect();
        let mut packer = Packer::default();
        for method in [Method::Zlib, Method::Zstd(3), Method::Zstd(6), Method::Zlib] {
            for (packets, shorter) in
                [(&b"short"[..], false), (&b"x".repeat(50), true), (&b"abc".repeat(10_000), true), (&noise, false)]
            {
                let mut frames = b"before".to_vec();
                packer.pack(method, packets, 7, &mut frames);
                let (header, packed) = frames[6..].split_at(HEADER_BYTES);
                let length = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], 0]) as usize;
                assert_eq!((length(0), header[3]), (packed.len(), 7));
                assert_eq!(length(4), if shorter { packets.len() } else { 0 });
                assert!(packed.len() < packets.len() || packed == packets);
                let (mut unpacker, mut found, mut rest) = (Unpacker::new(method, length(4)).expect("memory"), Vec::new(), packed);
                let mut ended = false;
                while !(ended && rest.is_empty()) {
                    let mut room = [0; 100];
                    let step = unpacker.step(&rest[..rest.len().min(33)], &mut room).expect("sound");
                    assert!(step.read + step.made > 0);
                    rest = &rest[step.read..];
                    found.extend_from_slice(&room[..step.made]);
                    ended = step.ended;
                }
                assert_eq!(found, packets);
            }
        }
    }

    #[test]
    fn zlib_goes_before_zstd_and_efforts_are_bounded() {
        assert_eq!(Method::of(c::COMPRESS | c::ZSTD, Some(3)), Some(Method::Zlib));
        for (wish, level) in [(None, 3), (Some(0), 1), (Some(1), 1), (Some(22), 6), (Some(255), 6)] {
            assert_eq!(Method::of(c::ZSTD, wish), Some(Method::Zstd(level)));
        }
        assert_eq!(Method::of(c::PROTOCOL_41, Some(3)), None);
    }
}
