//! What the registry has of this peer is kept true: which disk it is, and where it is reached.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;
use z4_model::rows::incarnation::Incarnation;
use z4_shards::roster::Member;

use super::{Identity, State};

/// How often this is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
enum Duty {
    Nothing,
    /// The number has no disk yet: its peer has joined before disks were told apart.
    Claim,
    /// Another disk has the number.
    Stranger(Incarnation),
    /// It is reached elsewhere than the registry says.
    Move,
    /// The same, but the others would not reach it at its new address.
    Warn,
}

/// An address means whoever asks: `localhost`, `127.0.0.1`, `[::1]`.
pub fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

fn duty(member: &Member, known: Option<Incarnation>, disk: Incarnation, address: &str) -> Duty {
    match known {
        None => Duty::Claim,
        Some(other) if other != disk => Duty::Stranger(other),
        Some(_) if member.address.eq_ignore_ascii_case(address) => Duty::Nothing,
        // Most likely it was forgotten to say where it is: the default is good for one machine.
        Some(_) if is_loopback(address) && !is_loopback(&member.address) => Duty::Warn,
        Some(_) => Duty::Move,
    }
}

impl State {
    /// Keeps it true. Never ends.
    pub(super) async fn keep_registered(self: Rc<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            let Some(me) = self.links.standing.identity() else { continue };
            let roster = self.links.shards.roster();
            let Some(member) = roster.member(me.peer_number).filter(|member| !member.removed) else { continue };
            let duty = duty(member, roster.incarnation(me.peer_number), self.links.disk, &self.links.address);
            self.fulfil(duty, &me, member).await;
        }
    }

    async fn fulfil(&self, duty: Duty, me: &Identity, member: &Member) {
        let (shards, number, address) = (&self.links.shards, me.peer_number, &self.links.address);
        let made = match duty {
            Duty::Nothing => return,
            Duty::Claim => shards.claim(number, self.links.disk, false).await.map(drop),
            Duty::Move => match shards.relocate_member(number, address).await {
                Ok(_) => {
                    return tracing::info!(before = member.address, address, "the registry has the new address of this peer");
                }
                Err(error) => Err(error),
            },
            Duty::Stranger(known) => {
                let disk = self.links.disk;
                return (self.links.fail)(format!(
                    "peer {} (number {number}) is the disk {known} in the registry of cluster {}, and this one is {disk}: the directories are a \
                     former life of that peer, or another peer's",
                    me.peer_id, me.cluster_id
                ));
            }
            Duty::Warn => {
                if self.told.is_due("address", Instant::now()) {
                    tracing::warn!(
                        address,
                        registered = member.address,
                        "peer_advertise_addr is this machine's own and no other could use it: the cluster keeps the address of before"
                    );
                }
                return;
            }
        };
        if let Err(error) = made
            && self.told.is_due(&format!("{duty:?}"), Instant::now())
        {
            tracing::info!(%error, ?duty, "the registry cannot be told about this peer now; it will be tried again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: Incarnation = Incarnation::new(1);

    fn duty_of(registered: &str, known: Option<Incarnation>, address: &str) -> Duty {
        let member = Member { number: 2, id: "b".into(), address: registered.into(), removed: false };
        duty(&member, known, DISK, address)
    }

    /// A peer that is started elsewhere and not told about is one that nobody dials any more.
    #[test]
    fn an_address_follows_its_peer_but_not_to_where_nobody_reaches_it() {
        assert_eq!(duty_of("b:1", Some(DISK), "B:1"), Duty::Nothing);
        assert_eq!(duty_of("b:1", Some(DISK), "b:2"), Duty::Move);
        assert_eq!(duty_of("127.0.0.1:1", Some(DISK), "localhost:2"), Duty::Move);
        for forgotten in ["127.0.0.1:6356", "[::1]:6356", "localhost:1"] {
            assert_eq!(duty_of("b:1", Some(DISK), forgotten), Duty::Warn, "{forgotten}");
        }
    }

    #[test]
    fn a_disk_is_claimed_once_and_nobody_elses_number_is_used() {
        assert_eq!(duty_of("b:1", None, "b:2"), Duty::Claim);
        assert_eq!(duty_of("b:1", Some(Incarnation::new(2)), "b:2"), Duty::Stranger(Incarnation::new(2)));
    }
}
