//! Heartbeats of many groups, gathered into few frames.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use z4_model::ids::GroupId;
use z4_proto::peer::frame::Body;
use z4_proto::peer::{Append, Appended, Beat, Beats, beat};

/// A heartbeat waits so long for others. Short beside the heartbeat interval, long beside what a frame costs.
pub const GATHER: Duration = Duration::from_millis(10);

/// Heartbeats, or their answers, that wait to be sent.
#[derive(Default)]
pub struct Gathered {
    beats: RefCell<Vec<Beat>>,
    scheduled: Cell<bool>,
}

impl Gathered {
    /// Adds a heartbeat. `true`: nobody is on the way to send them yet.
    pub fn append(&self, id: u64, group: GroupId, append: Append) -> bool {
        self.add(Beat { id, group: group.0.into(), body: Some(beat::Body::Append(append)) })
    }

    /// Adds an answer. `true`: nobody is on the way to send them yet.
    pub fn appended(&self, id: u64, group: GroupId, appended: Appended) -> bool {
        self.add(Beat { id, group: group.0.into(), body: Some(beat::Body::Appended(appended)) })
    }

    fn add(&self, beat: Beat) -> bool {
        self.beats.borrow_mut().push(beat);
        !self.scheduled.replace(true)
    }

    /// Everything that was gathered.
    pub fn take(&self) -> Option<Body> {
        self.scheduled.set(false);
        let beats = self.beats.take();
        (!beats.is_empty()).then_some(Body::Beats(Beats { beats }))
    }
}
