//! The account of a consumer here with a leader at another peer: which credit is with that leader, and what came of it. Pure.
//!
//! Credit that the consumer gave is in one of three places: in its [`Flow`], with a leader, or used by a delivery. It goes to a leader
//! with a *seat*, a subscription of its own name; whatever comes under the name of an older seat is not the consumer's any more. When
//! a seat ends, what was with the leader and not used is in the flow again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use z4_model::ids::PeerNumber;

use crate::shard::api::Delivered;
use crate::shard::delivery::{ConsumerId, Flow, Sent, weight};

/// Bytes that a consumer's stream has taken of what came from a seat, and of which the leader has not heard. Written by the stream, on any
/// thread.
#[derive(Debug, Default)]
pub struct Taken(AtomicUsize);

impl Taken {
    /// The stream has taken deliveries. `true`: it is time to tell, so that a leader that is out of room hears of it; every call would be
    /// too often. `max` is what the leader may have queued.
    pub fn add(&self, tasks: &[Delivered], max: usize) -> bool {
        let bytes = tasks.iter().map(|task| weight(&task.row)).sum::<usize>();
        let (before, enough) = (self.0.fetch_add(bytes, SeqCst), max / 4);
        before < enough && before + bytes >= enough
    }
}

/// One consumer at one group that another peer leads.
#[derive(Debug)]
pub struct Relay {
    flow: Arc<Flow>,
    /// How far its stream has sent what came of this group, whoever led.
    sent: Arc<Sent>,
    /// The consumer has other groups, too: a leader gets credit only when it wants some.
    on_demand: bool,
    seat: Option<Seat>,
    /// Earlier names, and how many deliveries arrived under each: what a leader before leaves behind for them is ours.
    before: VecDeque<(ConsumerId, u64)>,
}

/// A subscription at a leader.
#[derive(Debug)]
pub struct Seat {
    /// Its name there.
    pub id: ConsumerId,
    /// Who leads.
    pub leader: PeerNumber,
    /// Credit that is with the leader.
    pub granted: u64,
    /// On demand: the leader waits for credit.
    wants: bool,
    taken: Arc<Taken>,
    /// Deliveries that have arrived.
    pub received: u64,
    /// Up to this token they were sent to the client, as the leader was told.
    told_sent: u64,
}

/// The names of so many seats before are told to a leader.
const SEATS_TOLD: usize = 16;

/// What is told to a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// To whom.
    pub leader: PeerNumber,
    /// The seat.
    pub seat: ConsumerId,
    /// More credit.
    pub tasks: u32,
    /// Bytes taken.
    pub taken_bytes: u64,
    /// The token of the last delivery that was sent to the client.
    pub sent: u64,
}

impl Relay {
    /// Without a seat. This peer may have led before: then the consumer had its own name there, and everything arrived.
    pub fn new(consumer: ConsumerId, flow: Arc<Flow>, sent: Arc<Sent>, on_demand: bool) -> Self {
        flow.set_relayed();
        Relay { flow, sent, on_demand, seat: None, before: VecDeque::from([(consumer, u64::MAX)]) }
    }

    /// Its names at leaders before, and how many deliveries arrived under each.
    pub fn before(&self) -> Vec<(ConsumerId, u64)> {
        self.before.iter().copied().collect()
    }

    /// The present seat.
    pub fn seat(&self) -> Option<&Seat> {
        self.seat.as_ref()
    }

    /// Takes a seat. An older one must have ended.
    pub fn sit(&mut self, id: ConsumerId, leader: PeerNumber) {
        debug_assert!(self.seat.is_none(), "one seat at a time");
        self.seat = Some(Seat { id, leader, granted: 0, wants: false, taken: Arc::default(), received: 0, told_sent: 0 });
    }

    /// What the leader is to hear now: credit that is there for it, and bytes that were taken.
    pub fn grant(&mut self) -> Option<Grant> {
        let seat = self.seat.as_mut()?;
        let mut tasks = 0u32;
        if !self.on_demand || seat.wants {
            loop {
                let more = if self.on_demand { self.flow.take_share() } else { self.flow.try_take(u32::MAX - tasks) };
                tasks += more;
                // On demand one share is enough; else everything, until there is nothing to take and the stream will say when there is.
                if (self.on_demand && tasks > 0) || (more == 0 && self.flow.park()) {
                    break;
                }
                if more == 0 && tasks == u32::MAX {
                    break;
                }
            }
        }
        if tasks > 0 && seat.wants {
            seat.wants = false;
            self.flow.set_wanting(false);
        }
        seat.granted += u64::from(tasks);
        let taken_bytes = seat.taken.0.swap(0, SeqCst) as u64;
        let sent = self.sent.token();
        let news = tasks > 0 || taken_bytes > 0 || sent > seat.told_sent;
        seat.told_sent = sent;
        news.then_some(Grant { leader: seat.leader, seat: seat.id, tasks, taken_bytes, sent })
    }

    /// The leader wants credit.
    pub fn wanted(&mut self, id: ConsumerId) {
        if let Some(seat) = named(&mut self.seat, id)
            && self.on_demand
            && !seat.wants
        {
            seat.wants = true;
            self.flow.set_wanting(true);
        }
    }

    /// The consumer goes: its leader gets no more credit, however it wants some.
    pub fn want_no_more(&mut self) {
        if let Some(seat) = &mut self.seat
            && std::mem::take(&mut seat.wants)
        {
            self.flow.set_wanting(false);
        }
    }

    /// Deliveries came. `Some`: they are the consumer's, and the stream says there what it has taken. `None`: they are not, for the seat is
    /// over or its credit is used up.
    pub fn delivered(&mut self, id: ConsumerId, tasks: &[Delivered]) -> Option<Arc<Taken>> {
        let seat = named(&mut self.seat, id)?;
        seat.granted = seat.granted.checked_sub(tasks.len() as u64)?;
        seat.received += tasks.len() as u64;
        let taken = Arc::clone(&seat.taken);
        self.flow.queue(tasks.iter().map(|task| weight(&task.row)).sum());
        Some(taken)
    }

    /// Credit came back unused. `true`: kick every group of the consumer.
    #[must_use = "a parked engine waits for a kick"]
    pub fn unused(&mut self, id: ConsumerId, tasks: u32) -> bool {
        let Some(seat) = named(&mut self.seat, id) else { return false };
        let back = u64::from(tasks).min(seat.granted);
        seat.granted -= back;
        self.flow.give_back(back as u32)
    }

    /// The seat ends; its credit is in the flow again. Also tells whether every group of the consumer is to be kicked.
    #[must_use = "a parked engine waits for a kick"]
    pub fn rise(&mut self) -> (Option<Seat>, bool) {
        let Some(seat) = self.seat.take() else { return (None, false) };
        self.before.push_back((seat.id, seat.received));
        if self.before.len() > SEATS_TOLD {
            self.before.pop_front();
        }
        if seat.wants {
            self.flow.set_wanting(false);
        }
        let (mut left, mut kick) = (seat.granted, false);
        while left > 0 {
            let some = u32::try_from(left).unwrap_or(u32::MAX);
            kick |= self.flow.give_back(some);
            left -= u64::from(some);
        }
        (Some(seat), kick)
    }
}

fn named(seat: &mut Option<Seat>, id: ConsumerId) -> Option<&mut Seat> {
    seat.as_mut().filter(|seat| seat.id == id)
}

impl Drop for Relay {
    /// Gives back what nobody else will. Who has to kick others for it lets the consumer rise first.
    fn drop(&mut self) {
        let _ = self.rise();
    }
}
