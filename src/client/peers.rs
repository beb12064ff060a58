//! What a client knows of the peers: their addresses, which of them answer, and who leads what.
//!
//! Pure but for the channels: time is an input, and nobody is asked from here.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tonic::transport::Channel;
use z4_proto::{ClusterInfo, Membership};

/// `HOST:PORT` of a peer's service port.
pub(super) type Address = Arc<str>;

/// How long a peer that could not be reached is left alone at first, and at most.
const REST_FIRST: Duration = Duration::from_millis(100);
const REST_CEILING: Duration = Duration::from_secs(5);

/// One address.
struct Known {
    address: Address,
    /// Given by the user: never forgotten.
    given: bool,
    /// Made when it is first needed.
    channel: Option<Channel>,
    failures: u32,
    rests_until: Option<Instant>,
    /// It has answered: what a peer announces may be an address in other networks than ours.
    proven: bool,
    /// Its peer's id, once it said so.
    id: Option<String>,
}

impl Known {
    fn new(address: Address, given: bool) -> Self {
        Known { address, given, channel: None, failures: 0, rests_until: None, proven: false, id: None }
    }

    fn rests(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| until > now)
    }
}

/// Everything that is known.
pub(super) struct Peers {
    /// Never empty: what was given comes first.
    known: Vec<Known>,
    /// Where calls go that do not care: the last one that answered after another had failed.
    preferred: usize,
    /// Per slot. All namespaces of a slot have one leader.
    leaders: HashMap<u16, Address>,
    /// From a member's address on its peer port, which answers name, to its service port.
    services: HashMap<String, Address>,
}

impl Peers {
    pub(super) fn new(given: Vec<Address>) -> Self {
        let known = given.into_iter().map(|address| Known::new(address, true)).collect();
        Peers { known, preferred: 0, leaders: HashMap::new(), services: HashMap::new() }
    }

    /// Whom to ask next: `wish` if that is possible, else the preferred peer, else the one after it. Who failed a moment ago is asked
    /// only when all did. `None`: everyone was tried who is worth it.
    pub(super) fn choose(&self, wish: Option<&str>, tried: &[Address], now: Instant) -> Option<Address> {
        let open = |known: &&Known| !tried.contains(&known.address);
        let wished = self.known.iter().find(|known| wish == Some(&*known.address));
        let (before, after) = self.known.split_at(self.preferred.min(self.known.len()));
        let mut awake = wished.into_iter().chain(after).chain(before).filter(open).filter(|known| !known.rests(now));
        if let Some(known) = awake.next() {
            return Some(known.address.clone());
        }
        if self.known.iter().any(|known| !known.rests(now) && tried.contains(&known.address)) {
            return None;
        }
        let soonest = self.known.iter().filter(open).min_by_key(|known| known.rests_until);
        soonest.map(|known| known.address.clone())
    }

    /// The connection to an address, as `make` makes it.
    pub(super) fn channel(&mut self, address: &str, make: impl FnOnce() -> Channel) -> Channel {
        match self.known.iter_mut().find(|known| *known.address == *address) {
            Some(known) => known.channel.get_or_insert_with(make).clone(),
            None => make(),
        }
    }

    /// Every address, and whether it may be asked now.
    pub(super) fn addresses(&self, now: Instant) -> Vec<(Address, bool)> {
        self.known.iter().map(|known| (known.address.clone(), !known.rests(now))).collect()
    }

    /// A peer answered.
    pub(super) fn answered(&mut self, address: &str, now: Instant) {
        let preferred_rests = self.known.get(self.preferred).is_none_or(|known| known.rests(now));
        if let Some(at) = self.known.iter().position(|known| *known.address == *address) {
            (self.known[at].failures, self.known[at].rests_until, self.known[at].proven) = (0, None, true);
            if preferred_rests {
                self.preferred = at;
            }
        }
    }

    /// A peer could not be reached, or its connection broke. It leads nothing any more, as far as we know.
    pub(super) fn failed(&mut self, address: &str, now: Instant) {
        self.leaders.retain(|_, leader| **leader != *address);
        if let Some(known) = self.known.iter_mut().find(|known| *known.address == *address) {
            let rest = REST_FIRST.saturating_mul(1 << known.failures.min(10)).min(REST_CEILING);
            known.rests_until = Some(now + rest);
            known.failures += 1;
        }
    }

