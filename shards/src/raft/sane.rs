//! What no replica of ours sends: it is refused before openraft, the log or the vote sees it, for all of these would keep it for good.
//!
//! It says nothing of who sent it. A broken peer, or a stranger who takes a peer's name, must not be able to end others for ever with one
//! frame: an entry that cannot be applied, a hole in the log, a term after which there is no other.

use z4_model::command::decode_entry;
use z4_model::machine::{INDEX_MAX, TERM_MAX};
use z4_proto::peer::{Append, LogEntry, LogPosition, RaftVote, log_entry};

use super::membership;
use crate::link::Body;

/// A replica that was away for a long time has missed fewer terms than these.
pub const TERMS_AHEAD_MAX: u64 = 1 << 16;

/// A message that no replica sends.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Insane {
    /// No term ever gets so high.
    #[error("term {found}; the highest that can be is {max}")]
    Term {
        /// What the message says.
        found: u64,
        /// What it could say.
        max: u64,
    },
    /// No log ever gets so long.
    #[error("index {0}; no log is longer than {INDEX_MAX}")]
    Index(u64),
    /// The entries are no piece of a log.
    #[error("entry {found} where entry {expected} belongs")]
    Hole {
        /// The index that should be there.
        expected: u64,
        /// The one that is.
        found: u64,
    },
    /// An entry of a term before that of the one before it, or after its leader's.
    #[error("entry {index} has term {term}, beyond those around it")]
    Order {
        /// Which.
        index: u64,
        /// Its term.
        term: u64,
    },
    /// It could not be applied.
    #[error("entry {index}: {cause}")]
    Entry {
        /// Which.
        index: u64,
        /// Why.
        cause: String,
    },
    /// Something is missing.
    #[error("a raft message without its {0}")]
    Missing(&'static str),
}

/// The highest term that a message can say to a replica of this term. One that has no log yet may hear of any.
pub fn term_max(own: u64, has_log: bool) -> u64 {
    if has_log { own.saturating_add(TERMS_AHEAD_MAX).min(TERM_MAX) } else { TERM_MAX }
}

/// Refuses what no replica sends. `term_max`: see [`term_max`].
pub fn check(body: &Body, term_max: u64) -> Result<(), Insane> {
    match body {
        Body::Append(append) => check_append(append, term_max),
        Body::Ballot(ballot) => check_ends(ballot.vote.as_ref(), [ballot.last.as_ref()], term_max),
        Body::Transfer(transfer) => check_ends(transfer.from.as_ref(), [transfer.last.as_ref()], term_max),
        Body::SnapshotBegin(begin) => {
            check_ends(begin.vote.as_ref(), [begin.last.as_ref(), begin.membership_at.as_ref()], term_max)
        }
        Body::Vote(vote) => check_ends(vote.vote.as_ref(), [vote.last.as_ref()], term_max),
        Body::Appended(appended) => {
            appended.higher.as_ref().map_or(Ok(()), |vote| check_term(vote.term, term_max))?;
            appended.at.as_ref().map_or(Ok(()), |at| check_position(at, term_max))
        }
        Body::SnapshotInstalled(installed) => installed.vote.as_ref().map_or(Ok(()), |vote| check_term(vote.term, term_max)),
        _ => Ok(()),
    }
}

fn check_ends<const N: usize>(vote: Option<&RaftVote>, ends: [Option<&LogPosition>; N], term_max: u64) -> Result<(), Insane> {
    let vote = vote.ok_or(Insane::Missing("vote"))?;
    check_term(vote.term, term_max)?;
    ends.into_iter().flatten().try_for_each(|at| check_position(at, term_max))
}

fn check_append(append: &Append, term_max: u64) -> Result<(), Insane> {
    check_ends(append.vote.as_ref(), [append.prev.as_ref(), append.commit.as_ref()], term_max)?;
    let leader_term = append.vote.as_ref().map_or(0, |vote| vote.term);
    let (mut expected, mut term) = append.prev.as_ref().map_or((0, 0), |prev| (prev.index + 1, prev.term));
    for entry in &append.entries {
        let at = entry.at.as_ref().ok_or(Insane::Missing("position"))?;
        check_position(at, term_max)?;
        if at.index != expected {
            return Err(Insane::Hole { expected, found: at.index });
        }
        if at.term < term || at.term > leader_term {
            return Err(Insane::Order { index: at.index, term: at.term });
        }
        (expected, term) = (at.index + 1, at.term);
        check_entry(entry).map_err(|cause| Insane::Entry { index: at.index, cause })?;
    }
    Ok(())
}

fn check_entry(entry: &LogEntry) -> Result<(), String> {
    match &entry.payload {
        None => Ok(()),
        Some(log_entry::Payload::Normal(bytes)) => decode_entry(bytes).map(drop).map_err(|e| format!("malformed entry: {e}")),
        Some(log_entry::Payload::Membership(bytes)) => {
            let membership = membership::decode(bytes).map_err(|e| e.to_string())?;
            let configs = membership.get_joint_config();
            let voters = (1..=2).contains(&configs.len()) && configs.iter().all(|config| !config.is_empty());
            if voters { Ok(()) } else { Err("a membership without voters".to_owned()) }
        }
    }
}

