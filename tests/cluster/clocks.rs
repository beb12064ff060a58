//! Three peers, and the clock of the one that leads is set wrong while they work.
//!
//! What would be wrong: a task that comes early or hours late, one that is due and shown as scheduled, a peer that leads on with a clock
//! that nobody shares and does not say so.

use std::process::Command;

use z4_proto::{CreateTaskRequest, TaskState};

use crate::harness::cluster::Cluster;
use crate::harness::dial::Dial;
use crate::harness::members::info;
use crate::harness::wait::until;
use crate::harness::{ConsumeStream, create, due_at, due_ms, http, now_ms};

const MINUTE: u64 = 60_000;
const HOUR: i64 = 3_600_000;

async fn the_leaders_clock_is_set_wrong(by_ms: i64) {
    let clocks = Dial::new();
    let cluster = Cluster::of_three(&[("TEST_Z4_CLOCK_DIR", &clocks.dir())]).await;
    let (namespace, other_namespace) = (cluster.namespace_of(1, "a").await, cluster.namespace_of(1, "b").await);
    let wrong = cluster.leader(1).await;
    let other = cluster.ids().into_iter().find(|id| *id != wrong).expect("three");
    let client = cluster.client(&other);
    let mut consumer = ConsumeStream::open(&client, &[&namespace], 100).await;
    let later = client.created(due_at(&namespace, "later", now_ms() + 30 * MINUTE)).await;
    let soon_ms = now_ms() + 15_000;
    client.created(due_at(&namespace, "soon", soon_ms)).await;

    clocks.set(&wrong, by_ms);
    let seen = until("the peer says that its clock is wrong", async || {
        let seen = info(&cluster.client(&wrong)).await;
        (seen.clock_outside_ms != 0).then_some(seen.clock_outside_ms)
    })
    .await;
    assert!(seen.abs_diff(by_ms) < MINUTE, "{seen}");
    until("it leads nothing", async || {
        info(&cluster.client(&wrong)).await.groups.iter().all(|group| !group.serves).then_some(())
    })
    .await;
    let told = info(&client).await.members.into_iter().find(|member| member.id == wrong).expect("a member");
    assert!((told.clock_outside_ms - by_ms as f64).abs() < MINUTE as f64, "and the others say so, too: {told:?}");

    // Sent to the peer with the wrong clock.
    let sudden = cluster.client(&wrong).created(create(&other_namespace, "sudden")).await;
    assert!(due_ms(&sudden).abs_diff(now_ms()) < MINUTE, "{sudden:?}");
    // It goes by the others' clocks, which it knows to within a round trip, and takes the earliest time that they may have.
    until("what is created as ready is read as ready", async || {
        let read = cluster.client(&wrong).get(&other_namespace, &sudden.id).await.expect("it is there");
        (read.state() == sudden.state()).then_some(())
    })
    .await;
    let (_, metrics) =
        http::get(&cluster.members.iter().find(|m| m.id == wrong).expect("one").peer.metrics_address(), "/metrics").await;
    assert!(metrics.lines().any(|line| line == "z4_clock_outside 1"), "{metrics}");

    let delivery = consumer.next().await;
    assert!(now_ms() >= soon_ms, "not early");
    assert_eq!(delivery.task.expect("a task").payload, "soon", "and not the one that is due later");
    assert!(due_ms(&later) > now_ms());
    clocks.set(&wrong, 0);
    until("its clock is right again", async || (info(&cluster.client(&wrong)).await.clock_outside_ms == 0).then_some(())).await;
    drop(clocks);
}

#[tokio::test]
async fn a_leader_an_hour_ahead_makes_nothing_early_and_leads_no_more() {
    the_leaders_clock_is_set_wrong(HOUR).await;
}

#[tokio::test]
async fn a_leader_an_hour_behind_makes_nothing_late_and_leads_no_more() {
    the_leaders_clock_is_set_wrong(-HOUR).await;
}

