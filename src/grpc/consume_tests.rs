//! The consume stream and the task stream with a consumer and shards that the tests play.
//!
//! What would be wrong: a delivery or an answer that is lost or sent twice, deliveries taken while the client does not read, credit
//! that is forgotten, a stream that never ends or ends before its answers, a task acknowledged that was not passed on.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;

use futures_channel::{mpsc, oneshot};
use futures_util::stream::{Stream, StreamExt};
use futures_util::{FutureExt, TryFutureExt};
use tonic::{Code, Status};
use z4_model::ids::Namespace;
use z4_proto as proto;
use z4_shards::account::Account;
use z4_shards::shard::api::{Settle, Settled};

use super::Limits;
use super::consume::{Charge, consume, open};
use super::fakes::{FakeSource, context, delivered, id, name};
use super::task_stream::task_stream;

type Responses = Pin<Box<dyn Stream<Item = Result<proto::ConsumeResponse, Status>>>>;

/// The tokens of a settle, and the way to answer it.
type Asked = (Vec<u64>, oneshot::Sender<Vec<Settled>>);

/// Settles that wait for the test to answer them.
#[derive(Clone, Default)]
struct Shard(Rc<RefCell<VecDeque<Asked>>>);

impl Shard {
    fn settler(&self) -> impl Fn(Namespace, Vec<Settle>) -> Pin<Box<dyn Future<Output = Vec<Settled>>>> + Clone + 'static {
        let asked = self.0.clone();
        move |_, settles| {
            let (answer, answered) = oneshot::channel();
            asked.borrow_mut().push_back((settles.iter().map(|s| s.token).collect(), answer));
            Box::pin(answered.unwrap_or_else(|_| Vec::new()))
        }
    }

    /// The tokens of the oldest settle that waits, which is answered with OK.
    fn answer(&self) -> Vec<u64> {
        let (tokens, answer) = self.0.borrow_mut().pop_front().expect("a settle waits");
        let _ = answer.send(tokens.iter().map(|_| Ok(0)).collect());
        tokens
    }

    fn waiting(&self) -> usize {
        self.0.borrow().len()
    }
}

struct Stage {
    source: FakeSource,
    shard: Shard,
    requests: mpsc::UnboundedSender<Result<proto::ConsumeRequest, Status>>,
    responses: Responses,
}

impl Stage {
    fn new(limits: Limits) -> Self {
        Self::charged(limits, Charge::default())
    }

    fn charged(limits: Limits, charge: Charge) -> Self {
        let (source, shard) = (FakeSource::default(), Shard::default());
        let (requests, received) = mpsc::unbounded();
        let first = proto::ConsumeRequest { open: Some(proto::ConsumeOpen::default()), credit: 10, ..Default::default() };
        let responses =
            consume(context(limits), first, source.clone(), (received, charge), shard.settler()).expect("within the limits");
        Self { source, shard, requests, responses: Box::pin(responses) }
    }

    fn say(&self, request: proto::ConsumeRequest) {
        self.requests.unbounded_send(Ok(request)).expect("the stream is open");
    }

    /// Asks once for the next response.
    fn poll(&mut self) -> Option<Option<Result<proto::ConsumeResponse, Status>>> {
        self.responses.next().now_or_never()
    }

    fn response(&mut self) -> proto::ConsumeResponse {
        self.poll().expect("ready").expect("not over").expect("no error")
    }
}

fn acks(tokens: &[u64]) -> proto::ConsumeRequest {
    let ack = |token: &u64| proto::Ack { namespace: "a".into(), task_id: id(*token).to_string(), token: *token };
    proto::ConsumeRequest { acks: tokens.iter().map(ack).collect(), ..Default::default() }
}

fn tokens(response: &proto::ConsumeResponse) -> (Vec<u64>, Vec<(u64, u32)>) {
    let deliveries = response.deliveries.iter().map(|d| d.token).collect();
    (deliveries, response.results.iter().map(|r| (r.token, r.status)).collect())
}

#[test]
fn deliveries_go_down_and_acks_are_answered() {
    let mut stage = Stage::new(Limits::default());
    assert_eq!(stage.source.credit(), 10);
    assert!(stage.poll().is_none(), "nothing to say yet");
    stage.source.deliver(vec![delivered(1), delivered(2)]);
    stage.source.deliver(vec![delivered(3)]);
    assert_eq!(tokens(&stage.response()), (vec![1, 2], vec![]));
    assert_eq!(stage.source.waiting(), 1, "taken only when the next response is asked for");
    assert_eq!(tokens(&stage.response()), (vec![3], vec![]));
    stage.say(acks(&[1]));
    let bad = proto::Ack { namespace: "a".into(), task_id: "?".into(), token: 9 };
    stage.say(proto::ConsumeRequest { acks: vec![bad], credit: 5, ..Default::default() });
    // The bad one is answered at once, without waiting for the shard.
    assert_eq!(tokens(&stage.response()), (vec![], vec![(9, Code::InvalidArgument as u32)]));
    assert_eq!(stage.source.credit(), 15);
    assert!(stage.poll().is_none());
    assert_eq!(stage.shard.answer(), [1]);
    assert_eq!(tokens(&stage.response()), (vec![], vec![(1, 0)]));
}

