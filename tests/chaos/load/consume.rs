//! Consumers, most of them careless: they ack after a while, give up, hold a task until its lease is over and ack then, or leave.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use z4_proto::{AckTasksRequest, ConsumeOpen, ConsumeRequest, ConsumeResponse, Delivery, LeaseTasksRequest, SettleResult, Task};

use super::{CALL_MAX, CONSUMED, Load, Target, in_time, number_of};
use crate::harness::{ack_of, due_ms, extension_of, nack_of};
use crate::history::{Verdict, What};

const CREDIT: u32 = 60;

/// Longer than the lease.
const HOLD: Duration = Duration::from_millis(2_500);

/// What a consumer will say, and when: the deadlines order the plans.
type Plans = BinaryHeap<Reverse<(Instant, usize)>>;

/// A stream of one consumer.
pub(super) struct Stream<'a> {
    load: &'a Load,
    target: Target,
    answers: Streaming<ConsumeResponse>,
    requests: mpsc::Sender<ConsumeRequest>,
    plans: Plans,
    /// What the plans are about.
    said: Vec<(Delivery, Verdict)>,
    /// Asked for and not answered: which verdict an answer belongs to.
    open: Vec<(String, u64, Verdict)>,
    /// It acks everything soon, and leaves when it has done so.
    careful: bool,
    delivered: usize,
}

impl Load {
    /// One stream after the other, each at another peer.
    pub(super) async fn consume_streams(&self) {
        while self.consuming.get() {
            let target = self.target();
            if let Ok(Ok(mut stream)) = tokio::time::timeout(CALL_MAX, self.open_stream(&target, &CONSUMED)).await {
                let life = Duration::from_millis(1_000 + self.chance(6_000));
                // A stream that is silent for longer belongs to a peer that hangs.
                let _ = tokio::time::timeout(life, stream.run()).await;
            }
            self.pause(100).await;
        }
    }

    /// Subscribes at a peer, however long that takes.
    pub(super) async fn open_stream(&self, target: &Target, namespaces: &[&str]) -> Result<Stream<'_>, Status> {
        let (requests, outgoing) = mpsc::channel(256);
        let namespaces = namespaces.iter().map(|&namespace| namespace.to_owned()).collect();
        let open = ConsumeOpen { namespaces, lease_ms: 0, held: Vec::new() };
        let first = ConsumeRequest { open: Some(open), credit: CREDIT, ..ConsumeRequest::default() };
        let _ = requests.send(first).await;
        let answers = target.client.tasks.clone().consume(ReceiverStream::new(outgoing)).await?.into_inner();
        let (target, plans) = (target.clone(), Plans::new());
        let (said, open) = (Vec::new(), Vec::new());
        Ok(Stream { load: self, target, answers, requests, plans, said, open, careful: false, delivered: 0 })
    }

    fn delivered(&self, peer: &str, delivery: &Delivery) -> Task {
        let task = delivery.task.clone().expect("a delivery carries its task");
        self.record(
            peer,
            What::Delivered {
                number: number_of(&task),
                id: task.id.clone(),
                token: delivery.token,
                attempt: delivery.attempt,
                due_ms: due_ms(&task),
            },
        );
        task
    }

    /// Without streams: leased from one peer, acknowledged to another.
    pub(super) async fn lease_and_ack(&self) {
        while self.consuming.get() {
            let target = self.target();
            let namespaces = CONSUMED.map(str::to_owned).to_vec();
            let request = LeaseTasksRequest { namespaces, max_tasks: 10, lease_ms: 0, wait_ms: 500 };
            let leased = in_time(target.client.tasks.clone().lease_tasks(request)).await;
            let deliveries = leased.map(|answer| answer.deliveries).unwrap_or_default();
            for delivery in &deliveries {
                self.delivered(&target.id, delivery);
            }
            self.pause(100).await;
            let target = self.target();
            let acks: Vec<_> = deliveries.iter().map(ack_of).collect();
            for ack in &acks {
                self.record(&target.id, What::Settle { id: ack.task_id.clone(), token: ack.token, verdict: Verdict::Ack });
            }
            if !acks.is_empty() {
                let answer = in_time(target.client.tasks.clone().ack_tasks(AckTasksRequest { acks })).await;
                answer.map(|answer| answer.results).unwrap_or_default().into_iter().for_each(|result| {
                    self.settled(&target.id, result, Verdict::Ack);
                });
            }
        }
    }

    fn settled(&self, peer: &str, result: SettleResult, verdict: Verdict) {
        self.record(peer, What::Settled { id: result.task_id, token: result.token, verdict, code: result.status as i32 });
    }
}

