//! Opening a log that exists: reads every frame, tells a torn tail from damage, and cuts the former off.
//!
//! A frame is written by one write and nothing follows it before it is durable, so a crash can tear the last frame only. A bad
//! frame with a good one behind it was durable once and no longer is: the log refuses to open.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use super::error::LogError;
use super::frame::{CHECKPOINT, NEWEST, RECYCLED, VERSION};
use super::group::Group;
use super::newest::{self, Newest};
use super::options::LogOptions;
use super::replay::Replay;
use super::scan::{Expected, Found, Scanner};
use super::segments::{EmptyFile, Segment, SegmentNumber, UNFINISHED, is_spare, segment_name, segment_number};
use super::state::Tail;
use crate::runtime::files::{BLOCK_BYTES, Directory, File};
use crate::runtime::{disk, random};

/// What is on disk.
pub(crate) struct Recovered {
    pub(crate) groups: Vec<Group>,
    pub(crate) tail: Tail,
    pub(crate) segments: BTreeMap<SegmentNumber, Segment>,
    pub(crate) next: Option<EmptyFile>,
    pub(crate) spares: Vec<EmptyFile>,
}

/// A segment's file before anything is known about its frames.
struct Candidate {
    number: SegmentNumber,
    file: Rc<File>,
    bytes: u64,
    recycled: bool,
}

impl Candidate {
    fn scanner(&self) -> Scanner {
        Scanner::new(Rc::clone(&self.file), self.number, self.bytes)
    }

    fn damaged(&self, offset: u64, reason: impl Into<String>) -> LogError {
        LogError::Damaged { file: self.file.path(), offset, reason: reason.into() }
    }
}

/// Where the frames end.
struct End {
    /// How many of the candidates hold frames.
    segments: usize,
    offset: u64,
    /// Why there is no further frame.
    reason: &'static str,
    expected: Expected,
    /// How long the last frame is.
    last_bytes: u64,
    /// Some frame says that there is a file `newest`.
    has_newest: bool,
}

/// Reads what the directory holds; `None` when there is no log. Nothing is changed on disk before everything was read and found
/// whole.
pub(crate) async fn recover(directory: &Directory, options: &LogOptions) -> Result<Option<Recovered>, LogError> {
    let io_error = |source| LogError::Io { directory: directory.path().to_owned(), source };
    let names = directory.list().map_err(io_error)?;
    let newest = newest::read(directory)?;
    let mut candidates = candidates(directory, options, &names, newest).await?;
    let mut replay = Replay::default();
    let recovered = match candidates.is_empty() {
        true => None,
        false => {
            let end = read_all(&mut candidates, &mut replay).await.map_err(|error| error.locate(directory))?;
            if newest.is_none() && end.has_newest {
                return Err(newest::missing(directory));
            }
            refuse_missing_frames(&candidates, &end, newest)?;
            let groups = replay.finish().map_err(|reason| candidates[0].damaged(0, reason))?;
            let (tail, kept, next) = cut(directory, options, candidates, &end).await.map_err(io_error)?;
            Some(Recovered { segments: segments(kept, &groups), groups, tail, next, spares: Vec::new() })
        }
    };
    if names.iter().any(|name| name == UNFINISHED) {
        directory.remove(UNFINISHED).await.map_err(io_error)?;
    }
    let spares = spares(directory, options, &names).await.map_err(io_error)?;
    Ok(recovered.map(|recovered| Recovered { spares, ..recovered }))
}

/// Errors on the way: of the disk, or already named.
enum ScanError {
    Disk(io::Error),
    Log(LogError),
}

impl From<io::Error> for ScanError {
    fn from(error: io::Error) -> Self {
        ScanError::Disk(error)
    }
}

impl From<LogError> for ScanError {
    fn from(error: LogError) -> Self {
        ScanError::Log(error)
    }
}

impl ScanError {
    fn locate(self, directory: &Directory) -> LogError {
        match self {
            ScanError::Disk(source) => LogError::Io { directory: directory.path().to_owned(), source },
            ScanError::Log(error) => error,
        }
    }
}

/// Opens the segments' files, which must follow each other.
async fn candidates(
    directory: &Directory,
    options: &LogOptions,
    names: &[String],
    newest: Option<Newest>,
) -> Result<Vec<Candidate>, LogError> {
    let io_error = |source| LogError::Io { directory: directory.path().to_owned(), source };
    let mut numbers: Vec<SegmentNumber> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    if let Some(gap) = numbers.windows(2).find(|pair| pair[0] + 1 != pair[1]) {
        let file = directory.path().join(segment_name(gap[0] + 1));
        let reason = format!("the segment is missing; the next one that is there is {}", gap[1]);
        return Err(LogError::Damaged { file, offset: 0, reason });
    }
    if let Some(Newest { segment: newest, .. }) = newest
        && numbers.last().is_none_or(|last| *last < newest)
    {
        let file = directory.path().join(segment_name(numbers.last().map_or(newest, |last| last + 1)));
        let reason = format!("the segment is missing; there were segments up to {newest}");
        return Err(LogError::Damaged { file, offset: 0, reason });
    }
    let mut candidates = Vec::with_capacity(numbers.len());
    for number in numbers {
        let path = directory.path().join(segment_name(number));
        // Where direct IO fell back to the page cache, a sync may have failed before the process ended. This blocks, and nothing else
        // runs on this executor yet; a wake from another thread can be lost before the executor has its pulse.
        disk::read_from_disk(&path).map_err(io_error)?;
        let EmptyFile { file, bytes, .. } = open(options, path).await.map_err(io_error)?;
        if bytes < BLOCK_BYTES as u64 {
            return Err(LogError::Damaged { file: file.path(), offset: 0, reason: "the segment is empty".to_owned() });
        }
        candidates.push(Candidate { number, file, bytes, recycled: false });
    }
    Ok(candidates)
}

