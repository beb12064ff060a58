//! Consumers under overload, at a shard that starts, and when all of them go at once. What would be wrong: two executors that wait for
//! each other for ever, a consumer that is never given anything although it has credit and there are tasks.

use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use futures_util::future::join_all;
use z4_model::ids::{GroupId, Namespace, SLOTS, TaskId};

use super::forward_tests::create;
use super::testing::{Peer, options, until};
use crate::log::{Log, LogOptions};
use crate::runtime::executor::{self, ExecutorThread};
use crate::runtime::mailbox::Receiver;
use crate::runtime::testing::run;
use crate::shard::api::{Consistency, Settle, Verdict};
use crate::shard::handle::{Consumer, Shards};
use crate::shard::{Message, Shard};
use crate::storage::Storage;

const BYTES: usize = 1 << 20;

/// No test waits longer for what must happen.
const AT_MOST: Duration = Duration::from_secs(120);

fn dir() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("dir")
}

/// Slots that belong to groups 1 and 2 in turn.
fn slots() -> Vec<GroupId> {
    (0..SLOTS).map(|slot| GroupId(1 + slot % 2)).collect()
}

/// The `n`th namespace of one of the two groups.
fn name(group: u16, n: usize) -> Namespace {
    let all = (0..).map(|i| Namespace::new(&format!("ns-{i}")).expect("valid"));
    all.filter(|name| 1 + name.slot() % 2 == group).nth(n).expect("endless")
}

/// Two shards on executors of their own, with small mailboxes; `work` runs on each beside the shard.
fn two_shards<F>(
    dir: &Path,
    mailbox: usize,
    work: impl Fn(usize, Shards) -> F + Clone + Send + 'static,
) -> Vec<ExecutorThread<()>>
where
    F: Future<Output = ()> + 'static,
{
    let (shards, inboxes) = Shards::new(2, mailbox);
    shards.set_slots(&slots());
    let start = |(index, inbox): (usize, Receiver<Message>)| {
        let (shards, dir, work) = (shards.clone(), dir.join(format!("shard-{index}")), work.clone());
        let body = move || async move {
            let log = LogOptions { segment_bytes: 1 << 20, ..LogOptions::default() };
            let log = Log::open(dir.join("log"), log).await.expect("log");
            let storage = Storage::start("test-store").expect("storage");
            let options = options(&dir, super::BatchLimits::default());
            let shard = Shard::new(index, options, log, storage, shards.reach().clone());
            shards.bind(index, Rc::clone(&shard));
            if index == 0 {
                shards.identify(1, "test");
            }
            executor::spawn(work(index, shards.clone()));
            shard.run(inbox, &shards).await;
            shards.unbind();
        };
        executor::start("parking-test", index, body).expect("executor")
    };
    inboxes.into_iter().enumerate().map(start).collect()
}

/// Waits until both have stopped.
fn ended(threads: Vec<ExecutorThread<()>>) {
    let (tx, rx) = mpsc::channel();
    std::thread::spawn(move || {
        threads.into_iter().for_each(|thread| thread.join().expect("it ended"));
        let _ = tx.send(());
    });
    rx.recv_timeout(AT_MOST).expect("both shards stop");
}

/// Story: each of two shards has hundreds of consumers with namespaces in both, and all of them go in the same moment, as when a rack of
/// clients loses its network. Neither shard can take anything from its mailbox while it lets its consumers go, and both mailboxes are full.
#[test]
fn consumers_that_vanish_at_once_do_not_make_two_shards_wait_for_each_other() {
    let dir = dir();
    let (both, ready, (tx, rx)) = (Arc::new(Barrier::new(2)), Arc::new(AtomicUsize::new(0)), mpsc::channel());
    let threads = two_shards(dir.path(), 64, move |index, shards| {
        let (both, ready, tx) = (Arc::clone(&both), Arc::clone(&ready), tx.clone());
        async move {
            let mut consumers = Vec::new();
            while consumers.len() < 200 {
                match shards.consume(vec![name(1, 0), name(2, 0)], 0, BYTES) {
                    Ok(consumer) => consumers.push(consumer),
                    // The other shard's mailbox is full, which refuses a consumer and is no trouble.
                    Err(_) => executor::sleep(Duration::from_millis(1)).await,
                }
            }
            ready.fetch_add(1, Ordering::SeqCst);
            until("both have theirs", async || (ready.load(Ordering::SeqCst) == 2).then_some(())).await;
            // From here on neither executor does anything else.
            both.wait();
            drop(consumers);
            let _ = tx.send(());
            if index == 0 {
                shards.stop().await.expect("it stops");
            }
        }
    });
    for what in ["one shard goes on", "the other one goes on"] {
        rx.recv_timeout(AT_MOST).unwrap_or_else(|_| panic!("not within two minutes: {what}"));
    }
    ended(threads);
}

/// Story: an engine has asked for a kick, and when credit comes its shard's mailbox is full. It must hear of the credit all the same: it
/// does not look by itself, and the stream says it once.
#[test]
fn a_kick_that_meets_a_full_mailbox_arrives_and_is_there_once() {
    run(async {
        let (shards, mut inboxes) = Shards::new(2, 4);
        shards.set_slots(&slots());
        let consumer = shards.consume(vec![name(1, 0)], 0, BYTES).expect("consumes");
        let mut inbox = inboxes.remove(1);
        let mut got = Vec::new();
        inbox.receive(&mut got, 1).await;
        let Some(Message::Subscribe(_, subscription)) = got.pop() else { panic!("a subscription") };
        for round in 0..3 {
            assert!(subscription.flow.park(), "round {round}: there is nothing to wait for");
            while shards.post_to(1, Message::Arm).is_ok() {}
            consumer.add_credit(1);
            // Another engine parks and is kicked, before this one has heard.
            let _ = subscription.flow.park();
            consumer.add_credit(1);
            inbox.receive(&mut got, 99).await;
            let kicks = got.drain(..).filter_map(|message| match message {
                Message::Kick(kick) => Some((kick.group(), kick.arrived())),
                _ => None,
            });
            assert_eq!(kicks.collect::<Vec<_>>(), [(GroupId(1), subscription.consumer)], "round {round}");
            assert_eq!(subscription.flow.try_take(9), 2);
        }
    });
}

