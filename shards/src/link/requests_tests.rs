//! The other end of a link asks without end. Were all of it begun, everybody else's creates would stand in line behind it; were the link not
//! read meanwhile, its group would lose its leader.

use std::cell::RefCell;
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::join_all;
use z4_model::ids::{GroupId, PeerNumber};
use z4_proto::peer::{Append, Appended, Failure, ReadAt, ReadIndex, failure};

use super::{Body, Established, Inbound, Links, REQUESTS, Reach};
use crate::runtime::testing::run;

/// An answer comes within this, also on a busy machine.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Answers appends, and keeps whoever else asks waiting.
#[derive(Default)]
struct Slow(RefCell<Vec<oneshot::Sender<Body>>>);

impl Inbound for Slow {
    fn ask(&self, _: PeerNumber, _: GroupId, body: Body, answer: oneshot::Sender<Body>) {
        match body {
            Body::Append(_) => drop(answer.send(Body::Appended(Appended::default()))),
            _ => self.0.borrow_mut().push(answer),
        }
    }

    fn tell(&self, _: PeerNumber, _: GroupId, _: Body) {}

    fn up(&self, _: PeerNumber) {}

    fn down(&self, _: PeerNumber) {}
}

/// Peer 1 and peer 2, which is slow.
fn linked() -> (Links, Links, Rc<Slow>) {
    let (one, two, slow) = (Links::new(Reach::default(), 0), Links::new(Reach::default(), 0), Rc::<Slow>::default());
    let inbound: Rc<dyn Inbound> = slow.clone();
    two.deliver_to(Rc::downgrade(&inbound));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let stream = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
    let (accepted, _) = listener.accept().expect("accepted");
    one.adopt(Established { peer: 2, remote_shard: 0, disk: None, stream, open: oneshot::channel().0 });
    two.adopt(Established { peer: 1, remote_shard: 0, disk: None, stream: accepted, open: oneshot::channel().0 });
    (one, two, slow)
}

fn read() -> Body {
    Body::ReadIndex(ReadIndex::default())
}

#[test]
fn a_link_refuses_what_is_too_much_and_goes_on_with_appends() {
    run(async {
        let (one, two, slow) = linked();
        let reads = (0..3_000).map(|_| one.post(2, GroupId(1), read(), ANSWER_MAX));
        let reads: Vec<_> = reads.collect();
        let append = one.ask(2, GroupId(1), Body::Append(Append::default()), ANSWER_MAX).await.expect("answered");
        assert!(matches!(append, Body::Appended(_)), "{append:?}");
        // The append came last.
        let begun: Vec<_> = slow.0.take();
        assert_eq!(begun.len(), 1_024);
        begun.into_iter().for_each(|answer| drop(answer.send(Body::ReadAt(ReadAt::default()))));
        let answers = join_all(reads).await;
        let is_refused = |answer: &Body| {
            let Body::Failure(Failure { kind, text, limit: 1_024 }) = answer else { return false };
            *kind == i32::from(failure::Kind::Overloaded) && text == REQUESTS
        };
        let refused = answers.iter().filter(|answer| answer.as_ref().is_ok_and(is_refused)).count();
        assert_eq!(refused, 3_000 - 1_024);
        let again = one.post(2, GroupId(1), read(), ANSWER_MAX);
        one.ask(2, GroupId(1), Body::Append(Append::default()), ANSWER_MAX).await.expect("answered");
        assert_eq!(slow.0.borrow().len(), 1, "there is room again");
        drop(again);
        [one, two].iter().for_each(Links::close);
    });
}

#[test]
fn requests_that_wait_for_a_turn_are_never_refused() {
    run(async {
        let (one, two, slow) = linked();
        let ask = async || {
            let _turn = one.turn(2, &read()).await.expect("the link is up");
            one.ask(2, GroupId(1), read(), ANSWER_MAX).await
        };
        let answering = async {
            let mut answered = 0;
            while answered < 3_000 {
                let begun: Vec<_> = slow.0.take();
                assert!(begun.len() < 1_024, "commands have room beside them");
                answered += begun.len();
                begun.into_iter().for_each(|answer| drop(answer.send(Body::ReadAt(ReadAt::default()))));
                crate::runtime::executor::sleep(Duration::from_millis(1)).await;
            }
        };
        let (answers, ()) = futures_util::future::join(join_all((0..3_000).map(|_| ask())), answering).await;
        assert!(answers.iter().all(|answer| matches!(answer, Ok(Body::ReadAt(_)))));
        [one, two].iter().for_each(Links::close);
    });
}