async fn open(options: &LogOptions, path: PathBuf) -> io::Result<EmptyFile> {
    let file = options.disk.open(&path, false).await?;
    let bytes = file.size().await?;
    Ok(EmptyFile { file: Rc::new(file), bytes, recycled: true })
}

/// Replays all frames up to the first that is missing, and makes sure that none is behind it.
async fn read_all(candidates: &mut [Candidate], replay: &mut Replay) -> Result<End, ScanError> {
    let mut end = End {
        segments: 0,
        offset: 0,
        reason: "there is no frame",
        expected: Expected::default(),
        last_bytes: 0,
        has_newest: false,
    };
    for candidate in candidates.iter_mut() {
        let (offset, reason) = read_segment(candidate, replay, &mut end).await?;
        if offset == 0 {
            if end.segments == 0 {
                end.reason = reason;
            }
            break;
        }
        end = End { segments: end.segments + 1, offset, reason, ..end };
    }
    let first = &candidates[0];
    if end.segments == 0 && first.number != 1 {
        return Err(first.damaged(0, format!("the oldest segment has no checkpoint: {}", end.reason)).into());
    }
    refuse_later_frames(candidates, &end).await?;
    refuse_damaged_tail(candidates, &end).await?;
    Ok(end)
}

/// Replays one segment. Returns where its frames end, and why.
async fn read_segment(candidate: &mut Candidate, replay: &mut Replay, end: &mut End) -> Result<(u64, &'static str), ScanError> {
    let mut scanner = candidate.scanner();
    let mut at = 0;
    loop {
        match scanner.frame(at, end.expected).await? {
            Found::Frame(header, crc, records) => {
                if (header.flags & CHECKPOINT != 0) != (at == 0) {
                    return Err(candidate.damaged(at, "a checkpoint is not where a segment begins").into());
                }
                let records_at = at + super::frame::HEADER_BYTES as u64;
                replay.frame(&header, &records, records_at).map_err(|error| candidate.damaged(at, error.to_string()))?;
                candidate.recycled |= header.flags & RECYCLED != 0;
                end.has_newest |= header.flags & NEWEST != 0;
                end.expected = Expected { log: Some(header.log), frame: Some((header.frame + 1, crc)) };
                end.last_bytes = header.frame_bytes() as u64;
                at += end.last_bytes;
            }
            Found::Version(version) => {
                return Err(LogError::Version { file: candidate.file.path(), offset: at, version, supported: VERSION }.into());
            }
            Found::Nothing(reason) => return Ok((at, reason)),
        }
    }
}

/// A whole frame behind the end means that the end is not the tail.
async fn refuse_later_frames(candidates: &[Candidate], end: &End) -> Result<(), ScanError> {
    let last = end.segments.saturating_sub(1);
    let frame = end.expected.frame.map_or(0, |(frame, _)| frame);
    for (number, candidate) in candidates.iter().enumerate().skip(last) {
        let from = if number == last { end.offset } else { 0 };
        let Some((at, found)) = candidate.scanner().find_later(from, end.expected.log, frame).await? else { continue };
        // The bad frame is the next segment's first one when nothing was begun where the frames of this one end.
        let at_end = candidates[last].scanner().torn_bytes(end.offset, candidates[last].recycled, frame).await?;
        let (bad, offset) =
            if number > last && at_end == 0 { (&candidates[last + 1], 0) } else { (&candidates[last], end.offset) };
        let (reason, file) = (end.reason, candidate.file.path());
        let reason = format!("{reason}, but frame {found} is whole behind it: {} at byte {at}", file.display());
        return Err(bad.damaged(offset, reason).into());
    }
    Ok(())
}

/// What is behind the last frame was never whole, or no longer is. A write that a crash tore leaves sectors as they were, zeros, and
/// its first one whole or not at all. So where the file had no earlier life, a frame's begin that is no header of ours, or a header
/// without a zero sector behind it, is damage.
async fn refuse_damaged_tail(candidates: &[Candidate], end: &End) -> Result<(), ScanError> {
    let last = end.segments.saturating_sub(1);
    let places = [(last, end.offset), (last + 1, 0)];
    for (number, at) in places.into_iter().take(if end.segments == 0 { 1 } else { 2 }) {
        let Some(candidate) = candidates.get(number) else { continue };
        if candidate.recycled || !candidate.scanner().is_damaged(at, end.expected).await? {
            continue;
        }
        let reason = format!("{}, and it was no write that a crash tore: no sector of it is missing", end.reason);
        return Err(candidate.damaged(at, reason).into());
    }
    Ok(())
}

