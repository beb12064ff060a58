//! Reads fjall's journals before fjall does.
//!
//! fjall 3.1.13 cuts a journal silently at the first byte that is no entry, also a sealed one in the middle of others (measured: one
//! flipped bit, and 4 of 60 opened with a third of their synced rows gone), and refuses to open at all when the last batch of the
//! active one is torn in the wrong place. What is right for a partition, whose lost tail comes again from the raft log:
//!
//! - a sealed journal was synced whole before it was sealed: anything wrong in it is damage;
//! - the active journal is good up to its last whole batch in front of anything wrong. It is cut there; whether that is enough is
//!   for the caller to say, who knows the log's purge point and compares it with the last applied position.
//!
//! The format is fjall 3.1.13's (`journal/entry.rs`), little endian: start `1, items u32, sequence number u64`; item `2, type u8,
//! compression u8, keyspace u64, key length u16, value length u32, stored length u32, key, value`; clear `4, keyspace u64`; end
//! `3, xxh3 of the items u64, "FJL" 3`. The start is under no checksum, so sequence numbers are also checked to rise.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;
use z4_model::keys;

use crate::partition::error::{PartitionError, Place};
use crate::partition::layout::Applied;
use crate::runtime::disk;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const TRAILER: [u8; 4] = *b"FJL\x03";
/// Type, compression, keyspace, key length, value length, stored length.
const ITEM_HEAD_BYTES: usize = 1 + 1 + 8 + 2 + 4 + 4;

/// What journals say together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Journals {
    /// The last batch's sequence number.
    pub(crate) last_batch: Option<u64>,
    /// The entry before those of the first batch, when it says so.
    pub(crate) begin_after: Option<u64>,
}

/// Checks the journals in `dir` and cuts a torn tail off the active one.
///
/// # Errors
/// [`PartitionError::Damaged`] for anything wrong in a sealed journal, naming file and offset.
pub(crate) fn audit_journals(dir: &Path, place: &Place) -> Result<Journals, PartitionError> {
    let mut journals = journals(dir).map_err(|error| place.storage(error))?;
    // They are numbered one after the other, and the oldest go first.
    if let Some(gap) = journals.windows(2).find(|pair| pair[0].0 + 1 != pair[1].0) {
        return Err(place.missing(format!("the journal {} is missing; the next one is {}", gap[0].0 + 1, gap[1].0)));
    }
    // fjall writes them through the page cache, and a sync may have failed before the process ended.
    for (_, path) in &journals {
        disk::read_from_disk(path).map_err(|error| place.storage(error))?;
    }
    let begin_after = first_before(&journals).map_err(|error| place.storage(error))?;
    let active = journals.pop();
    let mut sequence = None;
    for (_, path) in &journals {
        let found = Audit::of(path, &mut sequence).map_err(|error| place.storage(error))?;
        if !found.clean {
            return Err(place.finding(format!("the sealed journal {} is broken at byte {}", path.display(), found.good_bytes)));
        }
    }
    let Some((_, path)) = active else { return Ok(Journals { last_batch: sequence, begin_after }) };
    let found = Audit::of(&path, &mut sequence).map_err(|error| place.storage(error))?;
    if !found.clean {
        tracing::info!(group = %place.group, journal = %path.display(), offset = found.good_bytes,
            "the journal's tail is torn and is cut off; what it held is applied again from the log");
        let cut = || {
            let file = OpenOptions::new().write(true).open(&path)?;
            file.set_len(found.good_bytes)?;
            file.sync_all()
        };
        cut().map_err(|error: io::Error| place.storage(error))?;
    }
    Ok(Journals { last_batch: sequence, begin_after })
}

/// What the first whole batch says of the entry before it.
fn first_before(journals: &[(u64, PathBuf)]) -> io::Result<Option<u64>> {
    for (_, path) in journals {
        let mut journal = Journal::open(path)?;
        if journal.batch()?.is_some() {
            return Ok(journal.applied.and_then(|row| Applied::decode(&row)?.before));
        }
    }
    Ok(None)
}

