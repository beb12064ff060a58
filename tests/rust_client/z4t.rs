//! z4t against peers that are played: what it asks for, how long it waits, what it prints, with which status it ends.
//!
//! What would be wrong: "peer added" before the peer is a voter of every group; a wait that ends with --timeout, or never; a peer that
//! is down and the next target not asked.

use std::process::{Command, Output, Stdio};

use tonic::Status;
use z4_proto::*;

use super::fake::{Fake, Fate, Play, Tasks, member, within};

async fn z4t(line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_z4t"));
    // For people: nobody here is at a terminal.
    command.args(["-o", "table"]).args(line.split(' ')).stdin(Stdio::null());
    // The peers are played on this thread.
    let running = tokio::task::spawn_blocking(move || command.output());
    within("z4t ends", running).await.expect("no panic").expect("z4t runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Runs it with success; returns what it printed on stdout and on stderr.
async fn done(line: &str) -> (String, String) {
    let output = z4t(line).await;
    assert!(output.status.success(), "z4t {line}: {}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

/// Runs it without success; returns its exit status and its last line on stderr.
async fn fails(line: &str) -> (i32, String) {
    let output = z4t(line).await;
    assert!(!output.status.success(), "z4t {line} succeeded: {}", text(&output.stdout));
    let last = text(&output.stderr).lines().last().unwrap_or_default().to_owned();
    (output.status.code().expect("an exit status"), last)
}

/// A group that `a` leads, with these replicas; the ones in brackets learn, with a lag of 7.
fn group(id: u32, replicas: &[&str]) -> Group {
    let replica = |name: &&str| Replica {
        peer_id: name.trim_matches(['(', ')']).into(),
        voter: !name.starts_with('('),
        matched_index: Some(93),
        lag: Some(if name.starts_with('(') { 7 } else { 0 }),
    };
    let replicas = replicas.iter().map(replica).collect();
    Group { id, leader: "a".into(), term: 3, last_log_index: 100, applied_index: 99, replicas, ..Group::default() }
}

/// What `a` says: it is a member, and this is how far its two groups are.
fn info(peer: &Fake, first: &[&str], second: &[&str]) -> ClusterInfo {
    ClusterInfo {
        server_id: "a".into(),
        members: vec![member("a", "a:6356", &peer.address())],
        groups: vec![group(0, first), group(1, second)],
        membership: Membership::Member.into(),
        cluster_id: "f00".into(),
        ..ClusterInfo::default()
    }
}

async fn peer(play: impl FnOnce(&Fake, &mut Play)) -> Fake {
    let fake = Fake::start(&Tasks::default()).await;
    play(&fake, &mut fake.play());
    fake
}

/// The peer is added when it is a voter of every group. Before that, a line per step.
#[tokio::test]
async fn add_peer_waits_for_every_group() {
    let a = peer(|a, play| {
        let steps = [info(a, &["a"], &["a"]), info(a, &["a", "(b)"], &["a"]), info(a, &["a", "b"], &["a", "(b)"])];
        play.infos.extend(steps);
        play.info = info(a, &["a", "b"], &["a", "b"]);
    })
    .await;
    // A short --timeout is about one answer, not about the wait.
    let (out, err) = done(&format!("-t {} -p b:6356 -id b add-peer --timeout 200ms", a.address())).await;
    assert_eq!(out, "peer added\n");
    let steps = "b: 0 of 2 groups have it as a voter, 7 entries behind\nb: 1 of 2 groups have it as a voter, 7 entries behind\n";
    assert_eq!(err, steps);
    assert_eq!(a.play().request_ids, ["b@b:6356"]);
}

/// A wait that is over says what is missing, and why the peer is not there.
#[tokio::test]
async fn add_peer_gives_up_after_its_wait() {
    let a = peer(|a, play| {
        play.info = info(a, &["a", "b"], &["a", "(b)"]);
        play.info.members.push(Server { connection_error: "nobody listens".into(), ..member("b", "b:6356", "") });
    })
    .await;
    let (code, line) = fails(&format!("-t {} -p b:6356 -id b add-peer --wait 600ms", a.address())).await;
    assert_eq!(code, 1);
    assert!(line.contains("b is not a voter of: group 1 (nobody listens)") && line.contains("(--wait)"), "{line}");
    let (out, err) = done(&format!("-t {} -p b:6356 -id b add-peer --no-wait", a.address())).await;
    assert_eq!((out.as_str(), err.as_str()), ("adding peer b\n", ""));
}

/// A refusal is said at once, with its reason.
#[tokio::test]
async fn a_refused_change_is_not_waited_for() {
    let refused = Fate::Refused(Status::already_exists("peer b is a member at c:6356"));
    let a = peer(|_, play| play.script.push_back(refused)).await;
    let (code, line) = fails(&format!("-t {} -p b:6356 -id b add-peer", a.address())).await;
    assert_eq!((code, line), (1, format!("z4t: {}: ALREADY_EXISTS: peer b is a member at c:6356", a.address())));
}

/// The peer that is removed may be the one that is asked: the others say when it is done. What it says itself counts no more.
#[tokio::test]
async fn remove_peer_waits_for_the_others() {
    let a = peer(|a, play| {
        play.infos.extend([info(a, &["a", "b"], &["a", "b"]), info(a, &["a"], &["a", "b"])]);
        play.info = info(a, &["a"], &["a"]);
    })
    .await;
    let b = peer(|_, play| play.info = ClusterInfo { server_id: "b".into(), ..info(&a, &["a", "b"], &["a", "b"]) }).await;
    let (out, err) = done(&format!("-t {} remove-peer -id b", b.address())).await;
    assert_eq!(out, "peer removed\n");
    assert!(err.ends_with("b: 1 of 2 groups are without it\n"), "{err}");
    assert_eq!((b.play().request_ids.join(","), a.play().request_ids.len()), ("b".to_owned(), 0));
}

/// The table shows what leaders know, although another peer was asked; JSON has the same.
#[tokio::test]
async fn info_asks_the_leaders() {
    let a = peer(|a, play| play.info = info(a, &["a", "(b)"], &["a", "b"])).await;
    let b = peer(|_, play| {
        play.info = ClusterInfo { server_id: "b".into(), ..info(&a, &["a", "(b)"], &["a", "b"]) };
        for replica in play.info.groups.iter_mut().flat_map(|group| &mut group.replicas) {
            (replica.matched_index, replica.lag) = (None, None);
        }
    })
    .await;
    let (table, _) = done(&format!("-t {} info", b.address())).await;
    assert!(table.starts_with("b is a member of cluster f00\n"), "{table}");
    assert!(table.contains("a 93 (0), b learner 93 (7)\n"), "{table}");
    let (json, _) = done(&format!("-t {} --json info", b.address())).await;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["groups"][0]["replicas"][1]["lag"], &json["server_id"]), (&7.into(), &"b".into()));
    // A leader that cannot be reached is no reason to say nothing.
    drop(a);
    let (table, _) = done(&format!("-t {} info", b.address())).await;
    assert!(table.contains("(?)") || table.contains("(7)"), "{table}");
}

/// Several targets: the next one is asked when one is down.
#[tokio::test]
async fn targets_stand_in_for_each_other() {
    let mut dead = peer(|_, _| {}).await;
    dead.kill();
    let a = peer(|a, play| play.info = info(a, &["a"], &["a"])).await;
    let targets = format!("{},{}", dead.address(), a.address());
    assert_eq!(done(&format!("-t {targets} transfer-leader --group 1 --to a")).await.0, "a leads group 1\n");
    assert_eq!(done(&format!("-t {targets} rebalance")).await.0, "leadership is being spread\n");
    assert_eq!(a.play().request_ids, ["1>a"]);
    let (code, line) = fails(&format!("-t {targets} ping")).await;
    assert!(code == 1 && line.starts_with(&format!("z4t: {}: UNAVAILABLE", dead.address())), "{line}");
}

/// A hash is that of the target, in hexadecimal digits.
#[tokio::test]
async fn hash_prints_index_and_hash() {
    let a = peer(|_, _| {}).await;
    let (out, _) = done(&format!("-t {} hash --group 1", a.address())).await;
    assert_eq!(out, format!("{} group 1 applied 42 hash 000000000000abc1\n", a.address()));
}