/// A frame that was durable when it was last written down how far the log is must be there.
fn refuse_missing_frames(candidates: &[Candidate], end: &End, newest: Option<Newest>) -> Result<(), LogError> {
    let found = end.expected.frame.map_or(0, |(next, _)| next - 1);
    let Some(Newest { frame: durable, .. }) = newest.filter(|newest| newest.frame > found) else { return Ok(()) };
    let last = end.segments.saturating_sub(1);
    let is_full = end.offset + BLOCK_BYTES as u64 > candidates[last].bytes;
    let (candidate, offset) = match candidates.get(last + 1) {
        Some(next) if is_full => (next, 0),
        _ => (&candidates[last], end.offset),
    };
    let reason = format!("{}: the log ends here with frame {found}, and frame {durable} was durable", end.reason);
    Err(candidate.damaged(offset, reason))
}

/// Cuts off what is behind the last frame. Returns where writing goes on, the segments that stay, and the next one's file.
async fn cut(
    directory: &Directory,
    options: &LogOptions,
    mut candidates: Vec<Candidate>,
    end: &End,
) -> io::Result<(Tail, Vec<Candidate>, Option<EmptyFile>)> {
    let later = candidates.split_off(end.segments.max(1));
    let last = &candidates[candidates.len() - 1];
    let (frame, previous_crc) = end.expected.frame.unwrap_or((1, 0));
    let log = end.expected.log.unwrap_or_else(random::number);
    let tail = Tail { log, segment: last.number, offset: end.offset, frame, previous_crc };

    let torn = last.scanner().torn_bytes(end.offset, last.recycled, frame).await?;
    if torn > 0 {
        tell_torn(last, end.offset, torn, end.reason);
        last.file.zero(end.offset, last.bytes).await?;
    }
    // What was read may have come out of the drive's cache, and the sync after it was written may have failed: it is written again.
    // Frames before the last were synced before the next was begun.
    if end.last_bytes > 0 {
        let read = last.file.read_at(end.offset - end.last_bytes, end.last_bytes as usize).await?;
        let mut frame = last.file.buffer(read.len());
        frame.as_bytes_mut().copy_from_slice(&read);
        last.file.write_at(frame, end.offset - end.last_bytes).await?;
    }
    last.file.fdatasync().await?;

    // The file that says how many segments there were is lowered before one goes.
    if !later.is_empty() {
        newest::write(directory, options, Newest { segment: last.number, frame: frame - 1 }).await?;
    }
    let mut next = None;
    for candidate in later {
        if next.is_some() || candidate.bytes != options.segment_bytes {
            directory.remove(&segment_name(candidate.number)).await?;
            continue;
        }
        let recycled = candidate.scanner().torn_bytes(0, false, frame).await? > 0;
        let torn = if recycled { candidate.scanner().torn_bytes(0, true, frame).await? } else { 0 };
        if torn > 0 {
            tell_torn(&candidate, 0, torn, "the checkpoint is not whole");
            candidate.file.zero(0, candidate.bytes).await?;
            candidate.file.fdatasync().await?;
        }
        next = Some(EmptyFile { file: candidate.file, bytes: candidate.bytes, recycled: recycled && torn == 0 });
    }
    Ok((tail, candidates, next))
}

fn tell_torn(candidate: &Candidate, offset: u64, bytes: u64, reason: &str) {
    let file = candidate.file.path();
    tracing::warn!(file = %file.display(), offset, bytes, reason, "cut off the raft log's torn tail; it was never acknowledged");
}

fn segments(candidates: Vec<Candidate>, groups: &[Group]) -> BTreeMap<SegmentNumber, Segment> {
    let segment = |Candidate { file, bytes, recycled, .. }| Segment { file, bytes, recycled, live_entries: 0, live_bytes: 0 };
    let mut segments: BTreeMap<_, _> = candidates.into_iter().map(|candidate| (candidate.number, segment(candidate))).collect();
    for (_, slot) in groups.iter().flat_map(|group| group.index.iter()) {
        if let Some(segment) = segments.get_mut(&slot.segment) {
            segment.live_entries += 1;
            segment.live_bytes += slot.record_bytes() as u64;
        }
    }
    segments
}

/// The files of purged segments, as far as they can be used again.
async fn spares(directory: &Directory, options: &LogOptions, names: &[String]) -> io::Result<Vec<EmptyFile>> {
    let mut spares = Vec::new();
    for name in names.iter().filter(|name| is_spare(name)) {
        let spare = open(options, directory.path().join(name)).await?;
        if spares.len() < options.spare_segments_max && spare.bytes == options.segment_bytes {
            spares.push(spare);
        } else {
            directory.remove(name).await?;
        }
    }
    Ok(spares)
}
