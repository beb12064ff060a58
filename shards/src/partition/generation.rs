//! Generations: a snapshot is installed beside the old state and takes its place in one rename.
//!
//! ```text
//! group-00001/current        text: the name of the generation that counts
//! group-00001/generation-1/  a partition
//! ```
//! A path is never used again for another generation, so what still reads the old one cannot touch the new one. Generations that do not
//! count (an install that a crash cut short, or the one before it) are removed when the group is opened.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::error::{PartitionError, Place};
use super::layer::Layer;
use super::layout::Applied;
use super::tree::Tree;
use super::{Partition, PartitionOptions, View};
use crate::command::LogPosition;
use crate::ids::GroupId;
use crate::machine::keys;

/// The file that names the generation that counts.
const CURRENT: &str = "current";

const PREFIX: &str = "generation-";

/// An install writes batches of about this many bytes.
const BATCH_BYTES: usize = 4 << 20;

impl Partition {
    /// Opens the generation of `base` that counts, or creates the first one.
    ///
    /// # Errors
    /// As [`Partition::open`].
    pub fn open_current(base: &Path, group: GroupId, options: &PartitionOptions) -> Result<Self, PartitionError> {
        let place = Place { group, dir: base.into() };
        let failed = |error| place.storage(error);
        fs::create_dir_all(base).map_err(failed)?;
        let number = match fs::read_to_string(base.join(CURRENT)) {
            Ok(name) => number(name.trim()).ok_or_else(|| place.finding(format!("{CURRENT} names no generation: {name:?}")))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                switch(base, 1).map_err(failed)?;
                1
            }
            Err(error) => return Err(failed(error)),
        };
        remove_others(base, number).map_err(failed)?;
        Partition::open(&path(base, number), group, options)
    }

    /// Replaces everything by the rows of `view`, as of `applied`, with this membership. A crash leaves the old state or the new one.
    ///
    /// # Errors
    /// The old state goes on to count, unless the error came after the switch: then the next open finds the new one.
    pub fn install(
        &mut self,
        view: &View,
        applied: Option<LogPosition>,
        membership: (Option<LogPosition>, Bytes),
    ) -> Result<(), PartitionError> {
        let place = self.place.clone();
        let base = place.dir.parent().map(Path::to_owned).unwrap_or_default();
        let name = place.dir.file_name().and_then(|name| name.to_str()).and_then(number);
        let next = name.ok_or_else(|| place.finding("the directory is no generation"))? + 1;
        write(&path(&base, next), view, (&place, applied, membership), &self.options)?;
        switch(&base, next).map_err(|error| place.storage(error))?;
        // The old generation's files stay until it is next opened: views may still read them.
        *self = Partition::open(&path(&base, next), place.group, &self.options)?;
        Ok(())
    }
}

fn path(base: &Path, number: u64) -> PathBuf {
    base.join(format!("{PREFIX}{number}"))
}

fn number(name: &str) -> Option<u64> {
    name.strip_prefix(PREFIX)?.parse().ok()
}

/// Writes a view's rows into a new directory, and syncs it.
fn write(
    dir: &Path,
    view: &View,
    (place, applied, membership): (&Place, Option<LogPosition>, (Option<LogPosition>, Bytes)),
    options: &PartitionOptions,
) -> Result<(), PartitionError> {
    fs::create_dir_all(dir).map_err(|error| place.storage(error))?;
    let tree = Tree::open(dir, options).map_err(|error| place.fjall(error))?;
    let mut layer = Layer::default();
    for row in view.range(&[], &[u8::MAX]) {
        let (key, value) = row?;
        layer.put(key, value);
        if layer.bytes() >= BATCH_BYTES {
            tree.commit(&std::mem::take(&mut layer)).map_err(|error| place.fjall(error))?;
        }
    }
    if let Some(position) = applied {
        let row = Applied { group: place.group, position, membership: Some(membership) };
        layer.put(keys::raft(), row.encode());
    }
    tree.commit(&layer).map_err(|error| place.fjall(error))?;
    tree.sync().map_err(|error| place.fjall(error))
}

/// Makes a generation the one that counts, durable and at once.
fn switch(base: &Path, number: u64) -> io::Result<()> {
    let draft = base.join("current.draft");
    let mut file = File::create(&draft)?;
    writeln!(file, "{PREFIX}{number}")?;
    file.sync_all()?;
    fs::rename(&draft, base.join(CURRENT))?;
    File::open(base)?.sync_all()
}

fn remove_others(base: &Path, counts: u64) -> io::Result<()> {
    for entry in fs::read_dir(base)? {
        let entry = entry?;
        if entry.file_name().to_str().and_then(number).is_some_and(|found| found != counts) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Command, Create, Entry, LogEntry, LogPayload, Op, encode_entry};
    use crate::ids::Namespace;
    use crate::machine::record::pack_metadata;

    const GROUP: GroupId = GroupId(1);

    fn create(index: u64) -> LogEntry {
        let metadata = pack_metadata([].into_iter());
        let create = Create { request: None, due_ms: 5_000, sequence: 0, metadata, payload: Bytes::from_static(b"x") };
        let namespace = Namespace::new("a").expect("valid");
        let entry = Entry { stamp_ms: index, commands: vec![Command { namespace, ops: vec![Op::Create(create)] }] };
        let position = LogPosition { term: 1, leader: 1, index };
        LogEntry { position, payload: LogPayload::Normal(encode_entry(&entry)) }
    }

    /// A replica that is behind gets another one's rows. What it had is gone, what it got is there and survives a reopen, and a
    /// half-written generation of a crash counts for nothing and goes.
    #[test]
    fn an_installed_view_replaces_everything_at_once() {
        let (here, there) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
        let options = PartitionOptions::default();
        let mut source = Partition::open_current(there.path(), GROUP, &options).expect("open");
        source.apply(&(1..=3).map(create).collect::<Vec<_>>()).expect("apply");
        let mut target = Partition::open_current(here.path(), GROUP, &options).expect("open");
        target.apply(&[create(1)]).expect("apply");

        let membership = (None, Bytes::from_static(b"members"));
        target.install(&source.view(), source.applied(), membership.clone()).expect("install");
        assert_eq!(target.totals().live, 3);
        target.apply(&[create(4)]).expect("the log goes on where the snapshot ends");
        assert_eq!(target.applied().map(|p| p.index), Some(4));
        drop(target);

        fs::create_dir(path(here.path(), 3)).expect("what a crash leaves");
        let again = Partition::open_current(here.path(), GROUP, &options).expect("reopen");
        assert_eq!((again.totals().live, again.membership()), (4, Some(membership)));
        let left: Vec<_> = fs::read_dir(here.path()).expect("read").map(|e| e.expect("entry").file_name()).collect();
        assert_eq!(left.len(), 2, "the generation that counts and its name: {left:?}");
    }
}
