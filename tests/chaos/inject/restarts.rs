//! Processes that end and are started again, in many ways.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;
use z4::client::{Client, Delivery};

use super::Injector;
use crate::faults::Who;
use crate::harness::create;
use crate::harness::wait::{until, within};
use crate::load::EARLY;

/// Tasks of this one are with a consumer while everybody is restarted. They are no part of the history.
const HELD: &str = "chaos-held";

/// How many.
const HELD_TASKS: usize = 30;

impl Injector<'_> {
    pub(super) async fn kill(&mut self, who: Who, hold: Duration) {
        let id = self.find(who).await;
        self.cluster.member(&id).peer.kill().await;
        sleep(hold).await;
        self.cluster.restart(&id).await;
    }

    pub(super) async fn kill_all(&mut self) {
        for member in &mut self.cluster.members {
            member.peer.kill().await;
        }
        for id in self.cluster.ids() {
            self.cluster.restart(&id).await;
        }
    }

    pub(super) async fn pause(&mut self, who: Who, hold: Duration) {
        let id = self.find(who).await;
        self.cluster.member(&id).peer.signal("STOP");
        sleep(hold).await;
        self.cluster.member(&id).peer.signal("CONT");
    }

    pub(super) async fn restart(&mut self, who: Who) {
        let id = self.find(who).await;
        self.stop_and_start(&id).await;
    }

    async fn stop_and_start(&mut self, id: &str) {
        let status = self.cluster.member(id).peer.terminate().await;
        assert_eq!(status.code(), Some(0), "{id} ends cleanly");
        self.cluster.restart(id).await;
    }

    /// Consumers subscribe as soon as somebody listens, and the peer is killed with their streams open: in the end each is served.
    pub(super) async fn boot_under_consumers(&mut self, who: Who, hold: Duration) {
        let id = self.find(who).await;
        let (load, target) = (self.load, self.target(&id));
        self.cluster.member(&id).peer.kill().await;
        let boots = async {
            self.cluster.restart(&id).await;
            sleep(hold).await;
            self.cluster.member(&id).peer.kill().await;
            self.cluster.restart(&id).await;
            EARLY.into_iter().for_each(|namespace| load.will_create(namespace));
        };
        let consumers = join_all(EARLY.map(|namespace| load.consume_early(&target, namespace)));
        let served = Box::pin(async { tokio::join!(boots, consumers) });
        let ((), streams) = within("every consumer that came early is served", served).await;
        self.note(format!("  consumers that came early are served, after {streams:?} streams"));
    }

    /// As an upgrade does it. A consumer holds tasks meanwhile: they stay its own, and nobody counts an attempt.
    pub(super) async fn restart_in_turn(&mut self, hold: Duration) {
        self.until_serving().await;
        let addresses: Vec<String> = self.cluster.members.iter().map(|member| member.peer.address()).collect();
        let client = Client::builder().timeout(Duration::from_secs(60)).connect(addresses).expect("addresses");
        for n in 0..HELD_TASKS {
            let request =
                z4_proto::CreateTaskRequest { request_id: format!("held-{n}-{}", crate::harness::now_ms()), ..create(HELD, "") };
            client.create(request).await.expect("created");
        }
        let mut consumer = client.consumer([HELD]).credit(2 * HELD_TASKS as u32).lease(Duration::from_secs(60)).open();
        let mut held: BTreeMap<String, Delivery> = BTreeMap::new();
        let mut take = |delivery: Delivery| {
            let (id, attempt) = (delivery.task().id.clone(), delivery.attempt());
            assert_eq!(attempt, 1, "{id}: nobody has failed");
            assert!(held.insert(id.clone(), delivery).is_none(), "{id} is with this consumer, and came again");
            held.len()
        };
        let hold_all = async { while take(consumer.next().await.expect("a delivery")) < HELD_TASKS {} };
        within("every task is with the consumer", hold_all).await;
        let restarts = async {
            for id in self.cluster.ids() {
                self.stop_and_start(&id).await;
                self.until_serving().await;
                sleep(hold).await;
            }
        };
        tokio::select! {
            () = restarts => {}
            () = async { loop { take(consumer.next().await.expect("a delivery")); } } => {}
        }
        for (id, delivery) in held {
            assert!(!delivery.is_lost(), "{id} was taken away");
            let answer = within("the ack is answered", delivery.ack()).await;
            answer.unwrap_or_else(|error| panic!("the ack of {id} was refused: {error}"));
        }
        self.note(format!("  {HELD_TASKS} tasks stayed with their consumer"));
    }

    async fn until_serving(&self) {
        self.until_settled().await;
        for member in &self.cluster.members {
            until(&format!("{} serves", member.id), async || member.client.healthy().await.then_some(())).await;
        }
    }
}
