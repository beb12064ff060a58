//! The receiver, step by step, as a sender sees it that does not keep to the protocol.

use z4_proto::peer::{Failure, RaftVote, SnapshotBegin, SnapshotChunk, SnapshotEnd, failure::Kind};

use super::*;
use crate::partition::Chunk;

/// A receiver with nothing, and what a leader would send it.
struct Steps {
    receiver: Peer,
    begin: SnapshotBegin,
    chunks: Vec<Chunk>,
}

impl Steps {
    async fn new(dir: &Path) -> Steps {
        let source = Peer::lead(dir).await;
        source.write(60).await;
        let chunks = source.view().await.chunks().collect::<Result<Vec<_>, _>>().expect("it reads");
        let members = source.storage.call(|partitions| partitions.get(&GROUP).expect("open").membership()).await;
        let (_, membership) = members.flatten().expect("it has members");
        let vote = RaftVote { term: 7, leader: 1, committed: true };
        let last = z4_proto::peer::LogPosition { term: 1, leader: 1, index: source.state().await.0.expect("some") };
        source.stop().await;
        let begin = SnapshotBegin { transfer: 1, vote: Some(vote), last: Some(last), membership, ..SnapshotBegin::default() };
        let receiver = Peer::start(2, dir).await;
        // Its sender must be reached, or the transfer ends.
        receiver.links.reach().update(1, |reach| reach.links = 1);
        Steps { receiver, begin, chunks }
    }

    async fn ask(&self, body: Body) -> Body {
        let (tx, rx) = oneshot::channel();
        self.receiver.replica.inbound(body, tx);
        rx.await.expect("it is answered")
    }

    async fn begin(&self, transfer: u64, term: u64) -> Body {
        let vote = RaftVote { term, leader: 1, committed: true };
        self.ask(Body::SnapshotBegin(SnapshotBegin { transfer, vote: Some(vote), ..self.begin.clone() })).await
    }

    async fn chunk(&self, transfer: u64, number: usize) -> Body {
        let Chunk { rows, crc, .. } = self.chunks[number].clone();
        self.ask(Body::SnapshotChunk(SnapshotChunk { transfer, number: number as u64, rows, crc })).await
    }

    async fn end(&self, transfer: u64, more_chunks: u64, more_rows: u64) -> Body {
        let rows = self.chunks.iter().map(|chunk| chunk.count).sum::<u64>() + more_rows;
        self.ask(Body::SnapshotEnd(SnapshotEnd { transfer, chunks: self.chunks.len() as u64 + more_chunks, rows })).await
    }

    async fn all_chunks(&self, transfer: u64) {
        for number in 0..self.chunks.len() {
            assert_taken(&self.chunk(transfer, number).await);
        }
    }

    async fn only_the_old_state_is_left(&self) {
        until("the draft goes", async || (self.receiver.generations() == 1).then_some(())).await;
        assert_eq!(self.receiver.state().await.0, None);
    }
}

fn assert_taken(body: &Body) {
    assert!(matches!(body, Body::SnapshotTaken(_)), "{body:?}");
}

fn refused(body: &Body) -> &str {
    let Body::Failure(Failure { kind, text, .. }) = body else { panic!("it was not refused: {body:?}") };
    assert_eq!(*kind, i32::from(Kind::Invalid));
    text
}

/// A newer begin replaces the transfer before it; only the newer one's steps count from then on, and it is installed.
#[test]
fn a_second_begin_replaces_the_first() {
    let dir = temp();
    run(async {
        let steps = Steps::new(dir.path()).await;
        assert_taken(&steps.begin(1, 7).await);
        assert_taken(&steps.chunk(1, 0).await);
        assert_taken(&steps.begin(2, 7).await);
        assert!(refused(&steps.chunk(1, 1).await).contains("no such transfer"));
        assert!(refused(&steps.end(1, 0, 0).await).contains("no such transfer"));
        steps.all_chunks(2).await;
        let Body::SnapshotInstalled(answer) = steps.end(2, 0, 0).await else { panic!("it is installed") };
        assert_eq!(answer.vote, steps.begin.vote);
        assert_eq!(steps.receiver.state().await.0, steps.begin.last.map(|at| at.index));
        until("the first draft and the old state go", async || (steps.receiver.generations() == 1).then_some(())).await;
        steps.receiver.stop().await;
    });
}

