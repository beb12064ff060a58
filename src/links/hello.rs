//! What is answered to a Hello. Pure.

use std::collections::BTreeSet;

use z4_model::ids::PeerNumber;
use z4_model::rows::incarnation::Incarnation;
use z4_model::rows::peer_row;
use z4_proto::peer::Hello;
use z4_proto::peer::welcome::Verdict;
use z4_shards::roster::{Registry, Roster};

use super::Identity;

/// The version of the peer protocol, and of what the raft log may hold: an entry that a peer cannot read would end it. 2: deliveries end in
/// the log by their tokens.
pub const VERSION: u32 = 2;

/// Numbers are given one after the other: a higher one is nobody's.
const NUMBER_MAX: PeerNumber = u32::MAX as PeerNumber;

/// What a Hello comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// The link is made.
    Accept,
    /// This peer's disk is empty, and it waits for the caller to write that down.
    Empty,
    /// This peer becomes the member that the registry has it for.
    Join(Box<Registry>),
    /// The caller is told who is here, and hangs up.
    Tell,
    /// No link.
    Refuse(Verdict, String),
}

/// What this peer knows of itself and of the others.
pub struct Knows<'a> {
    /// Who it is, if it belongs to a cluster.
    pub identity: Option<&'a Identity>,
    /// What its configuration calls it, if anything.
    pub peer_id: &'a str,
    /// Its disk.
    pub disk: Incarnation,
    /// Who is in the cluster.
    pub roster: &'a Roster,
    /// Who has a replica of a group here.
    pub named: &'a BTreeSet<PeerNumber>,
}

fn mismatch(text: String) -> Answer {
    Answer::Refuse(Verdict::Mismatch, text)
}

/// Decides.
pub fn answer(hello: &Hello, knows: &Knows<'_>) -> Answer {
    if hello.version != VERSION {
        return mismatch(format!(
            "the caller speaks version {} of the peer protocol, this peer version {VERSION}",
            hello.version
        ));
    }
    if hello.probe {
        // One who only wants to know who is there names no cluster.
        return match knows.identity.filter(|me| !hello.cluster_id.is_empty() && hello.cluster_id != me.cluster_id) {
            Some(me) => foreign(hello, me),
            None => Answer::Tell,
        };
    }
    if let Err(what) = check_form(hello) {
        return mismatch(format!("the caller's first message is malformed: {what}"));
    }
    match knows.identity {
        Some(me) => as_member(hello, me, knows),
        None => as_nobody(hello, knows),
    }
}

/// Names and numbers have the form that a registry gives them: what is kept of a Hello can be read again.
fn check_form(hello: &Hello) -> Result<(), String> {
    for (field, number) in [("from", hello.from), ("to", hello.to)] {
        if !(1..=NUMBER_MAX).contains(&number) {
            return Err(format!("{field} is {number}; peers have numbers from 1 to {NUMBER_MAX}"));
        }
    }
    for (field, id) in [("from_id", &hello.from_id), ("to_id", &hello.to_id)] {
        if !peer_row::is_id(id) {
            return Err(format!("{field} is {:?}; it takes 1 to 64 letters, digits, '.', '_' and '-'", cut(id)));
        }
    }
    if !hello.service_address.is_empty() && !peer_row::is_address(&hello.service_address) {
        return Err(format!("service_address is {:?}; it takes host:port", cut(&hello.service_address)));
    }
    Ok(())
}

