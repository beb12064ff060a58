//! Generations: a snapshot is installed beside the old state and takes its place in one rename.
//!
//! ```text
//! group-00001/current        text: the name of the generation that counts, and that it has a manifest
//! group-00001/generation-1/  a partition
//! group-00001/stand-in/      what is open in the place of a damaged generation
//! ```
//! A path is never used again while something still reads what was there, so what reads the old generation cannot touch a new one.
//! Generations that do not count go with their last reader, and those that a crash left when the group is opened.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use z4_model::ids::GroupId;
use z4_model::log::LogPosition;

use super::draft::ImportError;
use super::error::{PartitionError, Place};
use super::{Partition, PartitionOptions, View, directory, manifest, stand_in};
use crate::runtime::fs;

/// The file that names the generation that counts.
const CURRENT: &str = "current";

/// Said beside the name: the generation has a manifest. One that an earlier z4 made gets it when it is opened.
const COMPLETE: &str = "manifest";

const PREFIX: &str = "generation-";

/// Which generation; later ones have higher numbers.
pub(super) type Number = u64;

impl Partition {
    /// Something of a partition is in `base`.
    pub fn is_there(base: &Path) -> bool {
        let found = fs::list(base).unwrap_or_default();
        found.iter().any(|found| found.name == CURRENT || number(&found.name).is_some())
    }

    /// Opens the generation of `base` that counts, or creates the first one. What it holds is durable then.
    ///
    /// # Errors
    /// As [`Partition::open`]; and [`PartitionError::Damaged`] when a generation or its name is missing.
    pub fn open_current(base: &Path, group: GroupId, options: &PartitionOptions) -> Result<Self, PartitionError> {
        let place = Place::new(group, base.into());
        let failed = |error| place.storage(error);
        fs::create_directories(base).map_err(failed)?;
        let text = match fs::read(&base.join(CURRENT)) {
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return create(base, &place, options),
            Err(error) => return Err(failed(error)),
        };
        let (name, says) = text.split_once('\n').unwrap_or((&text, ""));
        let number = number(name).ok_or_else(|| place.finding(format!("{CURRENT} names no generation: {text:?}")))?;
        let dir = path(base, number);
        let complete = says.trim_end() == COMPLETE;
        if complete && !manifest::is_there(&dir) {
            let what = if fs::is_directory(&dir) { "its manifest" } else { "its directory" };
            return Err(place.missing(format!("{CURRENT} names {}, but {what} is missing", dir.display())));
        }
        let mut partition = Partition::open(&dir, group, options)?;
        if !complete {
            switch(base, number).map_err(failed)?;
        }
        // Only now: what was named may be damaged.
        remove_others(base, number).map_err(failed)?;
        stand_in::remove(base).map_err(failed)?;
        // Where the log ends before what is applied, openraft lets all of it go at the start.
        partition.persist()?;
        Ok(partition)
    }

    /// Replaces everything by the rows of `view`, as of `applied`, with this membership. A crash leaves the old state or the new one.
    ///
    /// # Errors
    /// As [`Partition::adopt`].
    pub fn install(
        &mut self,
        view: &View,
        applied: Option<LogPosition>,
        membership: (Option<LogPosition>, Bytes),
    ) -> Result<(), PartitionError> {
        let draft = self.drafts()?.begin()?;
        let mut filling = draft.fill()?;
        for chunk in view.chunks() {
            filling.write(chunk?.rows).map_err(|error| match error {
                ImportError::Partition(error) => error,
                ImportError::Chunk(error) => self.place.damaged(error),
            })?;
        }
        filling.close()?;
        self.adopt(draft.finish(applied, membership)?)
    }
}

/// Makes the first generation of a group that has none. It is named when everything is there.
fn create(base: &Path, place: &Place, options: &PartitionOptions) -> Result<Partition, PartitionError> {
    let failed = |error| place.storage(error);
    for found in fs::list(base).map_err(failed)? {
        let path = base.join(&found.name);
        if number(&found.name).is_some() && manifest::holds_rows(&path, place)? {
            return Err(place.missing(format!("{CURRENT} is missing, but {} is there", path.display())));
        }
    }
    // A crash left them when they were being made.
    remove_others(base, 0).map_err(failed)?;
    let partition = Partition::open(&path(base, 1), place.group, options)?;
    switch(base, 1).map_err(failed)?;
    let above = base.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::sync_names(above).map_err(failed)?;
    Ok(partition)
}

/// Which generation counts, by `current`.
pub(super) fn counts(base: &Path) -> Option<PathBuf> {
    let text = String::from_utf8(fs::read(&base.join(CURRENT)).ok()?).ok()?;
    number(text.split_once('\n')?.0).map(|number| path(base, number))
}

/// The directory that holds the generations, of a partition in one of them.
pub(super) fn base(place: &Place) -> Result<PathBuf, PartitionError> {
    let is_generation = place.dir.file_name().and_then(|name| name.to_str()).and_then(number).is_some();
    let base = place.dir.parent().filter(|_| is_generation);
    base.map(Path::to_owned).ok_or_else(|| place.finding("the directory is no generation"))
}

/// Makes the directory of a new generation, behind all others: also those that are just being removed.
pub(super) fn create_next(base: &Path) -> io::Result<(Number, PathBuf)> {
    loop {
        let mut next = 1;
        for found in fs::list(base)? {
            next = number(&found.name).map_or(next, |found| next.max(found + 1));
        }
        let dir = path(base, next);
        match fs::create_directory(&dir) {
            // Another draft was quicker.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| (next, dir)),
        }
    }
}

fn path(base: &Path, number: Number) -> PathBuf {
    base.join(format!("{PREFIX}{number}"))
}

fn number(name: &str) -> Option<Number> {
    name.strip_prefix(PREFIX)?.parse().ok()
}

/// Makes a generation the one that counts, durable and at once.
pub(super) fn switch(base: &Path, number: Number) -> io::Result<()> {
    let draft = base.join("current.draft");
    fs::write(&draft, format!("{PREFIX}{number}\n{COMPLETE}\n").as_bytes())?;
    fs::rename(&draft, &base.join(CURRENT))?;
    fs::sync_names(base)
}

fn remove_others(base: &Path, counts: Number) -> io::Result<()> {
    for found in fs::list(base)? {
        if number(&found.name).is_some_and(|found| found != counts) {
            directory::remove(&base.join(&found.name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use z4_model::command::{Command, Create, Entry, Op, encode_entry};
    use z4_model::ids::Namespace;
    use z4_model::log::{LogEntry, LogPayload};
    use z4_model::rows::metadata::pack_metadata;

    use super::*;

    const GROUP: GroupId = GroupId(1);

    fn create(index: u64) -> LogEntry {
        let metadata = pack_metadata([].into_iter());
        let create =
            Create { request: None, due_ms: 5_000, asked_ms: None, sequence: 0, metadata, payload: Bytes::from_static(b"x") };
        let namespace = Namespace::new("a").expect("valid");
        let entry = Entry { stamp_ms: index, now_ms: None, commands: vec![Command { namespace, ops: vec![Op::Create(create)] }] };
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

        fs::create_directory(&path(here.path(), 3)).expect("what a crash leaves");
        let again = Partition::open_current(here.path(), GROUP, &options).expect("reopen");
        assert_eq!((again.totals().live, again.membership()), (4, Some(membership)));
        let left: Vec<_> = fs::list(here.path()).expect("read").into_iter().map(|found| found.name).collect();
        assert_eq!(left.len(), 2, "the generation that counts and its name: {left:?}");
    }
}