/// Takes `tasks` tasks one by one: each is acknowledged, and only then there is credit for the next one.
async fn work_off(shards: Shards, namespace: Namespace, tasks: usize) {
    let mut consumer: Consumer = loop {
        match shards.consume(vec![namespace.clone()], 0, BYTES) {
            Ok(consumer) => break consumer,
            Err(_) => executor::sleep(Duration::from_millis(1)).await,
        }
    };
    consumer.add_credit(1);
    let mut left = tasks;
    while left > 0 {
        for task in consumer.next().await.expect("the stream goes on") {
            let ack = || vec![Settle { id: task.id, token: task.token, verdict: Verdict::Ack }];
            while shards.settle(namespace.clone(), ack()).await.pop().is_none_or(|settled| settled.is_err()) {
                executor::sleep(Duration::from_millis(1)).await;
            }
            left -= 1;
            consumer.add_credit(1);
        }
    }
}

/// Story: twelve consumers take their tasks one by one, at the shard that does not lead their group, while both shards are flooded with
/// reads, so that their mailboxes are full most of the time. Each consumer gets all of its tasks.
#[test]
fn overload_leaves_no_consumer_without_its_tasks() {
    const TASKS: usize = 60;
    let dir = dir();
    let (tx, rx) = mpsc::channel();
    let (ready, done, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let threads = two_shards(dir.path(), 64, move |index, shards| {
        let (ready, done, over, tx) = (Arc::clone(&ready), Arc::clone(&done), Arc::clone(&over), tx.clone());
        async move {
            // Group 1 is on shard 1, group 2 on shard 0: each shard's consumers and reads are for the other one's group.
            let other = 1 + index as u16;
            if index == 0 {
                for group in [GroupId(1), GroupId(2)] {
                    shards.open(group, vec![(1, "peer-1:1".to_owned())]).await.expect("open");
                }
            }
            until("both lead", async || (shards.groups().await.iter().filter(|group| group.serves).count() == 2).then_some(()))
                .await;
            for n in 0..6 {
                let mut command = create(1, None);
                command.namespace = name(other, n);
                let mut made = 0;
                while made < TASKS {
                    made += usize::from(shards.submit(command.clone()).await.is_ok());
                }
            }
            ready.fetch_add(1, Ordering::SeqCst);
            until("both are ready", async || (ready.load(Ordering::SeqCst) == 2).then_some(())).await;
            for _ in 0..4 {
                let (shards, over) = (shards.clone(), Arc::clone(&over));
                executor::spawn(async move {
                    let id = TaskId { due_ms: 1, group: GroupId(other), sequence: 1 };
                    while !over.load(Ordering::SeqCst) {
                        join_all((0..100).map(|_| shards.get(name(other, 0), id, Consistency::Stale))).await;
                        executor::yield_now().await;
                    }
                });
            }
            join_all((0..6).map(|n| work_off(shards.clone(), name(other, n), TASKS))).await;
            let _ = tx.send(index);
            if done.fetch_add(1, Ordering::SeqCst) == 1 {
                over.store(true, Ordering::SeqCst);
                shards.stop().await.expect("it stops");
            }
        }
    });
    for _ in 0..2 {
        rx.recv_timeout(AT_MOST).expect("a shard's consumers have what is theirs");
    }
    ended(threads);
}

/// Story: a peer starts. Its port is open, one group is, too, and a client re-opens its stream with namespaces of both groups before the
/// second one is open. Another client came and went. The first one gets the tasks of both groups; the second one holds none.
#[test]
fn a_consumer_that_comes_before_its_group_is_open_is_served_when_it_opens() {
    let dir = dir();
    run(async {
        let peer = Peer::start(1, dir.path()).await;
        peer.shards.set_slots(&slots());
        let voters = || vec![(1, "peer-1:1".to_owned())];
        peer.shards.open(GroupId(1), voters()).await.expect("open");
        let gone = peer.shards.consume(vec![name(1, 0), name(2, 0)], 60_000, BYTES).expect("consumes");
        let mut consumer = peer.shards.consume(vec![name(1, 0), name(2, 0)], 60_000, BYTES).expect("consumes");
        gone.add_credit(10);
        consumer.add_credit(10);
        drop(gone);
        peer.shards.open(GroupId(2), voters()).await.expect("open");
        for group in [1, 2] {
            until("it serves", async || {
                let mut command = create(1, None);
                command.namespace = name(group, 0);
                peer.shards.submit(command).await.ok()
            })
            .await;
        }
        let mut namespaces = Vec::new();
        until("a task of each", async || {
            namespaces.extend(consumer.try_next().into_iter().flatten().map(|task| task.namespace));
            (namespaces.len() == 2).then_some(())
        })
        .await;
        namespaces.sort();
        let mut expected = [name(1, 0), name(2, 0)];
        expected.sort();
        assert_eq!(namespaces, expected);
        peer.shards.end_consumers();
        assert!(consumer.next().await.is_none(), "its stream ends with the peer");
        let late = peer.shards.consume(vec![name(1, 0)], 0, BYTES).expect("consumes");
        let mut late = late;
        assert!(late.next().await.is_none(), "and so does one that comes afterwards");
        peer.stop().await;
    });
}