    /// Who leads the namespaces of a slot.
    pub(super) fn leader(&self, slot: Option<u16>) -> Option<Address> {
        self.leaders.get(&slot?).cloned()
    }

    /// Nobody knows who leads a slot.
    pub(super) fn forget_leader(&mut self, slot: Option<u16>) {
        if let Some(slot) = slot {
            self.leaders.remove(&slot);
        }
    }

    /// Learns from an answer who leads a slot: `forwarded_to`, a member's address on its peer port, or, when that is empty, the
    /// peer that answered. A leader that has not answered from here is not followed: who can reach it forwards. False: nobody knows where
    /// that member serves clients.
    pub(super) fn follow(&mut self, slot: u16, forwarded_to: &str, answered: &Address) -> bool {
        let leader = match forwarded_to {
            "" => Some(answered),
            member => self.services.get(member),
        };
        let proven = |address: &&Address| self.known.iter().any(|known| known.proven && known.address == **address);
        match leader.filter(|leader| *leader == answered || proven(leader)) {
            Some(leader) if self.leaders.get(&slot) == Some(leader) => {}
            Some(leader) => drop(self.leaders.insert(slot, leader.clone())),
            None => drop(self.leaders.remove(&slot)),
        }
        leader.is_some()
    }

    /// Learns the members' addresses from what peers say about the cluster, each with the address at which it said so.
    pub(super) fn learn(&mut self, told: &[(Address, ClusterInfo)]) {
        for (address, info) in told {
            if let Some(known) = self.known.iter_mut().find(|known| known.address == *address && !info.server_id.is_empty()) {
                (known.id, known.proven) = (Some(info.server_id.clone()), true);
            }
        }
        let outside = [Membership::NotYet, Membership::Removed];
        let told: Vec<_> = told.iter().map(|(_, info)| info).filter(|info| !outside.contains(&info.membership())).collect();
        let members: Vec<_> = told.iter().flat_map(|info| &info.members).collect();
        if members.is_empty() {
            return;
        }
        self.services.clear();
        for member in &members {
            let Some(address) = self.place(&member.id, &member.service_address) else { continue };
            self.services.insert(member.address.clone(), address);
        }
        let preferred = self.known.get(self.preferred).map(|known| known.address.clone());
        let services = &self.services;
        self.known.retain(|known| known.given || services.values().any(|service| *service == known.address));
        self.preferred = self.known.iter().position(|known| Some(&known.address) == preferred.as_ref()).unwrap_or(0);
        let known = &self.known;
        self.leaders.retain(|_, leader| known.iter().any(|known| known.address == *leader));
    }

    /// Some address has not answered yet.
    pub(super) fn has_unproven(&self) -> bool {
        self.known.iter().any(|known| !known.proven)
    }

    /// Where a member is reached: at an address that has answered as that member before the one that it announces, which may be
    /// meant for other networks than ours.
    fn place(&mut self, id: &str, announced: &str) -> Option<Address> {
        let same = |known: &&Known| known.id.as_deref() == Some(id);
        let place = self.known.iter().filter(same).max_by_key(|known| known.given);
        if let Some(known) = place.or_else(|| self.known.iter().find(|known| *known.address == *announced)) {
            return Some(known.address.clone());
        }
        // "Every interface" is where it listens, not where it is.
        let nowhere = announced.parse::<SocketAddr>().is_ok_and(|a| a.ip().is_unspecified() || a.port() == 0);
        if announced.is_empty() || nowhere {
            return None;
        }
        let address: Address = announced.into();
        self.known.push(Known::new(address.clone(), false));
        Some(address)
    }
}

#[cfg(test)]
mod tests {
    //! A client that asks the wrong peer is slow; one that keeps asking a dead one while others live is broken.
    use z4_proto::Server;

    use super::*;

    fn peers(given: &[&str]) -> Peers {
        Peers::new(given.iter().map(|a| Address::from(*a)).collect())
    }

    fn chosen(peers: &Peers, wish: Option<&str>, tried: &[&str], now: Instant) -> Option<String> {
        let tried: Vec<Address> = tried.iter().map(|a| Address::from(*a)).collect();
        peers.choose(wish, &tried, now).map(|a| a.to_string())
    }