fn check_position(at: &LogPosition, term_max: u64) -> Result<(), Insane> {
    check_term(at.term, term_max)?;
    if at.index <= INDEX_MAX { Ok(()) } else { Err(Insane::Index(at.index)) }
}

fn check_term(found: u64, max: u64) -> Result<(), Insane> {
    if found <= max { Ok(()) } else { Err(Insane::Term { found, max }) }
}

#[cfg(test)]
mod tests {
    //! Were one of these taken, every start of the peer would end with it, or no election would ever succeed again.
    use bytes::Bytes;
    use z4_model::machine::testing::{command, create, entry};
    use z4_proto::peer::{Appended, Ballot, SnapshotBegin, Vote};

    use super::*;

    const MAX: u64 = 100;

    fn at(term: u64, index: u64) -> LogPosition {
        LogPosition { term, leader: 1, index }
    }

    fn vote(term: u64) -> Option<RaftVote> {
        Some(RaftVote { term, leader: 1, committed: true })
    }

    fn normal(term: u64, index: u64, bytes: Bytes) -> LogEntry {
        LogEntry { at: Some(at(term, index)), payload: Some(log_entry::Payload::Normal(bytes)) }
    }

    fn append(prev: Option<LogPosition>, entries: Vec<LogEntry>) -> Body {
        Body::Append(Append { vote: vote(7), prev, entries, commit: None })
    }

    fn good() -> Bytes {
        entry(5, vec![command("a", vec![create(9, b"x")])])
    }

    #[test]
    fn what_replicas_send_is_taken() {
        let blank = LogEntry { at: Some(at(7, 4)), payload: None };
        let body = append(Some(at(5, 2)), vec![normal(6, 3, good()), blank]);
        assert_eq!(check(&body, MAX), Ok(()));
        assert_eq!(check(&append(None, vec![normal(1, 0, good())]), MAX), Ok(()), "the first entry of all");
        assert_eq!(check(&append(Some(at(7, 9)), Vec::new()), MAX), Ok(()), "a heartbeat");
    }

    #[test]
    fn an_entry_that_cannot_be_applied_is_refused() {
        let garbage = append(Some(at(5, 2)), vec![normal(6, 3, good()), normal(6, 4, Bytes::from_static(b"garbage"))]);
        assert!(matches!(check(&garbage, MAX), Err(Insane::Entry { index: 4, .. })));
        for bytes in [&b"garbage"[..], b"\x01\x00\x00\x00\x00", b"\x01\x00\x01\x00\x00\x00\x00"] {
            let payload = Some(log_entry::Payload::Membership(Bytes::from_static(bytes)));
            let nobody = append(Some(at(5, 2)), vec![LogEntry { at: Some(at(6, 3)), payload }]);
            assert!(matches!(check(&nobody, MAX), Err(Insane::Entry { index: 3, .. })), "{bytes:?}");
        }
    }

    #[test]
    fn holes_and_terms_out_of_order_are_refused() {
        let hole = append(Some(at(5, 2)), vec![normal(6, 4, good())]);
        assert_eq!(check(&hole, MAX), Err(Insane::Hole { expected: 3, found: 4 }));
        let twice = append(None, vec![normal(1, 0, good()), normal(1, 0, good())]);
        assert_eq!(check(&twice, MAX), Err(Insane::Hole { expected: 1, found: 0 }));
        let back = append(Some(at(5, 2)), vec![normal(4, 3, good())]);
        assert_eq!(check(&back, MAX), Err(Insane::Order { index: 3, term: 4 }));
        let beyond = append(Some(at(5, 2)), vec![normal(8, 3, good())]);
        assert_eq!(check(&beyond, MAX), Err(Insane::Order { index: 3, term: 8 }));
    }

    #[test]
    fn a_term_or_index_without_a_next_one_is_refused() {
        let far = |term| Err(Insane::Term { found: term, max: MAX });
        for term in [MAX + 1, u64::MAX] {
            let bodies = [
                Body::Append(Append { vote: vote(term), ..Append::default() }),
                Body::Ballot(Ballot { vote: vote(term), ..Ballot::default() }),
                Body::Vote(Vote { vote: vote(term), ..Vote::default() }),
                Body::Appended(Appended { higher: vote(term), ..Appended::default() }),
                Body::SnapshotBegin(SnapshotBegin { vote: vote(1), last: Some(at(term, 1)), ..SnapshotBegin::default() }),
            ];
            for body in bodies {
                assert_eq!(check(&body, MAX), far(term), "{body:?}");
            }
        }
        assert_eq!(check(&append(Some(at(5, u64::MAX)), vec![normal(6, 0, good())]), MAX), Err(Insane::Index(u64::MAX)));
        assert_eq!((term_max(7, true), term_max(7, false)), (7 + TERMS_AHEAD_MAX, TERM_MAX));
        assert_eq!(term_max(TERM_MAX - 1, true), TERM_MAX);
    }
}
