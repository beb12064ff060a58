//! What the records of the frames that are read at the start add up to.

use z4_model::encoding::Malformed;
use z4_model::ids::GroupId;

use super::frame::{CHECKPOINT, FrameHeader};
use super::group::Group;
use super::record::{Change, decode};
use crate::runtime::maps::HashMap;

/// The groups, as far as frames were read.
#[derive(Default)]
pub(crate) struct Replay {
    groups: HashMap<GroupId, Group>,
    frames: u64,
}

impl Replay {
    /// One more frame, whose records begin at `offset` of their segment.
    pub(crate) fn frame(&mut self, header: &FrameHeader, records: &[u8], offset: u64) -> Result<(), Malformed> {
        let known = self.groups.values().filter(|group| group.is_restated()).count();
        let mut restated = 0;
        let (mut at, mut count) = (0, 0);
        while at < records.len() {
            let (id, change, bytes) = decode(&records[at..])?;
            if matches!(change, Change::Checkpoint(_)) {
                restated += 1;
            }
            self.record(id, &change, header.segment, (offset + at as u64) as u32)?;
            (at, count) = (at + bytes, count + 1);
        }
        if count != header.records {
            return Err(Malformed("the frame has another number of records than its header says"));
        }
        if header.flags & CHECKPOINT != 0 && self.frames > 0 && restated != known {
            return Err(Malformed("the checkpoint names other groups than the records before it"));
        }
        self.frames += 1;
        Ok(())
    }

    fn record(&mut self, id: GroupId, change: &Change<'_>, segment: u32, offset: u32) -> Result<(), Malformed> {
        let first_frame = self.frames == 0;
        let group = self.groups.entry(id).or_insert_with(|| Group::new(id));
        match *change {
            Change::Entry(position, payload) => {
                group.written.append(position)?;
                group.index.push(position, payload.bytes.len() as u32);
                group.index.place(position.index, segment, offset);
            }
            Change::Moved(position, payload) => {
                if !group.index.fill(position, payload.bytes.len() as u32) {
                    return Err(Malformed("a moved entry is not the one that was there"));
                }
                group.index.place(position.index, segment, offset);
            }
            Change::Vote(vote) => group.written.state.vote = Some(vote),
            Change::Committed(committed) => group.written.state.committed = committed,
            Change::Truncate(last) => {
                group.written.truncate(last);
                group.index.truncate_from(group.written.entries().end);
            }
            Change::Purge(upto) => {
                group.written.purge(upto);
                group.index.purge_before(upto.index + 1);
            }
            Change::Checkpoint(standing) if first_frame => {
                group.written = standing;
                group.index.push_holes(standing.entries());
            }
            Change::Checkpoint(standing) => {
                if group.written != standing {
                    return Err(Malformed("the checkpoint is not what the records before it add up to"));
                }
            }
        }
        Ok(())
    }

    /// The groups; or the first run of entries that must exist but were in no frame.
    pub(crate) fn finish(self) -> Result<Vec<Group>, String> {
        let mut groups: Vec<Group> = self.groups.into_values().collect();
        groups.sort_by_key(|group| group.id);
        for group in &mut groups {
            if let Some((first, last)) = group.index.first_holes() {
                return Err(format!("entries {first} to {last} of group {} are in no segment", group.id));
            }
            group.seen = group.written;
        }
        Ok(groups)
    }
}
