//! A rolling restart, as every upgrade is one: each peer is asked to stop (SIGTERM) and started again, one after the other, under load.
//!
//! What would be wrong: a task that is delivered to a second consumer while the first one works on it, an ack that is refused because the
//! leader changed, an attempt that counts although nobody failed, a group that is without a leader for long.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use z4::client::{Client, Delivery};

use crate::harness::cluster::Cluster;
use crate::harness::create;
use crate::harness::wait::{until, within};

/// How often each task was delivered, and with which attempt last.
type Seen = Arc<Mutex<BTreeMap<String, (u32, u32)>>>;

/// Works on tasks for a while each, some longer than a restart takes, and acks them. Ends when it is told to and has nothing left.
async fn consume(client: Client, namespaces: Vec<String>, seen: Seen, over: Arc<AtomicBool>) -> BTreeSet<String> {
    let mut consumer = client.consumer(namespaces).credit(40).lease(Duration::from_secs(60)).open();
    let (mut at_work, mut done) = (JoinSet::new(), BTreeSet::new());
    loop {
        tokio::select! {
            next = consumer.next() => {
                let delivery: Delivery = next.expect("a delivery");
                let id = delivery.task().id.clone();
                {
                    let mut seen = seen.lock().expect("no panic");
                    let entry = seen.entry(id.clone()).or_default();
                    *entry = (entry.0 + 1, delivery.attempt());
                }
                let work = Duration::from_millis(100 + 700 * u64::from(id.as_bytes().last().copied().unwrap_or(0) % 8));
                at_work.spawn(async move {
                    tokio::time::sleep(work).await;
                    (id, delivery.ack().await)
                });
            }
            Some(acked) = at_work.join_next() => {
                let (id, answer) = acked.expect("no panic");
                answer.unwrap_or_else(|error| panic!("the ack of {id} was refused: {error}"));
                done.insert(id);
            }
            () = tokio::time::sleep(Duration::from_millis(200)) => {
                if at_work.is_empty() && over.load(Ordering::Relaxed) {
                    return done;
                }
            }
        }
    }
}

/// Creates tasks that are due, again and again until each is made, until it is told to end.
async fn produce(client: Client, namespaces: Vec<String>, over: Arc<AtomicBool>) -> BTreeSet<String> {
    let mut made = BTreeSet::new();
    for (n, namespace) in namespaces.iter().cycle().enumerate() {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let mut request = create(namespace, &n.to_string());
        request.request_id = format!("request-{n}");
        let created = client.create(request).await.expect("created");
        made.insert(created.task.expect("a task").id);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    made
}

#[tokio::test]
async fn a_rolling_restart_delivers_nothing_twice_and_refuses_no_ack() {
    let mut cluster = Cluster::of_three(&[]).await;
    let namespaces = vec![cluster.namespace_of(1, "mail").await, cluster.namespace_of(2, "mail").await];
    let addresses: Vec<String> = cluster.members.iter().map(|member| member.peer.address()).collect();
    let client = || Client::builder().timeout(Duration::from_secs(120)).connect(addresses.clone()).expect("addresses");
    let (seen, over, made_all) = (Seen::default(), Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let producing = tokio::spawn(produce(client(), namespaces.clone(), Arc::clone(&made_all)));
    let consuming: Vec<_> =
        (0..3).map(|_| tokio::spawn(consume(client(), namespaces.clone(), Arc::clone(&seen), Arc::clone(&over)))).collect();
    let delivered = || seen.lock().expect("no panic").len();
    until("work is under way", async || (delivered() > 100).then_some(())).await;
    for id in cluster.ids() {
        // All groups at the peer that stops: each of its leases has to move.
        cluster.lead_all_by(&id).await;
        let before = delivered();
        until("it delivers", async || (delivered() > before + 20).then_some(())).await;
        let status = cluster.member(&id).peer.terminate().await;
        assert!(status.success(), "{id} ended with {status}");
        let log = cluster.member(&id).peer.log();
        let errors: Vec<_> = log.lines().filter(|line| line.contains("ERROR")).collect();
        assert!(errors.is_empty(), "{id} ends as it was asked to, and tells of errors: {errors:#?}");
        let before = delivered();
        until("deliveries go on without it", async || (delivered() > before + 20).then_some(())).await;
        cluster.restart(&id).await;
        cluster.until_voters(&["peer-1", "peer-2", "peer-3"]).await;
    }
    made_all.store(true, Ordering::Relaxed);
    let made = within("the producer ends", producing).await.expect("no panic");
    until("every task was delivered", async || (delivered() >= made.len()).then_some(())).await;
    over.store(true, Ordering::Relaxed);
    let mut done = BTreeSet::new();
    for consuming in consuming {
        done.extend(within("the consumer ends", consuming).await.expect("no panic"));
    }
    assert_eq!(done, made, "each task is done");
    let seen = seen.lock().expect("no panic");
    let again: Vec<_> = seen.iter().filter(|(_, seen)| **seen != (1, 1)).collect();
    assert!(again.is_empty(), "{} of {} tasks came again, or with an attempt that counted: {again:?}", again.len(), seen.len());
}