/// A journal in `dir` begins with a whole batch.
pub(crate) fn any_batch(dir: &Path) -> io::Result<bool> {
    for (_, path) in journals(dir)? {
        if Journal::open(&path)?.batch()?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The journals by number; the last is the active one.
pub(crate) fn journals(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".jnl")?.parse().ok());
        found.extend(number.map(|number| (number, path)));
    }
    found.sort_unstable();
    Ok(found)
}

/// What is in one journal.
struct Audit {
    /// The end of the last whole batch in front of anything wrong.
    good_bytes: u64,
    /// Nothing is wrong: only unused, zero space follows.
    clean: bool,
}

impl Audit {
    fn of(path: &Path, sequence: &mut Option<u64>) -> io::Result<Self> {
        let mut reader = Journal::open(path)?;
        let left = reader.left;
        let mut good_bytes = 0;
        loop {
            match reader.batch()? {
                Some(found) if sequence.is_none_or(|before| found > before) => {
                    *sequence = Some(found);
                    good_bytes += reader.batch_bytes(left, good_bytes);
                }
                _ => break,
            }
        }
        Ok(Audit { good_bytes, clean: is_zero_from(path, good_bytes)? })
    }
}

fn is_zero_from(path: &Path, offset: u64) -> io::Result<bool> {
    use std::io::{Seek, SeekFrom};
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut chunk = vec![0u8; 1 << 18];
    loop {
        let n = file.read(&mut chunk)?;
        if n == 0 {
            return Ok(true);
        }
        if chunk[..n].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
    }
}

struct Journal {
    input: BufReader<File>,
    /// Bytes of the file that were not read yet.
    left: u64,
    buffer: Vec<u8>,
    /// The partition's own row, as it was read last.
    applied: Option<Bytes>,
}

impl Journal {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let left = file.metadata()?.len();
        Ok(Journal { input: BufReader::with_capacity(1 << 18, file), left, buffer: Vec::new(), applied: None })
    }

    /// How long the batch was that was read last.
    fn batch_bytes(&self, file_bytes: u64, before: u64) -> u64 {
        file_bytes - self.left - before
    }

    /// Reads one batch; its sequence number, or `None` when there is no whole batch here.
    fn batch(&mut self) -> io::Result<Option<u64>> {
        let Some([START]) = self.take()? else { return Ok(None) };
        let Some(items) = self.take()?.map(u32::from_le_bytes) else { return Ok(None) };
        let Some(sequence) = self.take()?.map(u64::from_le_bytes) else { return Ok(None) };
        let mut hash = Xxh3::new();
        for _ in 0..items {
            if !self.item(&mut hash)? {
                return Ok(None);
            }
        }
        let Some([END]) = self.take()? else { return Ok(None) };
        let Some(checksum) = self.take()?.map(u64::from_le_bytes) else { return Ok(None) };
        let whole = self.take()? == Some(TRAILER) && checksum == hash.digest();
        Ok(whole.then_some(sequence))
    }

    /// Reads one item or clear into the batch's checksum; whether it is one.
    fn item(&mut self, hash: &mut Xxh3) -> io::Result<bool> {
        let Some([kind]) = self.take()? else { return Ok(false) };
        hash.update(&[kind]);
        match kind {
            CLEAR => {
                let Some(keyspace) = self.take::<8>()? else { return Ok(false) };
                hash.update(&keyspace);
                Ok(true)
            }
            ITEM => {
                let Some(head) = self.take::<ITEM_HEAD_BYTES>()? else { return Ok(false) };
                hash.update(&head);
                let key = u16::from_le_bytes([head[10], head[11]]);
                let stored = u32::from_le_bytes([head[16], head[17], head[18], head[19]]);
                let bytes = u64::from(key) + u64::from(stored);
                if bytes > self.left {
                    return Ok(false);
                }
                self.buffer.resize(bytes as usize, 0);
                self.input.read_exact(&mut self.buffer)?;
                self.left -= bytes;
                hash.update(&self.buffer);
                if usize::from(key) == keys::raft().len() && self.buffer.starts_with(&keys::raft()) {
                    self.applied = Some(Bytes::copy_from_slice(&self.buffer[usize::from(key)..]));
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn take<const N: usize>(&mut self) -> io::Result<Option<[u8; N]>> {
        if self.left < N as u64 {
            return Ok(None);
        }
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes)?;
        self.left -= N as u64;
        Ok(Some(bytes))
    }
}