/// Sixty-four messages of ten thousand acks each lay decoded on every stream, and nobody knew: they are charged until they are answered.
#[test]
fn what_a_consumer_says_is_charged_until_it_is_answered() {
    let account = Account::new(64 << 20);
    let mut stage = Stage::charged(Limits::default(), Charge(Some(account.holder(1).count(0))));
    stage.say(acks(&[1, 2, 3]));
    let nack =
        proto::Nack { namespace: "a".into(), task_id: id(4).to_string(), token: 4, reason: "r".repeat(1_000), delay_ms: None };
    let bad = proto::Ack { namespace: "a".into(), task_id: "?".into(), token: 9 };
    stage.say(proto::ConsumeRequest { nacks: vec![nack], acks: vec![bad], ..Default::default() });
    assert_eq!(tokens(&stage.response()), (vec![], vec![(9, Code::InvalidArgument as u32)]));
    let waiting = account.used();
    assert!((4 * 200 + 1_000..8_192).contains(&waiting), "{waiting}");
    stage.shard.answer();
    stage.shard.answer();
    assert_eq!(stage.response().results.len(), 4);
    assert_eq!(account.used(), 0);
    stage.say(acks(&[5]));
    assert!(stage.poll().is_none() && account.used() > 0);
    drop(stage);
    assert_eq!(account.used(), 0);
}

#[test]
fn a_client_that_half_closes_gets_its_answers_and_then_the_end() {
    let mut stage = Stage::new(Limits::default());
    stage.say(acks(&[1]));
    stage.say(acks(&[2]));
    stage.requests.close_channel();
    assert!(stage.poll().is_none(), "two answers are due");
    stage.source.deliver(vec![delivered(3)]);
    stage.shard.answer();
    assert_eq!(tokens(&stage.response()), (vec![], vec![(1, 0)]), "and no delivery that nobody could acknowledge");
    stage.shard.answer();
    assert_eq!(tokens(&stage.response()), (vec![], vec![(2, 0)]));
    assert!(matches!(stage.poll(), Some(None)));
}

#[test]
fn what_breaks_a_rule_ends_the_stream_after_the_answers() {
    let again = proto::ConsumeRequest { open: Some(proto::ConsumeOpen::default()), ..Default::default() };
    let credit = proto::ConsumeRequest { credit: 91, ..Default::default() };
    let rules = [
        (again, "open is set again; only the first message of a consume stream opens it"),
        (credit, "credit is 101; it takes at most 100 in all, with what is open (consumer_credit_max)"),
        (acks(&[1, 2, 3]), "acks, nacks and extensions has 3 entries; the limit is 2 (settles_max)"),
    ];
    for (bad, text) in rules {
        let mut stage = Stage::new(Limits { credit_max: 100, settles_max: 2, ..Limits::default() });
        stage.say(acks(&[1]));
        stage.say(bad);
        assert!(stage.poll().is_none());
        stage.shard.answer();
        assert_eq!(tokens(&stage.response()), (vec![], vec![(1, 0)]));
        let end = stage.poll().expect("ready").expect("an error").expect_err("an error");
        assert_eq!((end.code(), end.message()), (Code::InvalidArgument, text));
        assert!(matches!(stage.poll(), Some(None)));
    }
}

#[test]
fn delivered_tasks_free_their_credit() {
    let mut stage = Stage::new(Limits { credit_max: 10, ..Limits::default() });
    stage.source.deliver(vec![delivered(1), delivered(2)]);
    stage.response();
    stage.say(proto::ConsumeRequest { credit: 2, ..Default::default() });
    assert!(stage.poll().is_none(), "10 are open again, which is the most");
    assert_eq!(stage.source.credit(), 12);
}

#[test]
fn settles_in_flight_are_bounded() {
    let mut stage = Stage::new(Limits { settles_in_flight_max: 2, ..Limits::default() });
    (1..=5).for_each(|token| stage.say(acks(&[token])));
    assert!(stage.poll().is_none());
    assert_eq!(stage.shard.waiting(), 2, "the rest is not even read");
    for token in 1..=5 {
        assert_eq!(stage.shard.answer(), [token]);
        assert_eq!(tokens(&stage.response()), (vec![], vec![(token, 0)]));
        stage.poll();
    }
}

#[test]
fn responses_are_cut_where_they_grow_too_large() {
    let mut stage = Stage::new(Limits { response_bytes_max: 1, ..Limits::default() });
    stage.source.deliver(vec![delivered(1), delivered(2)]);
    assert_eq!(tokens(&stage.response()), (vec![1], vec![]));
    assert_eq!(tokens(&stage.response()), (vec![2], vec![]));
}