impl Stream<'_> {
    /// Acks everything that comes, and goes when there is nothing more to ack; says whether something came.
    pub(super) async fn be_careful(mut self) -> bool {
        self.careful = true;
        self.run().await;
        self.delivered > 0
    }

    fn is_done(&self) -> bool {
        self.careful && self.delivered > 0 && self.plans.is_empty() && self.open.is_empty()
    }

    async fn run(&mut self) {
        while self.load.consuming.get() && !self.is_done() {
            let next = self.plans.peek().map_or_else(|| Instant::now() + Duration::from_millis(100), |Reverse((at, _))| *at);
            tokio::select! {
                answer = self.answers.message() => match answer {
                    Ok(Some(answer)) => self.take(answer).await,
                    _ => return,
                },
                () = tokio::time::sleep_until(next) => {
                    if !self.say_what_is_due().await {
                        return;
                    }
                }
            }
        }
    }

    async fn take(&mut self, answer: ConsumeResponse) {
        for result in answer.results {
            let of = |(id, token, _): &(String, u64, Verdict)| *id == result.task_id && *token == result.token;
            if let Some(at) = self.open.iter().position(of) {
                let (_, _, verdict) = self.open.remove(at);
                self.load.settled(&self.target.id, result, verdict);
            }
        }
        let credit = answer.deliveries.len() as u32;
        self.delivered += answer.deliveries.len();
        for delivery in answer.deliveries {
            self.load.delivered(&self.target.id, &delivery);
            self.plan(delivery);
        }
        if credit > 0 {
            let _ = self.requests.send(ConsumeRequest { credit, ..ConsumeRequest::default() }).await;
        }
    }

    fn plan(&mut self, delivery: Delivery) {
        let soon = Duration::from_millis(self.load.chance(200));
        // When the load has ended, everything is to be done with.
        let kind = if self.load.wild.get() && !self.careful { self.load.chance(20) } else { 19 };
        match kind {
            0 | 1 => self.will_say(delivery, Verdict::Nack, soon),
            2 => self.will_say(delivery, Verdict::Ack, HOLD),
            3 => {
                self.will_say(delivery.clone(), Verdict::Extend, soon);
                self.will_say(delivery, Verdict::Ack, HOLD / 2);
            }
            4 => {} // Forgotten: its lease is over some time.
            _ => self.will_say(delivery, Verdict::Ack, soon),
        }
    }

    fn will_say(&mut self, delivery: Delivery, verdict: Verdict, after: Duration) {
        self.plans.push(Reverse((Instant::now() + after, self.said.len())));
        self.said.push((delivery, verdict));
    }

    async fn say_what_is_due(&mut self) -> bool {
        let mut request = ConsumeRequest::default();
        while let Some(Reverse((at, nth))) = self.plans.peek().copied()
            && at <= Instant::now()
        {
            self.plans.pop();
            let (delivery, verdict) = &self.said[nth];
            let id = delivery.task.as_ref().map(|task| task.id.clone()).unwrap_or_default();
            // Answers come in any order: of two about one delivery nobody could tell which is which.
            if self.open.iter().any(|(open, token, _)| *open == id && *token == delivery.token) {
                continue;
            }
            match verdict {
                Verdict::Ack => request.acks.push(ack_of(delivery)),
                Verdict::Nack => request.nacks.push(nack_of(delivery, Some(self.load.chance(300)), "once more")),
                Verdict::Extend => request.extensions.push(extension_of(delivery, 2_000)),
            }
            self.load.record(&self.target.id, What::Settle { id: id.clone(), token: delivery.token, verdict: *verdict });
            self.open.push((id, delivery.token, *verdict));
        }
        if request == ConsumeRequest::default() {
            return true;
        }
        self.requests.send(request).await.is_ok()
    }
}
