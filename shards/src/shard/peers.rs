//! What operators see of the other peers: gauges, and a word when a clock is wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use z4_model::ids::PeerNumber;

use crate::link::Reading;
use crate::roster::Roster;
use crate::runtime::clock;
use crate::runtime::clock::Instant;
use crate::shard::group::Group;
use crate::shard::worker::Shard;

/// The same clock is complained of again after this.
const TELL_AGAIN: Duration = Duration::from_secs(60);

impl Shard {
    /// Sets the gauges of the other members. They belong to the peer: its first shard does it for all.
    pub(super) fn show_peers(&self) {
        if self.index != 0 {
            return;
        }
        let (now, me, roster, table) = (clock::monotonic(), self.me(), self.cluster.roster.borrow(), self.links.reach().table());
        let mut shown = BTreeMap::new();
        for member in roster.present().filter(|member| member.number != me) {
            let reach = table.get(&member.number).filter(|reach| reach.links > 0);
            let skew_ms = reach.map(|reach| reach.skew_ms);
            self.options.metrics.set_peer(&member.id, reach.is_some(), skew_ms.map(|ms| ms / 1e3));
            shown.insert(member.number, member.id.clone());
            // A slow answer says little of a clock.
            let limit_us = self.options.clock_skew_warn_ms as i64 * 1_000;
            let differs = |clock: Reading| clock.surely_differs_us(self.links.reach().clocks().own_course_us(), limit_us) != 0;
            if let Some(skew_ms) = skew_ms.filter(|_| reach.and_then(|reach| reach.clock).is_some_and(differs))
                && is_due(&mut self.cluster.skew_told.borrow_mut(), member.number, now)
            {
                let limit_ms = self.options.clock_skew_warn_ms;
                tracing::warn!(
                    peer = member.id,
                    skew_ms,
                    limit_ms,
                    "the peer's clock differs from this one's: time goes by what a majority of the members' clocks say"
                );
            }
        }
        for (_, gone) in self.cluster.shown.borrow().iter().filter(|(peer, _)| !shown.contains_key(peer)) {
            self.options.metrics.forget_peer(gone);
        }
        self.cluster.shown.replace(shown);
    }
}

/// It was not told within a while; from now on it was.
fn is_due(told: &mut BTreeMap<PeerNumber, Instant>, peer: PeerNumber, now: Instant) -> bool {
    let due = told.get(&peer).is_none_or(|at| now.duration_since(*at) >= TELL_AGAIN);
    if due {
        told.insert(peer, now);
    }
    due
}

impl Group {
    /// Sets the gauges of the other replicas, as long as this one leads.
    pub(super) fn show_lags(&self, roster: &Roster) {
        let mut lags = BTreeMap::new();
        if let Some(replica) = self.replica().filter(|replica| replica.status().leads) {
            let members = replica.members();
            for peer in members.nodes.iter().filter(|peer| **peer != self.me) {
                let id = roster.name(*peer);
                self.metrics.set_replication_lag(self.id, &id, members.lag(*peer));
                lags.insert(*peer, id);
            }
        }
        let before = self.steering.lags.replace(lags.clone());
        for (_, gone) in before.iter().filter(|(peer, _)| !lags.contains_key(peer)) {
            self.metrics.set_replication_lag(self.id, gone, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wrong clock that is told every second fills the log; one that is told once is overlooked.
    #[test]
    fn a_wrong_clock_is_told_once_a_minute_for_each_peer() {
        let start = clock::monotonic();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut told = BTreeMap::new();
        let due: Vec<bool> = [(2, 0), (3, 1), (2, 30), (2, 59), (2, 60), (2, 61), (3, 61)]
            .into_iter()
            .map(|(peer, seconds)| is_due(&mut told, peer, at(seconds)))
            .collect();
        assert_eq!(due, [true, true, false, false, true, false, true]);
    }
}