/// As much of a stranger's text as is worth a line.
fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The answer of a peer that belongs to no cluster: its disk comes in only where the registry has it.
fn as_nobody(hello: &Hello, knows: &Knows<'_>) -> Answer {
    if !knows.peer_id.is_empty() && knows.peer_id != hello.to_id {
        return mismatch(format!("this peer's id is {}, not {}", knows.peer_id, hello.to_id));
    }
    let disk = knows.disk.to_string();
    match hello.to_incarnation.as_str() {
        "" => return Answer::Empty,
        known if known != disk => {
            let id = &hello.to_id;
            return mismatch(format!(
                "this peer's disk is empty, but {id} (number {}) has joined its cluster with another one, which the others count on. Is that \
                 disk lost? Then have this one take its place: z4t -t ANY_MEMBER -p ADDRESS -id {id} add-peer --replace. This peer takes part in \
                 nothing before",
                hello.to
            ));
        }
        _ if hello.registry.is_empty() => return Answer::Empty,
        _ => {}
    }
    let rows: Vec<_> = hello.registry.iter().map(|row| (row.name.clone(), row.row.clone())).collect();
    match Registry::from_rows(&rows) {
        Ok(registry) => match check_invitation(hello, knows.disk, &registry) {
            Ok(()) => Answer::Join(Box::new(registry)),
            Err(what) => mismatch(format!("the registry that the caller sent {what}")),
        },
        Err(error) => mismatch(error.to_string()),
    }
}

/// The registry has caller and called as the Hello says.
fn check_invitation(hello: &Hello, disk: Incarnation, registry: &Registry) -> Result<(), &'static str> {
    let roster = &registry.roster;
    // A cluster's id has the form of a disk's.
    if Incarnation::parse(&roster.cluster).is_none() || roster.cluster != hello.cluster_id {
        return Err("is another cluster's");
    }
    // It may have been removed, and still be the one that lets others in.
    if roster.member(hello.from).is_none_or(|caller| caller.id != hello.from_id) {
        return Err("does not name the caller");
    }
    let is_named = roster.present().any(|member| member.number == hello.to && member.id == hello.to_id);
    if !is_named || roster.incarnation(hello.to) != Some(disk) {
        return Err("does not name this peer");
    }
    if registry.slots.is_none() {
        return Err("has no slot table");
    }
    Ok(())
}

/// The answer to a caller of another cluster.
fn foreign(hello: &Hello, me: &Identity) -> Answer {
    let (id, own, told) = (&me.peer_id, &me.cluster_id, cut(&hello.cluster_id));
    mismatch(format!("this peer ({id}) belongs to the cluster {own}, the caller to {told}"))
}

/// The answer of a member.
fn as_member(hello: &Hello, me: &Identity, knows: &Knows<'_>) -> Answer {
    if hello.cluster_id != me.cluster_id {
        return foreign(hello, me);
    }
    if hello.to != me.peer_number || hello.to_id != me.peer_id {
        let (id, number) = (&me.peer_id, me.peer_number);
        return mismatch(format!("this peer is {id} (number {number}), not {} (number {})", hello.to_id, hello.to));
    }
    if hello.from == me.peer_number {
        return mismatch("a peer does not call itself".to_owned());
    }
    let disk = knows.disk.to_string();
    if !hello.to_incarnation.is_empty() && hello.to_incarnation != disk {
        return mismatch(format!("this peer's disk is {disk}, but the registry has {} for it", cut(&hello.to_incarnation)));
    }
    let roster = knows.roster;
    if let Some(known) = roster.incarnation(hello.from).map(|known| known.to_string())
        && known != hello.from_incarnation
    {
        let told = cut(&hello.from_incarnation);
        return mismatch(format!("the disk of {} is {known} in the registry, the caller's is {told:?}", hello.from_id));
    }
    match roster.member(hello.from) {
        Some(_) if roster.links_to(hello.from, knows.named) => Answer::Accept,
        Some(caller) => Answer::Refuse(Verdict::Removed, format!("peer {} was removed from the cluster", caller.id)),
        // A member that has just joined has nobody in its registry yet.
        None if roster.members.is_empty() => Answer::Accept,
        None => Answer::Refuse(Verdict::Later, format!("peer {} is not in this peer's registry yet", hello.from_id)),
    }
}

#[cfg(test)]
#[path = "hello_tests.rs"]
mod tests;
