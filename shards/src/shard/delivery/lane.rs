//! What the engine holds for one namespace and for one consumer.

use std::collections::VecDeque;
use std::sync::Arc;

use z4_model::ids::{Namespace, TaskKey};
use z4_model::settings::Settings;

use super::action::ConsumerId;
use super::claims::Floor;
use super::flow::{Flow, Sent};
use super::lease::List;
use super::window::Window;
use crate::shard::api::Delivered;

/// One namespace that has a consumer, a lease, or a purge under way; no other namespace costs memory.
pub(super) struct Lane {
    pub(super) name: Namespace,
    pub(super) settings: Settings,
    /// The namespace's row has been read since the first of the present consumers came: the window has a horizon.
    pub(super) loaded: bool,
    pub(super) window: Window,
    /// Where the scan in flight starts.
    pub(super) scan: Option<TaskKey>,
    /// Consumers that may be served, by slot and serial number, the next one first. The others have this lane in their `waiting`. Those that
    /// have gone are passed over, and taken out now and then.
    pub(super) ring: VecDeque<(u32, u64)>,
    /// At most so many in the ring have gone.
    pub(super) ring_gone: usize,
    /// Consumers, served or waiting.
    pub(super) consumers: u32,
    /// It has no consumers, but its window is kept for the next one: the number of its entry among those. 0: not so.
    pub(super) kept: u64,
    /// Tasks that its consumers take at a time, as last seen.
    pub(super) appetite: usize,
    /// It is in the engine's queue of lanes that have something to do.
    pub(super) queued: bool,
    /// Its entry in the engine's alarms; `u64::MAX`: none.
    pub(super) alarm_ms: u64,
    /// Its leases by key.
    pub(super) leases: List,
    /// No row after this was ever delivered: what a scan finds there cannot be leased.
    pub(super) delivered_max: TaskKey,
    /// Purges under way.
    pub(super) purges: u32,
    /// Rows that went since the low-water mark was last looked at.
    pub(super) rows_gone: u32,
    /// It is looked at when so many rows went.
    pub(super) water_check: u32,
    /// The low-water mark as far as known, milliseconds.
    pub(super) water_ms: u64,
}

impl Lane {
    pub(super) fn new(name: Namespace) -> Self {
        Lane {
            name,
            settings: Settings::default(),
            loaded: false,
            window: Window::default(),
            scan: None,
            ring: VecDeque::new(),
            ring_gone: 0,
            consumers: 0,
            kept: 0,
            appetite: 0,
            queued: false,
            alarm_ms: u64::MAX,
            leases: List::default(),
            delivered_max: TaskKey::MIN,
            purges: 0,
            rows_gone: 0,
            water_check: 0,
            water_ms: 0,
        }
    }

    /// Deliveries may be made.
    pub(super) fn is_open(&self) -> bool {
        self.loaded && !self.settings.paused && self.purges == 0
    }

    /// The first row of the window that does not wait is due.
    pub(super) fn is_due(&self, floor: Floor, now_ms: u64) -> bool {
        self.window.first_from(floor).is_some_and(|key| key.due_ms <= now_ms)
    }

    /// Nothing refers to it.
    pub(super) fn is_idle(&self) -> bool {
        self.consumers == 0 && self.kept == 0 && self.leases.len == 0 && self.purges == 0
    }
}

/// One consumer of some namespaces of the group.
pub(super) struct Consumer {
    pub(super) id: ConsumerId,
    /// No other consumer ever has it.
    pub(super) serial: u64,
    pub(super) flow: Arc<Flow>,
    /// 0: each namespace's setting.
    pub(super) lease_ms: u32,
    pub(super) lanes: Vec<u32>,
    /// Those that it came to first and whose rows are to be read.
    pub(super) to_load: VecDeque<u32>,
    /// Lanes that wanted to deliver and found no credit or room, or have to let the others go first: served in this order.
    pub(super) waiting: VecDeque<u32>,
    /// It is in the engine's queue of consumers that serve their waiting lanes.
    pub(super) pulling: bool,
    pub(super) leases: List,
    /// How far its client was sent its deliveries.
    pub(super) sent: Arc<Sent>,
    /// How many it was given.
    pub(super) given: u64,
    /// The delivery that is being put together.
    pub(super) out: Vec<Delivered>,
    pub(super) out_bytes: usize,
}
