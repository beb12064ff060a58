//! One simulated life of a cluster: clients at work, faults, and what must hold in the end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use z4_model::command::{Command, Create, Op, OpReply};
use z4_model::ids::{Namespace, RequestHash, TaskId};
use z4_model::rows::metadata::pack_metadata;
use z4_simulated::runtime::sim::{clock, world};
use z4_simulated::runtime::{executor, net};
use z4_simulated::shard::api::{Consistency, Settle, Verdict};

use crate::cluster::Cluster;

/// How long what lasts, in simulated time.
#[derive(Clone, Copy, Debug)]
pub struct Spans {
    /// Faults come.
    pub faults: Duration,
    /// Then there is peace, in which everything has to serve again.
    pub peace: Duration,
}

impl Default for Spans {
    fn default() -> Self {
        Spans { faults: Duration::from_secs(30), peace: Duration::from_secs(30) }
    }
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub struct End {
    /// Tasks whose create was acknowledged.
    pub created: usize,
    /// Tasks whose ack was acknowledged.
    pub acked: usize,
    /// Deliveries.
    pub delivered: usize,
    /// Faults.
    pub faults: usize,
    /// The trace and the turns of the world.
    pub trace: (u64, u64),
}

#[derive(Default)]
struct History {
    created: BTreeMap<TaskId, u64>,
    acked: BTreeMap<TaskId, ()>,
    /// Acks were sent for these, and what came of it is not known.
    unknown: BTreeMap<TaskId, ()>,
    delivered: usize,
    faults: usize,
    over: bool,
}

fn namespace() -> Namespace {
    Namespace::new("a").expect("valid")
}

/// Lives through one seed. Panics when something does not hold.
pub fn run(seed: u64, spans: Spans) -> End {
    world::run(seed, live(spans))
}

async fn live(spans: Spans) -> End {
    let cluster = Cluster::start(3);
    let history = Rc::new(RefCell::new(History::default()));
    for n in 0..4 {
        executor::spawn(create(Rc::clone(&cluster), Rc::clone(&history), n));
    }
    for _ in 0..2 {
        executor::spawn(consume(Rc::clone(&cluster), Rc::clone(&history)));
    }
    if std::env::var_os("Z4_SIMULATE_WATCH").is_some() {
        executor::spawn(watch(Rc::clone(&cluster), Rc::clone(&history)));
    }
    disturb(&cluster, &history, spans.faults).await;
    executor::sleep(spans.peace).await;
    history.borrow_mut().over = true;
    executor::sleep(Duration::from_secs(1)).await;
    for peer in &cluster.peers {
        assert!(peer.fatal.borrow().is_empty(), "peer {} ended: {:?}", peer.number, peer.fatal.borrow());
    }
    check(&cluster, &history).await;
    let history = history.borrow();
    End {
        created: history.created.len(),
        acked: history.acked.len(),
        delivered: history.delivered,
        faults: history.faults,
        trace: world::trace(),
    }
}

/// Kills and cuts, one peer at a time, and parts the network.
async fn disturb(cluster: &Rc<Cluster>, history: &Rc<RefCell<History>>, lasts: Duration) {
    let until = clock::monotonic() + lasts;
    while clock::monotonic() < until {
        executor::sleep(Duration::from_millis(100 + world::below(3_000))).await;
        history.borrow_mut().faults += 1;
        let at = world::below(cluster.peers.len() as u64) as usize;
        let peer = &cluster.peers[at];
        let rest = Duration::from_millis(1 + world::below(3_000));
        match world::below(4) {
            0 => {
                peer.kill();
                executor::sleep(rest).await;
                cluster.restart(at);
            }
            1 => {
                peer.cut_power();
                executor::sleep(rest).await;
                cluster.restart(at);
            }
            2 => world::pause(peer.place, rest),
            _ => {
                for other in &cluster.peers {
                    let (to, fro) = (world::once_in(2), world::once_in(2));
                    net::set_way(peer.place, other.place, net::Way { cut: to, ..net::Way::default() });
                    net::set_way(other.place, peer.place, net::Way { cut: fro, ..net::Way::default() });
                }
                executor::sleep(rest * 3).await;
                net::mend();
            }
        }
    }
    net::mend();
}

async fn create(cluster: Rc<Cluster>, history: Rc<RefCell<History>>, client: u64) {
    for n in 0.. {
        if history.borrow().over {
            return;
        }
        let request = client << 32 | n;
        let due_ms = clock::wall_ms() + world::below(5_000);
        loop {
            let at = world::below(cluster.peers.len() as u64) as usize;
            executor::sleep(Duration::from_millis(1 + world::below(40))).await;
            let Some(shards) = cluster.peers[at].shards() else { continue };
            let create = Create {
                request: Some(RequestHash(u128::from(request))),
                due_ms,
                asked_ms: None,
                sequence: 0,
                metadata: pack_metadata([].into_iter()),
                payload: Bytes::copy_from_slice(&request.to_be_bytes()),
            };
            let submit = shards.submit(Command { namespace: namespace(), ops: vec![Op::Create(create)] });
            let Some(submitted) = cluster.peers[at].call(submit).await else { continue };
            match submitted {
                Ok(answered) => {
                    for reply in answered.value {
                        if let OpReply::Created(created) = reply {
                            history.borrow_mut().created.insert(created.id, request);
                        }
                    }
                    break;
                }
                Err(_) if history.borrow().over => return,
                Err(_) => {}
            }
        }
    }
}

async fn consume(cluster: Rc<Cluster>, history: Rc<RefCell<History>>) {
    while !history.borrow().over {
        executor::sleep(Duration::from_millis(100)).await;
        let at = world::below(cluster.peers.len() as u64) as usize;
        let Some(shards) = cluster.peers[at].shards() else { continue };
        let Ok(mut consumer) = shards.consume(vec![namespace()], 2_000, 1 << 20) else { continue };
        consumer.add_credit(50);
        while let Some(tasks) = cluster.peers[at].call(consumer.next()).await.flatten() {
            let now_ms = clock::wall_ms();
            let count = tasks.len();
            history.borrow_mut().delivered += count;
            consumer.sent(count as u64);
            for task in &tasks {
                assert!(task.key.due_ms <= now_ms, "{} is delivered {} ms early", task.id, task.key.due_ms - now_ms);
            }
            let settles = tasks.iter().map(|task| Settle { id: task.id, token: task.token, verdict: Verdict::Ack }).collect();
            history.borrow_mut().unknown.extend(tasks.iter().map(|task| (task.id, ())));
            let settle = shards.settle(namespace(), settles);
            let settled = cluster.peers[at].call(settle).await.unwrap_or_default();
            for (task, settled) in tasks.iter().zip(settled) {
                if settled.is_ok() {
                    history.borrow_mut().acked.insert(task.id, ());
                }
            }
            consumer.add_credit(count as u32);
            if world::once_in(50) {
                break;
            }
        }
    }
}

/// Every acknowledged task is there, or was acked.
async fn check(cluster: &Rc<Cluster>, history: &Rc<RefCell<History>>) {
    let shards = cluster.peers[0].shards().expect("it runs");
    let created: Vec<TaskId> = history.borrow().created.keys().copied().collect();
    for id in created {
        let found = shards.get(namespace(), id, Consistency::Linearizable).await;
        let found = match found {
            Ok(found) => found,
            Err(error) => panic!("{error}: {:#?}", standing(cluster).await),
        };
        let history = history.borrow();
        let may_be_gone = history.acked.contains_key(&id) || history.unknown.contains_key(&id);
        assert!(found.is_some() || may_be_gone, "task {id} was acknowledged, and is lost");
    }
}

/// Prints now and then how things are.
async fn watch(cluster: Rc<Cluster>, history: Rc<RefCell<History>>) {
    let began = clock::monotonic();
    loop {
        executor::sleep(Duration::from_millis(500)).await;
        let seen: Vec<String> = {
            let mut seen = Vec::new();
            for peer in &cluster.peers {
                seen.push(match peer.shards() {
                    Some(shards) => match shards.groups().await.first() {
                        Some(info) => format!("{}:{}/{:?}/{:?}", info.term, info.serves, info.last_log_index, info.applied_index),
                        None => "no group".to_owned(),
                    },
                    None => "down".to_owned(),
                });
            }
            seen
        };
        let history = history.borrow();
        eprintln!(
            "{:.1} s, {:?}: {} created, {} acked, {seen:?}",
            began.elapsed().as_secs_f64(),
            world::trace(),
            history.created.len(),
            history.acked.len()
        );
    }
}

/// How every peer is.
async fn standing(cluster: &Rc<Cluster>) -> Vec<String> {
    let mut all = Vec::new();
    for peer in &cluster.peers {
        let Some(shards) = peer.shards() else {
            all.push(format!("{} is down", peer.number));
            continue;
        };
        all.push(format!("{}: {:?} {:?} {:?}", peer.number, shards.groups().await, shards.reach().table(), shards.serving()));
    }
    all
}

#[cfg(test)]
mod tests {
    //! A history that cannot be lived through again explains nothing.

    use super::*;

    #[test]
    fn the_same_seed_lives_the_same_life() {
        let spans = Spans { faults: Duration::from_secs(5), peace: Duration::from_secs(20) };
        let lives = [run(7, spans), run(7, spans), run(8, spans)];
        assert_eq!(lives[0], lives[1]);
        assert_ne!(lives[0].trace, lives[2].trace);
        assert!(lives.iter().all(|end| end.faults > 0 && end.acked > 0), "{lives:?}");
    }
}
