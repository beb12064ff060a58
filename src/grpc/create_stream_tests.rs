//! Answers leave in the order of the requests whatever the order of the commits; nothing is sent twice or forgotten.
use std::cell::RefCell;
use std::rc::Rc;

use futures_channel::{mpsc, oneshot};
use futures_util::{FutureExt, StreamExt};
use z4_model::command::Created;
use z4_shards::account::Account;
use z4_shards::shard::handle::Shards;

use super::*;
use crate::grpc::Limits;
use crate::grpc::create::{Acknowledge, submit_one};
use crate::grpc::fakes::{context, id};
use crate::grpc::flight::{CREATE_BYTES, cost};
use crate::grpc::meanwhile::GoesOn;

type Answer = oneshot::Sender<Result<Outcome, Rejection>>;
type Answers = Pin<Box<dyn Stream<Item = Result<TaskStreamResponse, Status>>>>;

/// A stream whose commits the test plays.
struct Stage {
    requests: mpsc::UnboundedSender<Result<CreateTaskRequest, Status>>,
    sent: Rc<RefCell<Vec<Option<Answer>>>>,
    answers: Answers,
    earlier: Earlier,
    flight: Rc<dyn GoesOn>,
}

/// Runs of which the earlier tasks were asked for: how many creates, and whether with payloads.
#[derive(Clone, Default)]
struct Earlier(Rc<RefCell<Vec<(usize, bool)>>>);

impl LookBack for Earlier {
    fn look_back(&self, _: Namespace, run: Run, content: bool) -> Pin<Box<dyn Future<Output = Run>>> {
        self.0.borrow_mut().push((run.len(), content));
        let mut later = true;
        // The second time that it is asked.
        let ready = move |cx: &mut Poller<'_>| match std::mem::replace(&mut later, false) {
            true => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            false => Poll::Ready(()),
        };
        Box::pin(async move {
            std::future::poll_fn(ready).await;
            run
        })
    }
}

impl Stage {
    fn new(limits: Limits) -> Self {
        Self::charged(limits, None)
    }

    fn charged(limits: Limits, charge: Option<Share>) -> Self {
        let (requests, received) = mpsc::unbounded();
        let sent = Rc::<RefCell<Vec<Option<Answer>>>>::default();
        let log = sent.clone();
        let send = move |_| {
            let (answer, answered) = oneshot::channel();
            log.borrow_mut().push(Some(answer));
            async move { answered.await.unwrap_or(Err(Rejection::Stopping)) }
        };
        let (ways, earlier) = ((Box::new(send), Crowd::default()), Earlier::default());
        let earlier_and_charge = (earlier.clone(), charge);
        let answers = CreateStream::new(context(limits), "test", (received, LeftOut::default()), ways, earlier_and_charge);
        let flight = answers.flight();
        Self { requests, sent, answers: Box::pin(answers), earlier, flight }
    }

    fn ask(&self, payload: usize) {
        let payload = vec![0; payload].into();
        let request = CreateTaskRequest { namespace: "a".into(), payload, ..Default::default() };
        self.requests.unbounded_send(Ok(request)).expect("the stream is open");
    }

    fn ask_with_echo(&self) {
        self.ask_with_echo_of(0);
    }

    fn ask_with_echo_of(&self, payload: usize) {
        let payload = vec![0; payload].into();
        let request = CreateTaskRequest { namespace: "a".into(), payload, echo: true, ..Default::default() };
        self.requests.unbounded_send(Ok(request)).expect("the stream is open");
    }

    /// Commits the `n`th command that was sent.
    fn commit(&self, n: usize) {
        self.commit_as(n, false);
    }

    fn commit_as(&self, n: usize, duplicate: bool) {
        let created = Created { id: id(n as u64), created_ms: 9, duplicate };
        let answer = self.sent.borrow_mut()[n].take().expect("committed once");
        assert!(answer.send(Ok(Outcome { created, earlier: None, forwarded_to: String::new() })).is_ok());
    }

    /// Asks once for the next answer: its task's sequence, or its status.
    fn poll(&mut self) -> Option<Result<String, u32>> {
        let answer = self.answers.next().now_or_never()?.expect("not over").expect("no error");
        Some(if answer.status == 0 { Ok(answer.task.expect("a task").id) } else { Err(answer.status) })
    }
}

#[test]
fn answers_keep_the_order_of_the_requests() {
    let mut stage = Stage::new(Limits { payload_bytes_max: 1, ..Limits::default() });
    for payload in [0, 1, 2, 1] {
        stage.ask(payload);
    }
    assert_eq!(stage.poll(), None);
    assert_eq!(stage.sent.borrow().len(), 3, "the bad one is not sent");
    stage.commit(2);
    stage.commit(1);
    assert_eq!(stage.poll(), None, "the oldest is not committed");
    stage.commit(0);
    assert_eq!(stage.poll(), Some(Ok(id(0).to_string())));
    assert_eq!(stage.poll(), Some(Ok(id(1).to_string())));
    assert_eq!(stage.poll(), Some(Err(3)), "in its place");
    assert_eq!(stage.poll(), Some(Ok(id(2).to_string())));
    stage.requests.close_channel();
    assert!(matches!(stage.answers.next().now_or_never(), Some(None)));
}

#[test]
fn what_is_in_flight_is_bounded_by_count_and_by_bytes() {
    let bounds = [(2, usize::MAX), (usize::MAX, 150)];
    for (in_flight_max, in_flight_bytes_max) in bounds {
        let mut stage = Stage::new(Limits { in_flight_max, in_flight_bytes_max, ..Limits::default() });
        (0..5).for_each(|_| stage.ask(100));
        assert_eq!(stage.poll(), None);
        for n in 0..5 {
            assert_eq!(stage.sent.borrow().len(), (n + 2).min(5), "the rest is not even read");
            stage.commit(n);
            assert_eq!(stage.poll(), Some(Ok(id(n as u64).to_string())));
            assert_eq!(stage.poll(), None);
        }
    }
}