/// Story: creates with request ids, and the clock is set hours forward, back, and forward again, beyond the time for which ids are remembered;
/// the peer is started again while it is behind. An id that is said again makes no second task, whatever the clock says.
#[tokio::test]
async fn request_ids_outlive_steps_of_the_clock() {
    let clocks = Dial::new();
    let mut cluster = Cluster::of_one(&[("TEST_Z4_CLOCK_DIR", &clocks.dir())]).await;
    let client = cluster.client("peer-1");
    let far_ms = now_ms() + 365 * 24 * 60 * MINUTE;
    let request = |id: &str| CreateTaskRequest { request_id: id.to_owned(), ..due_at("a", id, far_ms) };
    let mut made: Vec<(String, String)> = Vec::new();
    for (place, hours) in [0, 5, -7, 3, 0].into_iter().enumerate() {
        clocks.set("peer-1", hours * HOUR);
        until("the clock is followed", async || {
            let probe = client.created(create("probe", "now")).await;
            let is_ms = now_ms().saturating_add_signed(hours * HOUR);
            (due_ms(&probe).abs_diff(is_ms) < MINUTE).then_some(())
        })
        .await;
        for (id, first) in &made {
            let again = client.create(request(id)).await.expect("taken");
            assert_eq!((again.duplicate, &again.task.expect("the earlier one").id), (true, first), "{id}, {hours} hours off");
        }
        let id = format!("request-{place}");
        let first = client.create(request(&id)).await.expect("taken");
        assert!(!first.duplicate);
        made.push((id, first.task.expect("made").id));
        // A lone peer that starts while its clock is ahead cannot tell that from hours in which it was off.
        if hours < 0 {
            cluster.member("peer-1").peer.kill().await;
            cluster.restart("peer-1").await;
            until("it leads again", async || client.try_namespace("a").await.ok()).await;
        }
    }
    assert_eq!(client.namespace("a").await.live, made.len() as u64);
}

/// A peer does not start with a clock that it cannot count with, and says what to do.
#[tokio::test]
async fn a_clock_before_1970_is_refused_at_the_start() {
    let clocks = Dial::new();
    let mut cluster = Cluster::of_one(&[("TEST_Z4_CLOCK_DIR", &clocks.dir())]).await;
    let peer = &mut cluster.member("peer-1").peer;
    peer.kill().await;
    clocks.set("peer-1", -(now_ms() + 60 * MINUTE).cast_signed());
    let attempt = peer.attempt().await;
    assert_eq!(attempt.status.code(), Some(69), "{}", attempt.log);
    assert!(attempt.log.contains("before 1970"), "{}", attempt.log);
}

/// How many tasks `z4t repair-clock` says that it has moved.
fn repair(target: &str) -> u64 {
    let z4t = Command::new(env!("CARGO_BIN_EXE_z4t")).args(["--target", target, "repair-clock"]).output().expect("z4t runs");
    assert!(z4t.status.success(), "{}", String::from_utf8_lossy(&z4t.stderr));
    let last = String::from_utf8_lossy(&z4t.stdout).lines().last().unwrap_or_default().to_owned();
    let told: serde_json::Value = serde_json::from_str(&last).expect("JSON, into a pipe");
    told["moved"].as_u64().expect("a number")
}

/// Story: a lone peer has nobody to ask and believes its clock. What was created while that was ahead waits for a time that is yet to
/// come; an operator has it be due now, and nothing else.
#[tokio::test]
async fn what_a_clock_put_off_is_repaired_and_nothing_else() {
    let clocks = Dial::new();
    let cluster = Cluster::of_one(&[("TEST_Z4_CLOCK_DIR", &clocks.dir())]).await;
    let (client, target) = (cluster.client("peer-1"), cluster.members[0].peer.address());
    let on_purpose = client.created(due_at("a", "later", now_ms() + 30 * MINUTE)).await;
    clocks.set("peer-1", HOUR);
    let put_off = until("the clock is ahead", async || {
        let task = client.created(create("a", "now")).await;
        (due_ms(&task) > now_ms() + 30 * MINUTE).then_some(task)
    })
    .await;
    clocks.set("peer-1", 0);
    until("the clock is right", async || (due_ms(&client.created(create("b", "now")).await) < now_ms() + MINUTE).then_some(()))
        .await;
    assert_eq!(client.get("a", &put_off.id).await.expect("there").state(), TaskState::Scheduled);
    assert!(repair(&target) > 0);
    assert_eq!(client.get("a", &put_off.id).await.expect("there").state(), TaskState::Ready);
    let kept = client.get("a", &on_purpose.id).await.expect("there");
    assert_eq!((due_ms(&kept), kept.state()), (due_ms(&on_purpose), TaskState::Scheduled));
    assert_eq!(repair(&target), 0, "there is nothing to repair any more");
}