/// A leader of the past gets the vote that ends it, and does not disturb the transfer of the present one.
#[test]
fn an_old_leader_is_told_so_and_disturbs_nothing() {
    let dir = temp();
    run(async {
        let steps = Steps::new(dir.path()).await;
        assert_taken(&steps.begin(1, 7).await);
        assert!(refused(&steps.begin(2, 6).await).contains("later leader"));
        steps.all_chunks(1).await;
        assert!(matches!(steps.end(1, 0, 0).await, Body::SnapshotInstalled(_)));
        let Body::SnapshotInstalled(answer) = steps.begin(3, 6).await else { panic!("it hears of the later vote") };
        assert_eq!(answer.vote, steps.begin.vote);
        steps.receiver.stop().await;
    });
}

/// Whatever is missing, doubled, changed or made up ends the transfer, in words, and leaves the old state alone.
#[test]
fn every_disorder_is_refused_and_leaves_nothing() {
    let dir = temp();
    run(async {
        let steps = Steps::new(dir.path()).await;
        assert!(steps.chunks.len() > 2);
        assert!(refused(&steps.chunk(1, 0).await).contains("no such transfer"), "before any begin");

        assert_taken(&steps.begin(2, 7).await);
        assert_taken(&steps.chunk(2, 0).await);
        assert!(refused(&steps.chunk(2, 2).await).contains("chunk 2 came instead of 1"));
        assert!(refused(&steps.chunk(2, 1).await).contains("no such transfer"), "it has ended");
        steps.only_the_old_state_is_left().await;

        assert_taken(&steps.begin(3, 7).await);
        assert_taken(&steps.chunk(3, 0).await);
        assert!(refused(&steps.chunk(3, 0).await).contains("chunk 0 came instead of 1"));

        assert_taken(&steps.begin(4, 7).await);
        assert!(refused(&steps.end(4, 0, 0).await).contains("chunks were announced, 0 came"));

        assert_taken(&steps.begin(5, 7).await);
        steps.all_chunks(5).await;
        assert!(refused(&steps.end(5, 0, 1).await).contains("rows were announced"));

        assert_taken(&steps.begin(6, 7).await);
        let rows = Bytes::from_static(b"\0\x02no rows at all");
        let crc = crc32c::crc32c(&rows);
        let chunk = SnapshotChunk { transfer: 6, number: 0, rows, crc };
        assert!(refused(&steps.ask(Body::SnapshotChunk(chunk)).await).contains("malformed rows"));

        let members = SnapshotBegin { transfer: 7, membership: Bytes::from_static(b"\x09"), ..steps.begin.clone() };
        assert!(refused(&steps.ask(Body::SnapshotBegin(members)).await).contains("malformed membership"));
        let vote = SnapshotBegin { transfer: 8, vote: None, ..steps.begin.clone() };
        assert!(refused(&steps.ask(Body::SnapshotBegin(vote)).await).contains("without its vote"));
        steps.only_the_old_state_is_left().await;
        steps.receiver.stop().await;
    });
}

/// A sender that does not wait for answers cannot fill the memory.
#[test]
fn more_chunks_than_may_wait_are_refused() {
    let dir = temp();
    run(async {
        let steps = Steps::new(dir.path()).await;
        assert_taken(&steps.begin(1, 7).await);
        // All in one turn of the executor: so quick is no disk.
        let mut answers = Vec::new();
        let mut key = 0u64;
        for number in 0..2_000 {
            let mut rows = Vec::new();
            for _ in 0..100 {
                key += 1;
                rows.extend_from_slice(&[0, 9, 0, 0, 0, 100, z4_model::keys::TASK]);
                rows.extend_from_slice(&key.to_be_bytes());
                rows.extend_from_slice(&[7; 100]);
            }
            let (rows, (tx, rx)) = (Bytes::from(rows), oneshot::channel());
            let crc = crc32c::crc32c(&rows);
            steps.receiver.replica.inbound(Body::SnapshotChunk(SnapshotChunk { transfer: 1, number, rows, crc }), tx);
            answers.push(rx);
        }
        let mut overloaded = 0;
        for answer in answers {
            let answer = answer.await.expect("it is answered");
            overloaded += u32::from(matches!(&answer, Body::Failure(failure) if failure.kind == i32::from(Kind::Overloaded)));
        }
        assert_eq!(overloaded, 1, "the transfer ends at the first that is too many");
        steps.only_the_old_state_is_left().await;
        steps.receiver.stop().await;
    });
}
