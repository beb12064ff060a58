//! Reading entries: from memory, else from disk, where each record's checksum is verified again.

use std::io;
use std::ops::Range;
use std::rc::Rc;

use z4_model::ids::GroupId;
use z4_model::log::{LogEntry, LogPayload, LogPosition};

use super::record::{Change, Payload, decode};
use super::segments::Slot;
use super::state::Shared;
use crate::runtime::files::File;

/// Two records that are this close are read together. Bytes.
const GAP_BYTES_MAX: u64 = 32 << 10;

/// One read from disk covers no more than this, unless a single record is larger. Bytes.
const READ_BYTES_MAX: u64 = 1 << 20;

/// An entry that has to be read from disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) group: GroupId,
    pub(crate) position: LogPosition,
    pub(crate) slot: Slot,
}

/// The entries of a range, in order, until `bytes_max` of payload is exceeded; at least one, if there is any.
pub(crate) async fn read(log: &Rc<Shared>, group: usize, range: Range<u64>, bytes_max: usize) -> io::Result<Vec<LogEntry>> {
    let (wanted, cached) = plan(log, group, range, bytes_max);
    if wanted.is_empty() {
        return Ok(cached);
    }
    let payloads = fetch(log, &wanted).await?;
    let from_disk = wanted.iter().zip(payloads).map(|(wanted, payload)| LogEntry { position: wanted.position, payload });
    Ok(from_disk.chain(cached).collect())
}

/// What has to come from disk, and behind it what memory has.
fn plan(log: &Shared, group: usize, range: Range<u64>, bytes_max: usize) -> (Vec<Wanted>, Vec<LogEntry>) {
    let state = log.state.borrow();
    let group = &state.groups[group];
    let entries = group.seen.entries();
    let (mut wanted, mut cached) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    for index in range.start.max(entries.start)..range.end.min(entries.end) {
        let Some((position, slot)) = group.index.get(index) else { break };
        bytes += slot.payload_bytes as usize;
        if bytes > bytes_max && !(wanted.is_empty() && cached.is_empty()) {
            break;
        }
        match group.cached(index) {
            Some(found) => cached.push(LogEntry { position, payload: found.payload.clone() }),
            None => wanted.push(Wanted { group: group.id, position, slot }),
        }
    }
    (wanted, cached)
}

/// Reads entries from disk; neighbours together.
pub(crate) async fn fetch(log: &Rc<Shared>, wanted: &[Wanted]) -> io::Result<Vec<LogPayload>> {
    let mut payloads = Vec::with_capacity(wanted.len());
    // Taken before the first await: as long as somebody holds a segment's file, the segment is not reused.
    let runs = runs(log, wanted)?;
    for (file, run) in runs {
        let begin = u64::from(run[0].slot.offset);
        let end =
            run.iter().map(|wanted| u64::from(wanted.slot.offset) + wanted.slot.record_bytes() as u64).max().unwrap_or(begin);
        let read = file.read_at(begin, (end - begin) as usize).await?;
        for wanted in run {
            let at = (u64::from(wanted.slot.offset) - begin) as usize;
            let record = &read[at..at + wanted.slot.record_bytes()];
            payloads.push(verify(record, wanted).map_err(|reason| damaged(&file, wanted, reason))?.to_owned());
        }
    }
    // A segment that only this read kept may go now.
    log.chores.raise();
    Ok(payloads)
}

/// Cuts what is wanted into pieces that one read each can get.
fn runs<'a>(log: &Shared, wanted: &'a [Wanted]) -> io::Result<Vec<(Rc<File>, &'a [Wanted])>> {
    let state = log.state.borrow();
    let mut runs = Vec::new();
    let mut rest = wanted;
    while let Some(first) = rest.first() {
        let (run, after) = rest.split_at(run_length(rest));
        let segment = state.segments.get(&first.slot.segment);
        let segment = segment.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the entry's segment is gone"))?;
        runs.push((Rc::clone(&segment.file), run));
        rest = after;
    }
    Ok(runs)
}

/// How many of the first ones are near each other, in the same segment.
fn run_length(wanted: &[Wanted]) -> usize {
    let begin = wanted.first().map_or(0, |first| u64::from(first.slot.offset));
    let belongs = |pair: &[Wanted]| {
        let end = u64::from(pair[0].slot.offset) + pair[0].slot.record_bytes() as u64;
        let offset = u64::from(pair[1].slot.offset);
        let bytes = (offset + pair[1].slot.record_bytes() as u64).saturating_sub(begin);
        let near = offset >= end && offset - end <= GAP_BYTES_MAX && bytes <= READ_BYTES_MAX;
        pair[0].slot.segment == pair[1].slot.segment && near
    };
    1 + wanted.windows(2).take_while(|pair| belongs(pair)).count()
}

fn verify<'a>(record: &'a [u8], wanted: &Wanted) -> Result<Payload<'a>, String> {
    match decode(record) {
        Ok((group, Change::Entry(position, payload) | Change::Moved(position, payload), _))
            if group == wanted.group && position == wanted.position =>
        {
            Ok(payload)
        }
        Ok(_) => Err("another record is there".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn damaged(file: &File, wanted: &Wanted, reason: String) -> io::Error {
    let path = file.path();
    let text = format!(
        "the raft log is damaged: {} at byte {}: entry {} of group {}: {reason}",
        path.display(),
        wanted.slot.offset,
        wanted.position.index,
        wanted.group
    );
    io::Error::new(io::ErrorKind::InvalidData, text)
}