/// A thousand streams had eight megabytes in flight each, and nobody knew: they are charged until their answers are taken.
#[test]
fn what_is_in_flight_is_charged_until_it_is_answered() {
    let account = Account::new(64 << 20);
    let mut stage = Stage::charged(Limits { payload_bytes_max: 200_000, ..Limits::default() }, Some(account.holder(1).count(0)));
    (0..4).for_each(|_| stage.ask(200_000));
    // Refused, and not answered yet.
    stage.ask(200_001);
    assert_eq!(stage.poll(), None);
    assert_eq!(account.used(), 4 * cost(200_000) + cost(0));
    (0..4).for_each(|n| stage.commit(n));
    assert_eq!(stage.poll(), Some(Ok(id(0).to_string())));
    assert_eq!(account.used(), 3 * cost(200_000) + cost(0), "what is done and not answered is still there");
    drop(stage);
    assert_eq!(account.used(), 0);
}

/// A stream whose answers nobody took kept all payloads that were long on disk: they go, in whatever order creates are done, and what answers
/// repeat stays charged.
#[test]
fn what_is_done_is_not_charged_while_answers_wait() {
    let account = Account::new(64 << 20);
    let mut stage = Stage::charged(Limits::default(), Some(account.holder(1).count(0)));
    (0..3).for_each(|_| stage.ask(100_000));
    stage.ask_with_echo_of(100_000);
    (0..2).for_each(|_| stage.ask(100_000));
    assert_eq!(stage.poll(), None);
    assert_eq!(account.used(), 6 * cost(100_000));
    let flight = stage.flight.clone();
    let go_on = || flight.go_on(&mut Poller::from_waker(futures_util::task::noop_waker_ref()));
    go_on();
    assert_eq!(account.used(), 6 * cost(100_000), "nothing is done");
    [1, 0, 3, 4].iter().for_each(|n| stage.commit(*n));
    go_on();
    assert_eq!(account.used(), 4 * cost(100_000) + 2 * cost(0), "the third is not done");
    stage.commit(2);
    go_on();
    assert_eq!(account.used(), 2 * cost(100_000) + 4 * cost(0), "one answer repeats its payload, one create is on its way");
    for n in 0..5 {
        assert_eq!(stage.poll(), Some(Ok(id(n).to_string())));
    }
    assert_eq!(account.used(), cost(100_000));
    go_on();
    stage.commit(5);
    assert_eq!((stage.poll(), account.used()), (Some(Ok(id(5).to_string())), 0));
}

/// A future of a create is no larger than is counted for it.
#[test]
fn a_create_in_flight_costs_what_is_counted() {
    let shards = Shards::new(1, 1).0;
    let create = until_there_is_room(Crowd::default(), || {
        submit_one(&shards, Command { namespace: Namespace::new("a").expect("valid"), ops: Vec::new() }, Acknowledge::Durable)
    });
    let bytes = size_of_val(&create) + size_of::<Create<()>>() + size_of::<Command>() + size_of::<Op>();
    assert!(bytes < CREATE_BYTES, "{bytes}");
}

#[test]
fn a_broken_request_stream_ends_after_its_answers() {
    let mut stage = Stage::new(Limits::default());
    stage.ask(0);
    stage.requests.unbounded_send(Err(Status::out_of_range("too long"))).expect("open");
    assert_eq!(stage.poll(), None);
    stage.commit(0);
    assert_eq!(stage.poll(), Some(Ok(id(0).to_string())));
    let end = stage.answers.next().now_or_never().expect("ready").expect("an error");
    assert_eq!(end.expect_err("an error").message(), "too long");
    assert!(matches!(stage.answers.next().now_or_never(), Some(None)));
}

#[test]
fn many_ready_answers_do_not_starve_the_requests() {
    let mut stage = Stage::new(Limits::default());
    (0..500).for_each(|_| stage.ask(0));
    assert_eq!(stage.poll(), None);
    (0..500).for_each(|n| stage.commit(n));
    (0..10).for_each(|_| stage.ask(0));
    for _ in 0..2 * ANSWERS_PER_LOOK {
        stage.poll().expect("ready").expect("committed");
    }
    assert_eq!(stage.sent.borrow().len(), 510);
}

/// A client that sends everything again got its answers one look at the leader's quorum after the other.
#[test]
fn a_run_of_creates_that_are_said_again_is_looked_up_together() {
    let mut stage = Stage::new(Limits::default());
    (0..300).for_each(|_| stage.ask(0));
    stage.ask_with_echo();
    stage.ask_with_echo();
    (0..5).for_each(|_| stage.ask(0));
    assert_eq!(stage.poll(), None);
    // One in the middle is new, and the last one is not there yet.
    (0..306).for_each(|n| stage.commit_as(n, n != 100));
    let mut answered = 0;
    let mut answer = |stage: &mut Stage, more: u64| {
        let until = answered + more;
        for _ in 0..10_000 {
            match stage.poll() {
                Some(got) => {
                    assert_eq!(got, Ok(id(answered).to_string()), "in the order of the requests");
                    answered += 1;
                }
                None if answered == until => return,
                None => {}
            }
        }
        panic!("{answered} answers");
    };
    answer(&mut stage, 306);
    stage.commit(306);
    answer(&mut stage, 1);
    assert_eq!(*stage.earlier.0.borrow(), [(256, false), (43, false), (1, true), (1, true), (4, false)]);
}
