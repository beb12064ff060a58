//! What is answered to a Hello. Pure.

use z4_proto::peer::Hello;
use z4_proto::peer::welcome::Verdict;
use z4_shards::roster::Roster;

use super::Identity;

/// The version of the peer protocol.
pub const VERSION: u32 = 1;

/// What a Hello comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// The link is made.
    Accept,
    /// This peer becomes the member that the caller takes it for.
    Join,
    /// No link.
    Refuse(Verdict, String),
}

/// Decides. `identity`: who this peer is, if it belongs to a cluster; `peer_id`: what its configuration calls it, if anything.
pub fn answer(hello: &Hello, identity: Option<&Identity>, peer_id: &str, roster: &Roster) -> Answer {
    let mismatch = |text: String| Answer::Refuse(Verdict::Mismatch, text);
    if hello.version != VERSION {
        return mismatch(format!(
            "the caller speaks version {} of the peer protocol, this peer version {VERSION}",
            hello.version
        ));
    }
    let Some(me) = identity else {
        if !peer_id.is_empty() && peer_id != hello.to_id {
            return mismatch(format!("this peer's id is {peer_id}, not {}", hello.to_id));
        }
        if hello.slots.is_empty() || hello.slots.iter().all(|byte| *byte == 0) {
            return Answer::Refuse(Verdict::Later, "the caller does not know the slot table yet".to_owned());
        }
        return Answer::Join;
    };
    if hello.cluster_id != me.cluster_id {
        let text =
            format!("this peer ({}) belongs to the cluster {}, the caller to {}", me.peer_id, me.cluster_id, hello.cluster_id);
        return mismatch(text);
    }
    if hello.to != me.peer_number || hello.to_id != me.peer_id {
        let (id, number) = (&me.peer_id, me.peer_number);
        return mismatch(format!("this peer is {id} (number {number}), not {} (number {})", hello.to_id, hello.to));
    }
    if hello.from == me.peer_number {
        return mismatch("a peer does not call itself".to_owned());
    }
    match roster.member(hello.from) {
        Some(caller) if caller.removed => {
            Answer::Refuse(Verdict::Removed, format!("peer {} was removed from the cluster", caller.id))
        }
        Some(_) => Answer::Accept,
        // A member that has just joined has nobody in its registry yet.
        None if roster.members.is_empty() => Answer::Accept,
        None => Answer::Refuse(Verdict::Later, format!("peer {} is not in this peer's registry yet", hello.from_id)),
    }
}

#[cfg(test)]
mod tests {
    //! A peer that took a stranger for a member would mix two clusters' logs.
    use z4_shards::roster::Member;

    use super::*;

    fn me() -> Identity {
        Identity { cluster_id: "c1".into(), peer_id: "b".into(), peer_number: 2, shards: 1, groups: 1 }
    }

    fn hello() -> Hello {
        Hello {
            version: VERSION,
            cluster_id: "c1".into(),
            from: 1,
            from_id: "a".into(),
            to: 2,
            to_id: "b".into(),
            slots: vec![0, 1].into(),
            ..Hello::default()
        }
    }

    fn roster() -> Roster {
        let member = |number, id: &str, removed| Member { number, id: id.into(), address: format!("{id}:1"), removed };
        Roster { cluster: "c1".into(), members: vec![member(1, "a", false), member(2, "b", false), member(3, "c", true)] }
    }

    fn verdict(hello: &Hello, me: Option<&Identity>, peer_id: &str) -> Option<Verdict> {
        match answer(hello, me, peer_id, &roster()) {
            Answer::Refuse(verdict, reason) => {
                assert!(!reason.is_empty());
                Some(verdict)
            }
            _ => None,
        }
    }

    #[test]
    fn only_members_of_the_same_cluster_are_let_in() {
        let me = me();
        assert_eq!(answer(&hello(), Some(&me), "", &roster()), Answer::Accept);
        let wrong = [
            Hello { version: 2, ..hello() },
            Hello { cluster_id: "c2".into(), ..hello() },
            Hello { to: 3, ..hello() },
            Hello { to_id: "c".into(), ..hello() },
            Hello { from: 2, ..hello() },
        ];
        for hello in wrong {
            assert_eq!(verdict(&hello, Some(&me), ""), Some(Verdict::Mismatch), "{hello:?}");
        }
        assert_eq!(verdict(&Hello { from: 3, ..hello() }, Some(&me), ""), Some(Verdict::Removed));
        assert_eq!(verdict(&Hello { from: 9, ..hello() }, Some(&me), ""), Some(Verdict::Later));
    }

    #[test]
    fn a_peer_without_a_cluster_joins_whoever_calls_it_by_its_name() {
        assert_eq!(answer(&hello(), None, "", &Roster::default()), Answer::Join);
        assert_eq!(answer(&hello(), None, "b", &Roster::default()), Answer::Join);
        assert_eq!(verdict(&hello(), None, "other"), Some(Verdict::Mismatch));
        assert_eq!(verdict(&Hello { slots: Default::default(), ..hello() }, None, ""), Some(Verdict::Later));
    }
}