    fn info(id: &str, members: &[(&str, &str, &str)]) -> ClusterInfo {
        let server = |&(id, address, service): &(&str, &str, &str)| Server {
            id: id.into(),
            address: address.into(),
            service_address: service.into(),
            ..Server::default()
        };
        ClusterInfo { server_id: id.into(), members: members.iter().map(server).collect(), ..ClusterInfo::default() }
    }

    #[test]
    fn who_failed_is_left_alone_while_others_live() {
        let mut peers = peers(&["a:1", "b:1", "c:1"]);
        let now = Instant::now();
        assert_eq!(chosen(&peers, None, &[], now).as_deref(), Some("a:1"));
        assert_eq!(chosen(&peers, Some("c:1"), &[], now).as_deref(), Some("c:1"));
        peers.failed("a:1", now);
        assert_eq!(chosen(&peers, Some("a:1"), &["a:1"], now).as_deref(), Some("b:1"));
        peers.answered("b:1", now);
        // b stays the preferred one after a has come back.
        let later = now + REST_CEILING;
        assert_eq!(chosen(&peers, None, &[], later).as_deref(), Some("b:1"));
        assert_eq!(chosen(&peers, None, &["b:1", "c:1"], now), None, "a round ends without asking who rests");
        assert_eq!(chosen(&peers, None, &["b:1", "c:1"], later).as_deref(), Some("a:1"));
    }

    #[test]
    fn when_all_rest_all_are_asked() {
        let mut peers = peers(&["a:1", "b:1"]);
        let now = Instant::now();
        peers.failed("b:1", now);
        peers.failed("a:1", now);
        peers.failed("a:1", now);
        assert_eq!(chosen(&peers, None, &[], now).as_deref(), Some("b:1"), "who may be asked soonest");
        assert_eq!(chosen(&peers, None, &["b:1"], now).as_deref(), Some("a:1"));
        assert_eq!(chosen(&peers, None, &["b:1", "a:1"], now), None);
    }

    #[test]
    fn leaders_are_followed_and_forgotten() {
        let mut peers = peers(&["localhost:1"]);
        let now = Instant::now();
        assert!(!peers.follow(7, "two:6356", &"localhost:1".into()), "nobody knows where two serves");
        assert_eq!(peers.leader(Some(7)), None);
        let members = [("one", "one:6356", "one:6355"), ("two", "two:6356", "two:6355"), ("three", "three:6356", "0.0.0.0:6355")];
        peers.learn(&[("localhost:1".into(), info("one", &members))]);
        let addresses: Vec<_> = peers.addresses(now).into_iter().map(|(address, _)| address.to_string()).collect();
        assert_eq!(addresses, ["localhost:1", "two:6355"], "one is reached where it has answered, three nowhere");
        assert!(peers.follow(7, "two:6356", &"localhost:1".into()));
        assert_eq!(peers.leader(Some(7)), None, "two may be out of reach");
        peers.answered("two:6355", now);
        assert!(peers.follow(7, "two:6356", &"localhost:1".into()));
        assert_eq!(peers.leader(Some(7)).as_deref(), Some("two:6355"));
        assert!(peers.follow(8, "", &"localhost:1".into()), "who answers by itself leads");
        assert!(peers.follow(9, "one:6356", &"two:6355".into()));
        assert_eq!(peers.leader(Some(9)).as_deref(), Some("localhost:1"));
        peers.failed("two:6355", now);
        assert_eq!((peers.leader(Some(7)), peers.leader(Some(8)).as_deref()), (None, Some("localhost:1")));
    }

    #[test]
    fn members_that_left_are_forgotten_unless_they_were_given() {
        let mut peers = peers(&["a:1", "b:1"]);
        let two = [("a", "a:2", "a:1"), ("c", "c:2", "c:1")];
        peers.learn(&[("a:1".into(), info("a", &two))]);
        peers.answered("c:1", Instant::now());
        peers.follow(1, "c:2", &"a:1".into());
        assert!(peers.leader(Some(1)).is_some());
        let removed = ClusterInfo { membership: Membership::Removed.into(), ..info("b", &[]) };
        peers.learn(&[("a:1".into(), info("a", &two[..1])), ("b:1".into(), removed)]);
        let addresses: Vec<_> = peers.addresses(Instant::now()).into_iter().map(|(address, _)| address.to_string()).collect();
        assert_eq!(addresses, ["a:1", "b:1"]);
        assert_eq!(peers.leader(Some(1)), None);
    }
}
