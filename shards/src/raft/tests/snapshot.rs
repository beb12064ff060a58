//! A follower that the log cannot bring up gets everything over the link: whatever happens on the way, it ends up as its leader, and
//! nothing is left of the attempts.

use std::os::unix::fs::FileExt;

use super::*;

/// A leader whose log begins after a few MiB of tasks, and a learner that has nothing, connected.
async fn leader_and_learner(dir: &Path) -> (Peer, Peer) {
    let leader = Peer::lead(dir).await;
    leader.write(120).await;
    leader.trim(NOTHING).await;
    until("the log is purged", async || leader.purged().filter(|at| *at > 50)).await;
    let learner = Peer::start(2, dir).await;
    connect(&leader, &learner);
    (leader, learner)
}

/// Story: the snapshot comes, entries follow it, the learner is stopped and started. It stays equal to its leader all the way, its
/// rows are the leader's, and of what it was before nothing is left on the disk.
#[test]
fn a_learner_gets_a_snapshot_and_goes_on_from_there() {
    let dir = temp();
    run(async {
        let (leader, learner) = leader_and_learner(dir.path()).await;
        leader.add_learner(2).await;
        until_equal(&leader, &learner).await;
        assert_eq!(learner.door.begins.get(), 1);
        assert!(learner.door.chunks.get() > 3, "all in {} chunks", learner.door.chunks.get());
        assert_eq!(rows(&learner.view().await), rows(&leader.view().await));
        until("the old state goes", async || (learner.generations() == 1).then_some(())).await;

        leader.write(5).await;
        until_equal(&leader, &learner).await;
        learner.stop().await;
        leader.write(5).await;
        let learner = Peer::start(2, dir.path()).await;
        connect(&leader, &learner);
        until_equal(&leader, &learner).await;
        assert_eq!(learner.door.begins.get(), 0, "the log was enough");
        learner.stop().await;
        leader.stop().await;
    });
}

/// Story: the disk of a learner gets short in the middle of a transfer. What has come of the snapshot goes at once, and nothing more is
/// taken: the log needs the space, and without it the process would end. With room again the next attempt succeeds.
#[test]
fn a_disk_that_gets_short_ends_the_transfer_and_takes_no_other() {
    let dir = temp();
    run(async {
        let (leader, learner) = leader_and_learner(dir.path()).await;
        let space = learner.links.reach().space().clone();
        let tight = space.clone();
        learner.door.watch(move |body| {
            if matches!(body, Body::SnapshotChunk(chunk) if chunk.number == 2) {
                tight.set_short_of(Some(1 << 20));
            }
            Fate::Pass
        });
        leader.add_learner(2).await;
        until("it is tried again", async || (learner.door.begins.get() >= 3).then_some(())).await;
        until("the draft goes", async || (learner.generations() == 1).then_some(())).await;
        assert_eq!(learner.state().await.2, 0, "nothing was installed");
        learner.door.watch(|_| Fate::Pass);
        space.set_short_of(None);
        until_equal(&leader, &learner).await;
        learner.stop().await;
        leader.stop().await;
    });
}

/// Story: one bit of a chunk flips on the way, in the rows or in what is said of them, or a chunk is lost. The transfer ends, its draft goes, and
/// the next attempt succeeds.
#[test]
fn a_damaged_chunk_ends_the_transfer_and_the_next_one_succeeds() {
    let dir = temp();
    run(async {
        let (leader, learner) = leader_and_learner(dir.path()).await;
        let faults = Cell::new(0);
        learner.door.watch(move |body| {
            let Body::SnapshotChunk(chunk) = body else { return Fate::Pass };
            match (faults.get(), chunk.number) {
                (0, 2) => {
                    let mut rows = chunk.rows.to_vec();
                    let at = rand::random_range(0..rows.len());
                    rows[at] ^= 1 << rand::random_range(0..8);
                    chunk.rows = rows.into();
                }
                (1, 1) => chunk.crc ^= 1,
                (2, 1) => chunk.number = 2,
                (3, 1) => {
                    faults.set(4);
                    return Fate::Lose;
                }
                _ => return Fate::Pass,
            }
            faults.set(faults.get() + 1);
            Fate::Pass
        });
        leader.add_learner(2).await;
        until_equal(&leader, &learner).await;
        assert_eq!(learner.door.begins.get(), 5);
        until("the drafts go", async || (learner.generations() == 1).then_some(())).await;
        learner.stop().await;
        leader.stop().await;
    });
}