/// Whether what the consumer holds counts an attempt is decided by how its stream ended: a broken connection is one thing, a mistake in a
/// message or a good-bye another. And what was not sent has not been tried.
#[test]
fn only_a_stream_that_breaks_loses_its_consumer() {
    let bad = Ok(proto::ConsumeRequest { credit: 1_000_000, ..Default::default() });
    let unreadable = Err(Status::internal("failed to decode Protobuf message"));
    let mut broken = Status::unknown("the connection was reset");
    broken.set_source(std::sync::Arc::new(std::io::Error::other("reset")));
    for (last, left) in [(Some(bad), true), (Some(unreadable), true), (None, true), (Some(Err(broken)), false)] {
        let mut stage = Stage::new(Limits::default());
        stage.source.deliver(vec![delivered(1), delivered(2)]);
        assert!(stage.poll().is_some());
        stage.source.deliver(vec![delivered(3)]);
        match last {
            Some(last) => stage.requests.unbounded_send(last).expect("open"),
            None => stage.requests.close_channel(),
        }
        while !matches!(stage.poll(), Some(None)) {}
        assert_eq!(stage.source.went(), (2, left));
    }
}

/// Acks that are on their way while the peer stops must not be thrown away: the tasks would be done twice.
#[test]
fn a_stopping_peer_listens_to_acks_for_a_while() {
    let mut stage = Stage::new(Limits::default());
    stage.source.deliver(vec![delivered(1)]);
    stage.response();
    stage.source.linger(true);
    assert!(stage.poll().is_none(), "the stream goes on");
    stage.say(acks(&[1]));
    assert!(stage.poll().is_none());
    stage.source.linger(false);
    assert_eq!(stage.shard.answer(), [1]);
    assert_eq!(tokens(&stage.response()), (vec![], vec![(1, 0)]));
    assert_eq!(stage.poll().expect("ready").expect("an error").expect_err("an error").code(), Code::Unavailable);
}

#[test]
fn a_stopping_peer_says_so() {
    let mut stage = Stage::new(Limits::default());
    stage.source.stop();
    assert_eq!(stage.poll().expect("ready").expect("an error").expect_err("an error").code(), Code::Unavailable);
    assert!(matches!(stage.poll(), Some(None)));
}

#[test]
fn the_first_message_opens_and_names_each_namespace_once() {
    let limits = Limits { consumer_namespaces_max: 2, ..Limits::default() };
    let message = |names: &[&str], lease_ms| {
        let namespaces = names.iter().map(|n| (*n).to_owned()).collect();
        proto::ConsumeRequest { open: Some(proto::ConsumeOpen { namespaces, lease_ms, held: Vec::new() }), ..Default::default() }
    };
    let refused = |message| open(&message, &limits).expect_err("refused").to_string();
    assert!(refused(proto::ConsumeRequest::default()).starts_with("open is missing"));
    assert!(refused(message(&[], 0)).starts_with("namespaces is empty"));
    assert!(refused(message(&["a\n"], 0)).starts_with("namespace has a control character"));
    assert!(refused(message(&["a"], 5)).starts_with("lease_ms is 5"));
    let text = "namespaces has 3 entries; the limit is 2 (consumer_namespaces_max)";
    assert_eq!(refused(message(&["a", "b", "c"], 0)), text);
    let opened = open(&message(&["a", "a"], 100), &limits).expect("within the limits");
    assert_eq!((opened.namespaces, opened.lease_ms), (vec![name("a")], 100));
}

#[test]
fn a_task_stream_acknowledges_what_was_passed_on_and_nothing_else() {
    let (source, shard) = (FakeSource::default(), Shard::default());
    let mut tasks = Box::pin(task_stream(context(Limits::default()), name("a"), source.clone(), shard.settler()));
    let credit = source.credit();
    assert!(credit > 0);
    // The second one's lease is over before it is asked for: another consumer has it.
    let mut lapsed = delivered(2);
    lapsed.deadline_ms = 1_000_000;
    source.deliver(vec![delivered(1), lapsed, delivered(3)]);
    let mut next = || tasks.next().now_or_never().map(|task| task.expect("not over").expect("readable").id);
    assert_eq!(next(), Some(id(1).to_string()));
    assert_eq!(next(), Some(id(3).to_string()));
    assert_eq!(shard.waiting(), 0, "the last task of the batch is not passed on yet");
    assert_eq!(source.credit(), credit + 1, "for the one that lapsed");
    assert_eq!(next(), None);
    assert_eq!(shard.answer(), [1, 3]);
    assert_eq!(next(), None);
    assert_eq!(source.credit(), credit + 3);
    source.stop();
    assert!(matches!(tasks.next().now_or_never(), Some(None)));
}
