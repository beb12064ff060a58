//! Frames that no replica sends, from a peer that is broken, or from a stranger who took its place. One of them, taken, was in the log or in
//! the vote for good: every start of the peer ended with it, or no election ever succeeded again.

use std::time::Duration;

use bytes::Bytes;
use z4_proto::peer::{Append, Ballot, Failure, LogEntry, LogPosition, RaftVote, failure, log_entry};

use super::forward_tests::create;
use super::testing::{GROUP, leader, three};
use crate::link::Body;
use crate::runtime::testing::run;

/// An answer comes within this, also on a busy machine.
const ANSWER_MAX: Duration = Duration::from_secs(60);

#[test]
fn frames_that_no_replica_sends_reach_neither_the_log_nor_the_vote() {
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("dir");
    run(async {
        let peers = three(dir.path()).await;
        let at = leader(&peers).await;
        peers[at].shards.submit(create(1, None)).await.expect("made");
        let (broken, follower) = (&peers[at], &peers[(at + 1) % 3]);
        let info = async || follower.shards.groups().await.into_iter().find(|info| info.group == GROUP).expect("open");
        let before = info().await;
        let (term, last) = (before.term, before.last_log_index.expect("a log"));
        let position = |term, index| Some(LogPosition { term, leader: broken.number, index });
        let vote = |term| Some(RaftVote { term, leader: broken.number, committed: true });
        let entry = |index| LogEntry {
            at: position(term, index),
            payload: Some(log_entry::Payload::Normal(Bytes::from_static(b"garbage"))),
        };
        let append = |prev, entries, commit| Body::Append(Append { vote: vote(term), prev, entries, commit });
        let strange = [
            append(position(term, last), vec![entry(last + 1)], position(term, last + 1)),
            append(position(term, last), vec![entry(last + 7)], None),
            Body::Append(Append { vote: vote(u64::MAX), prev: position(term, last), ..Append::default() }),
            Body::Ballot(Ballot { vote: vote(u64::MAX), last: position(u64::MAX, u64::MAX), ..Ballot::default() }),
            Body::Ballot(Ballot { vote: vote(term + (1 << 20)), last: position(term, last), ..Ballot::default() }),
        ];
        for body in strange {
            let told = format!("{body:?}");
            let answer = broken.shard.links().ask(follower.number, GROUP, body, ANSWER_MAX).await.expect("answered");
            let refused = matches!(&answer, Body::Failure(Failure { kind, .. }) if *kind == i32::from(failure::Kind::Invalid));
            assert!(refused, "{told}: {answer:?}");
        }
        assert!(info().await.term < term + 100, "no vote was given for what cannot be");
        peers[leader(&peers).await].shards.submit(create(1, None)).await.expect("the group goes on");
        for peer in peers {
            peer.stop().await;
        }
    });
}