/// Story: the link breaks while chunks are on their way. The receiver sees it and removes the draft; with a new link the snapshot
/// comes from the start.
#[test]
fn a_broken_link_leaves_no_draft_and_a_new_one_starts_over() {
    let dir = temp();
    run(async {
        let (leader, learner) = leader_and_learner(dir.path()).await;
        learner.door.watch(|body| match body {
            Body::SnapshotChunk(chunk) if chunk.number >= 2 => Fate::Hold,
            _ => Fate::Pass,
        });
        leader.add_learner(2).await;
        until("chunks are held", async || (!learner.door.held.borrow().is_empty()).then_some(())).await;
        assert_eq!(learner.generations(), 2, "a draft is under way");
        leader.links.close();
        until("the draft goes", async || (learner.generations() == 1).then_some(())).await;
        learner.door.held.take();
        learner.door.release();
        assert_eq!(learner.state().await.0, None, "half a snapshot counts for nothing");

        connect(&leader, &learner);
        until_equal(&leader, &learner).await;
        assert_eq!(learner.door.begins.get(), 2);
        learner.stop().await;
        leader.stop().await;
    });
}

/// Story: the receiver is stopped, as by a crash, with half of a snapshot on its disk. Started again it has what it had before, and
/// the next snapshot makes it equal.
#[test]
fn a_receiver_that_stops_half_way_starts_with_what_it_had() {
    let dir = temp();
    run(async {
        let (leader, learner) = leader_and_learner(dir.path()).await;
        learner.door.watch(|body| match body {
            Body::SnapshotChunk(chunk) if chunk.number >= 2 => Fate::Hold,
            _ => Fate::Pass,
        });
        leader.add_learner(2).await;
        until("chunks are held", async || (!learner.door.held.borrow().is_empty()).then_some(())).await;
        // What a crash leaves: the draft as it is now, beside the old state.
        let crashed = dir.path().join("crashed");
        copy(&learner.dir.join("group"), &crashed.join("peer-2").join("group"));
        learner.stop().await;

        let learner = Peer::start(2, &crashed).await;
        assert_eq!((learner.state().await.0, learner.generations()), (None, 1));
        connect(&leader, &learner);
        until_equal(&leader, &learner).await;
        learner.stop().await;
        leader.stop().await;
    });
}

/// The tables of tasks of a peer, with their sizes, bytes.
fn tables(peer: &Peer) -> Vec<(u64, PathBuf)> {
    let dir = peer.dir.join("group/generation-1/keyspaces/1/tables");
    let tables = std::fs::read_dir(dir).into_iter().flatten().flatten();
    tables.map(|entry| (entry.metadata().map_or(0, |file| file.len()), entry.path())).collect()
}

/// Story: a row of the leader is damaged, and the snapshot is the first that reads it. Others may have the row, so the leader need not end
/// for that: the transfer fails and is tried again, and the group goes on.
#[test]
fn damage_that_a_snapshot_meets_ends_the_transfer_and_not_the_leader() {
    let dir = temp();
    run(async {
        let (leader, learner) = leader_and_learner(dir.path()).await;
        let found = async || tables(&leader).into_iter().max().filter(|(bytes, _)| *bytes > 500_000);
        let (bytes, table) = until("rows are in a table", found).await;
        let file = std::fs::OpenOptions::new().read(true).write(true).open(table).expect("the table opens");
        let mut byte = [0];
        file.read_exact_at(&mut byte, bytes / 2).expect("it is as long");
        file.write_all_at(&[byte[0] ^ 0x10], bytes / 2).expect("written");
        leader.add_learner(2).await;
        until("it is tried again", async || (learner.door.begins.get() >= 3).then_some(())).await;
        assert!(leader.replica.status().leads);
        leader.write(1).await;
        assert_eq!(learner.state().await.2, 0, "nothing was installed");
        learner.stop().await;
        leader.stop().await;
    });
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("read") {
        let entry = entry.expect("entry");
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).expect("copied")),
        }
    }
}

/// Story: while the snapshot is on its way its leader loses interest (its replica stops, its links stay). The receiver is told that
/// nothing more comes, and keeps what it had.
#[test]
fn a_sender_that_gives_up_says_so() {
    let dir = temp();
    run(async {
        let (leader, learner) = leader_and_learner(dir.path()).await;
        let told = Rc::new(Cell::new(false));
        let hears = Rc::clone(&told);
        learner.door.watch(move |body| match body {
            Body::SnapshotChunk(chunk) if chunk.number >= 2 => Fate::Hold,
            Body::SnapshotEnd(end) => {
                hears.set(end.chunks == crate::raft::snapshot_send::GIVEN_UP);
                Fate::Pass
            }
            _ => Fate::Pass,
        });
        leader.add_learner(2).await;
        until("chunks are held", async || (!learner.door.held.borrow().is_empty()).then_some(())).await;
        leader.replica.shutdown().await;
        until("the draft goes", async || (learner.generations() == 1).then_some(())).await;
        assert!(told.get());
        assert_eq!(learner.state().await.0, None);
        learner.stop().await;
        leader.stop().await;
    });
}
