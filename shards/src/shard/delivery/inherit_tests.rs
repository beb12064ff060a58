//! Another leader takes over, told of the leases or not. What would be wrong: a task that two consumers have, one that nobody gets any more, a
//! token that is refused although nobody else got the task, tasks that wait although they cannot have been leased.

use z4_model::settings::Settings;

use super::testing::{Change, GROUP, World};
use super::{Claimed, ConsumerId, Gone, Limits};
use crate::shard::api::{Delivered, Verdict};

/// Tasks with consumer 1, for a second.
fn leased(tasks: usize) -> (World, Vec<Delivered>) {
    leased_with(Limits::default(), tasks)
}

fn leased_with(limits: Limits, tasks: usize) -> (World, Vec<Delivered>) {
    let mut w = World::new(1, limits, 1);
    w.propose(
        0,
        Change::Configure(Settings { lease_ms: 1_000, backoff_first_ms: 100, backoff_jitter: 0.0, ..Settings::default() }),
    );
    (0..tasks).for_each(|_| w.create(0, 0));
    w.pump();
    w.connect(1, &[0], 0, 1 << 30);
    w.credit(1, 1_000);
    w.pump();
    let got = w.take(1, usize::MAX);
    assert_eq!(got.len(), tasks);
    (w, got)
}

fn claim(w: &mut World, task: &Delivered, consumer: u64) -> Claimed {
    w.claim(task, ConsumerId(consumer)).expect("nothing is on its way")
}

#[test]
fn an_estate_keeps_every_lease_as_it_was() {
    let (mut w, got) = leased(4);
    w.ack(&got[3]).expect("leased");
    w.pump();
    w.pass(400);
    let wait = w.settle(&got[0], Verdict::Nack { delay_ms: Some(0), reason: "not applied".into() });
    assert!(wait.is_ok());
    w.hand_over(true);
    w.pump();
    assert_eq!(w.take(1, 10), [], "nothing that is held comes again");
    w.ack(&got[3]).expect("said again");
    w.ack(&got[0]).expect("the nack was not done, so it is still leased");
    w.pump();
    w.hand_over(true);
    w.pass(599);
    w.settle(&got[1], Verdict::Extend { lease_ms: 0 }).expect("a millisecond is left, over two changes of leader");
    w.pass(101);
    let again = w.take(1, 10);
    assert_eq!(
        again.iter().map(|task| (task.id, task.attempt)).collect::<Vec<_>>(),
        [(got[2].id, 2)],
        "one lapsed, after a second"
    );
    assert!(again[0].token > got[3].token);
    w.ack(&got[1]).expect("extended");
    w.pump();
    assert_eq!(w.live(), 1);
}

/// A consumer at another peer: three of five deliveries had arrived when the leader changed. The other two are nobody's, and must not wait for
/// a lease to lapse; a consumer that never comes keeps its own until they do.
#[test]
fn deliveries_that_did_not_arrive_are_given_back() {
    let (mut w, got) = leased(5);
    let estate = w.engine.estate(w.now());
    let mut engine = super::Engine::new(GROUP, w.limits, w.engine.next_token());
    engine.inherit(estate, w.now());
    w.engine = engine;
    w.clients.clear();
    w.connect(7, &[0], 0, 1 << 30);
    w.engine.resume(ConsumerId(7), ConsumerId(1), 3);
    w.credit(7, 10);
    w.pump();
    let again = w.take(7, 10);
    assert_eq!(again.iter().map(|task| (task.id, task.attempt)).collect::<Vec<_>>(), [(got[3].id, 1), (got[4].id, 1)]);
    got[..3].iter().for_each(|task| assert!(w.ack(task).is_ok()));
    w.leave(7, Gone::Left);
    w.pump();
    let mut engine = super::Engine::new(GROUP, w.limits, w.engine.next_token());
    engine.inherit(w.engine.estate(w.now()), w.now());
    assert_eq!((engine.counts().leased, w.live()), (0, 2), "what was said is not in it any more");
}

/// A consumer has what a leader before delivered to it, has sent the first of it to its client, and goes: the rest must not wait for a lease that
/// nobody has. One delivery of the present leader is among it.
#[test]
fn what_was_not_sent_comes_again_whichever_leader_delivered_it() {
    for late in [false, true] {
        let (mut w, got) = leased(4);
        w.hand_over(true);
        w.create(0, 0);
        w.pump();
        let fifth = w.take(1, 10);
        assert_eq!(fifth.len(), 1);
        w.engine.not_sent(ConsumerId(1), got[0].token, late);
        w.leave(1, Gone::Detached);
        w.connect(2, &[0], 0, 1 << 30);
        w.credit(2, 10);
        w.pump();
        let mut again: Vec<_> = w.take(2, 10).iter().map(|task| (task.id, task.attempt)).collect();
        again.sort_unstable();
        let mut left: Vec<_> = got[1..].iter().chain(&fifth).map(|task| (task.id, 1)).collect();
        left.sort_unstable();
        assert_eq!(again, left, "late: {late}");
        w.ack(&got[0]).expect("this one goes on without it");
    }
}

/// A consumer breaks that has its deliveries from a leader before, which tells them in any order: the one that it was sent first counts an
/// attempt, no other.
#[test]
fn whoever_breaks_is_blamed_for_what_it_was_sent_first_whichever_leader_delivered_it() {
    for backwards in [false, true] {
        for sent in 0..=4 {
            let (mut w, got) = leased(4);
            let mut estate = w.engine.estate(w.now());
            estate.leases.sort_by_key(|lease| if backwards { u64::MAX - lease.token } else { lease.token });
            let mut engine = super::Engine::new(GROUP, w.limits, w.engine.next_token());
            engine.inherit(estate, w.now());
            w.engine = engine;
            w.clients.clear();
            w.connect(7, &[0], 0, 1 << 30);
            w.engine.resume(ConsumerId(7), ConsumerId(1), 4);
            got[..sent].iter().for_each(|task| w.clients[&7].sent.add(task.token));
            w.leave(7, Gone::Lost);
            w.pass(60_000);
            w.connect(8, &[0], 0, 1 << 30);
            w.credit(8, 10);
            w.pump();
            let mut again: Vec<_> = w.take(8, 10).iter().map(|task| (task.id, task.attempt)).collect();
            again.sort_unstable();
            let blamed: Vec<_> =
                got.iter().enumerate().map(|(n, task)| (task.id, if n == 0 && sent > 0 { 2 } else { 1 })).collect();
            assert_eq!(again, blamed, "backwards: {backwards}, {sent} sent");
        }
    }
}

/// A consumer has gone between two leaders, and who knows it says so to the next one.
#[test]
fn what_a_consumer_that_has_gone_held_is_given_up_by_name() {
    let (mut w, got) = leased(3);
    let given_up = |blamed| Verdict::GivenUp { blamed };
    assert!(w.settle(&got[0], given_up(false)).is_err(), "it is there");
    w.leave(1, Gone::Detached);
    w.hand_over(true);
    w.connect(2, &[0], 0, 1 << 30);
    w.credit(2, 10);
    w.pump();
    w.settle(&got[0], given_up(true)).expect("nobody has it");
    w.settle(&got[1], given_up(false)).expect("nobody has it");
    w.pump();
    let again: Vec<_> = w.take(2, 10).iter().map(|task| (task.id, task.attempt)).collect();
    assert_eq!(again, [(got[1].id, 1)]);
    w.pass(100);
    let again: Vec<_> = w.take(2, 10).iter().map(|task| (task.id, task.attempt)).collect();
    assert_eq!(again, [(got[0].id, 2)], "after its backoff");
    got[..2].iter().for_each(|task| assert!(w.ack(task).is_err(), "over"));
    w.ack(&got[2]).expect("nothing was said of it");
}

/// A peer is about to stop, and five deliveries were on their way to its consumer when it said so: they come again at once.
#[test]
fn deliveries_on_their_way_to_a_consumer_that_leaves_its_leases_come_again() {
    let (mut w, got) = leased(8);
    w.engine.not_received(ConsumerId(1), 3);
    w.leave(1, Gone::Detached);
    w.connect(2, &[0], 0, 1 << 30);
    w.credit(2, 10);
    w.pump();
    let again: Vec<_> = w.take(2, 10).iter().map(|task| (task.id, task.attempt)).collect();
    assert_eq!(again, got[3..].iter().map(|task| (task.id, 1)).collect::<Vec<_>>());
    got[..3].iter().for_each(|task| assert!(w.ack(task).is_ok(), "these go on without it"));
}

/// A consumer is ended for want of memory. Its stream had taken three deliveries and sent one; the other two, which somebody else gets meanwhile,
/// it sends late. The leader goes without a word: only the later deliveries are worth something, whoever speaks first.
#[test]
fn what_is_sent_after_its_consumer_was_ended_is_over_for_every_later_leader() {
    let (mut w, got) = leased(3);
    w.engine.not_sent(ConsumerId(1), got[0].token, true);
    w.leave(1, Gone::Detached);
    w.connect(2, &[0], 0, 1 << 30);
    w.credit(2, 10);
    w.pump();
    let again = w.take(2, 10);
    let seen: Vec<_> = again.iter().map(|task| (task.id, task.attempt)).collect();
    assert_eq!(seen, [(got[1].id, 1), (got[2].id, 1)]);
    w.hand_over(false);
    assert_eq!(claim(&mut w, &got[1], 2), Claimed::Refused);
    assert!(w.ack(&got[2]).is_err(), "sent late");
    again.iter().chain(&got[..1]).for_each(|task| assert!(w.ack(task).is_ok(), "the latest of each"));
    w.pump();
    assert_eq!(w.live(), 0);
}

/// Nothing is known of the leases before. What was due then waits, for consumers that claim it; what becomes due later does not.
#[test]
fn without_an_estate_only_what_may_be_leased_waits() {
    let (mut w, got) = leased(3);
    w.create(0, w.now_ms + 500);
    w.pass(100);
    w.leave(1, Gone::Detached);
    w.hand_over(false);
    w.connect(2, &[0], 0, 1 << 30);
    w.connect(3, &[0], 0, 1 << 30);
    w.credit(3, 10);
    w.create(0, 0);
    w.pass(500);
    let new = w.take(3, 10);
    assert_eq!(new.len(), 2, "one was made since, one has become due since: {new:?}");
    assert!(new.iter().all(|task| got.iter().all(|old| old.id != task.id)));
    for task in &new {
        w.ack(task).expect("leased");
    }
    assert_eq!(claim(&mut w, &got[0], 2), Claimed::Ours);
    w.ack(&got[1]).expect("claimed with the ack");
    let taken = |w: &mut World| w.take(3, 10).iter().map(|task| (task.id, task.attempt)).collect::<Vec<_>>();
    w.pass(1_499);
    assert_eq!(taken(&mut w), [(got[0].id, 2)], "claimed, and lapsed after a second");
    w.settle(&got[0], Verdict::Extend { lease_ms: 0 }).expect_err("somebody else has it");
    w.pass(1);
    assert_eq!(taken(&mut w), [(got[2].id, 1)], "never claimed, and nobody failed");
    assert_eq!(claim(&mut w, &got[2], 2), Claimed::Refused, "somebody else has it by now");
    assert_eq!(claim(&mut w, &got[1], 2), Claimed::Settled(true));
}

/// Claims of what nobody can hold: a task that is not due, a token of this very leader, one whose consumer is another stream by now.
#[test]
fn a_claim_gives_nothing_that_was_not_held() {
    let (mut w, got) = leased(2);
    w.create(0, w.now_ms + 60_000);
    w.pump();
    w.hand_over(false);
    let mut early = got[0].clone();
    let later = w.tenants[0].live.iter().next_back().map(|(key, record)| record.id(GROUP, *key)).expect("made");
    early.id = later;
    assert_eq!(claim(&mut w, &early, 1), Claimed::Refused, "never early");
    let mut forged = got[0].clone();
    forged.token = w.engine.next_token() + 5;
    assert_eq!(claim(&mut w, &forged, 1), Claimed::Refused);
    assert_eq!(claim(&mut w, &got[0], 1), Claimed::Ours);
    w.connect(2, &[0], 0, 1 << 30);
    assert_eq!(claim(&mut w, &got[0], 2), Claimed::Ours, "the same consumer with a new stream");
    w.disconnect(1);
    w.pump();
    w.ack(&got[0]).expect("the end of the old stream takes nothing from the new one");
    w.pump();
    assert_eq!(w.live(), 2);
}

/// A consumer got a task under two tokens in turn, or two consumers did, and the leader went without a word. The first delivery had ended
/// without an attempt (it was given back), with one (it lapsed), or because the task was changed: whichever consumer comes first, only the
/// later delivery can be claimed or acked.
#[test]
fn the_older_of_two_deliveries_is_over_for_every_later_leader() {
    for ends in 0..3 {
        for leaders in 1..3 {
            let (mut w, got) = leased(1);
            match ends {
                0 => w.leave(1, Gone::Left),
                1 => w.pass(1_000),
                _ => w.propose(0, Change::Update { id: got[0].id, due_ms: None }),
            }
            w.connect(2, &[0], 0, 1 << 30);
            w.credit(2, 1);
            w.pass(200);
            let again = w.take(2, 1).into_iter().chain(if w.clients.contains_key(&1) { w.take(1, 1) } else { Vec::new() });
            let again: Vec<Delivered> = again.collect();
            assert_eq!(again.len(), 1);
            (0..leaders).for_each(|_| w.hand_over(false));
            assert_eq!(claim(&mut w, &got[0], 2), Claimed::Refused);
            assert!(w.ack(&got[0]).is_err(), "however the first one ended: {ends}");
            w.ack(&again[0]).expect("the latest");
            w.pump();
            assert_eq!(w.live(), 0);
            w.hand_over(false);
            w.ack(&again[0]).expect("said again to the next leader");
            assert!(w.ack(&got[0]).is_err());
        }
    }
}

/// A task waited for claims in vain and went to another consumer, whose leader goes as well. Its first consumer, which was away all the time,
/// claims it first; one that had claimed another task in time still has that.
#[test]
fn what_was_not_claimed_in_time_is_over_for_every_later_leader() {
    let (mut w, got) = leased(2);
    w.pass(1);
    w.leave(1, Gone::Detached);
    w.hand_over(false);
    w.connect(2, &[0], 0, 1 << 30);
    w.credit(2, 10);
    assert_eq!(claim(&mut w, &got[0], 2), Claimed::Ours);
    w.pump();
    w.now_ms += w.limits.claim_grace_ms - 1_500;
    w.settle(&got[0], Verdict::Extend { lease_ms: 60_000 }).expect("claimed");
    w.now_ms += 1_500;
    w.run();
    assert!(w.take(2, 10).is_empty(), "nothing goes before it is written what goes on");
    assert!(w.fail(), "it is not written");
    w.pass(w.limits.propose_again_ms - 1);
    assert!(w.take(2, 10).is_empty());
    w.pass(1);
    let second = w.take(2, 10);
    assert_eq!(second.iter().map(|task| task.id).collect::<Vec<_>>(), [got[1].id]);
    w.hand_over(false);
    assert_eq!(claim(&mut w, &got[1], 2), Claimed::Refused);
    assert!(w.ack(&got[1]).is_err());
    w.ack(&second[0]).expect("the latest");
    w.ack(&got[0]).expect("it was claimed in time");
    w.pump();
    assert_eq!(w.live(), 0);
}

/// A new leader has much to read, and a claim that came in time is looked up when the grace is over: it counts, and the next leader knows of it. One
/// that is decided after the end was proposed does not count here either, or the next leader would take from a consumer what this one gave it.
#[test]
fn a_claim_that_came_in_time_counts_and_one_that_did_not_is_refused() {
    let (mut w, got) = leased(3);
    w.pass(1);
    w.leave(1, Gone::Detached);
    w.hand_over(false);
    w.connect(2, &[0], 0, 1 << 30);
    w.credit(2, 10);
    w.pass(w.limits.claim_grace_ms - 1);
    assert!(w.engine.claims_come(w.now()), "in time");
    w.pass(500);
    assert!(!w.engine.claims_come(w.now()), "too late to be waited for");
    assert_eq!(w.take(2, 10), [], "the grace waits");
    assert_eq!(claim(&mut w, &got[0], 2), Claimed::Ours);
    w.engine.claims_made();
    assert!(w.run() > 0, "its end is proposed");
    assert_eq!(claim(&mut w, &got[1], 2), Claimed::Refused);
    w.pump();
    let again = w.take(2, 10);
    assert_eq!(again.iter().map(|task| task.id).collect::<Vec<_>>(), [got[1].id, got[2].id]);
    w.hand_over(false);
    w.ack(&got[0]).expect("it is in the list");
    assert!(w.ack(&got[1]).is_err());
    again.iter().for_each(|task| assert!(w.ack(task).is_ok()));
    w.pump();
    assert_eq!(w.live(), 0);
}

/// A read that hangs: what waits for claims must not wait for ever.
#[test]
fn claims_that_come_to_nothing_are_not_waited_for_for_ever() {
    let (mut w, got) = leased(3);
    w.pass(1);
    w.leave(1, Gone::Detached);
    w.hand_over(false);
    w.connect(2, &[0], 0, 1 << 30);
    w.credit(2, 10);
    assert!(w.engine.claims_come(w.now()));
    w.pass(2 * w.limits.claim_grace_ms - 1);
    assert_eq!(w.take(2, 10), []);
    w.pass(1);
    assert_eq!(w.take(2, 10).len(), 3);
    w.engine.claims_made();
    assert_eq!(claim(&mut w, &got[0], 2), Claimed::Refused);
}

/// A leader tells another one what it knows, which then does not take over: what it delivers afterwards must not be unknown to that one, should
/// it lead with what it was told.
#[test]
fn an_estate_that_comes_back_is_void_before_anything_is_delivered() {
    let (mut w, _) = leased(1);
    w.hand_over(true);
    w.engine.void_estate(w.now());
    w.create(0, 0);
    assert!(w.commit(), "the create");
    while w.work() | w.answer() | (w.run() > 0) {}
    assert!(w.take(1, 10).is_empty());
    w.pump();
    assert_eq!(w.take(1, 10).len(), 1);
}

/// The clock of the leader before was ahead, and its consumers hold tasks that are not due yet by the next one's. They can be claimed, by name
/// and with an ack, up to the clocks' difference; what nobody claims is delivered when it is due.
#[test]
fn what_a_clock_that_was_ahead_delivered_can_be_claimed() {
    let limits = Limits { clocks_differ_ms: 4_000, ..Limits::default() };
    let (mut w, got) = leased_with(limits, 3);
    w.leave(1, Gone::Detached);
    w.hand_over_at(false, w.now_ms - 4_000);
    w.connect(2, &[0], 0, 1 << 30);
    w.credit(2, 10);
    assert_eq!(claim(&mut w, &got[0], 2), Claimed::Ours);
    w.settle(&got[0], Verdict::Extend { lease_ms: 60_000 }).expect("claimed");
    w.ack(&got[1]).expect("claimed with the ack");
    w.pass(3_999);
    assert_eq!(w.take(2, 10), [], "the grace is over, and it is not due");
    w.pass(1);
    let again: Vec<_> = w.take(2, 10).iter().map(|task| (task.id, task.attempt)).collect();
    assert_eq!(again, [(got[2].id, 1)]);
    assert!(w.ack(&got[2]).is_err(), "somebody else has it");
    w.ack(&got[0]).expect("it went on");
    w.pump();
    assert_eq!(w.live(), 1);
    let (mut w, got) = leased_with(limits, 1);
    w.hand_over_at(false, w.now_ms - 4_001);
    assert_eq!(claim(&mut w, &got[0], 1), Claimed::Refused, "no leader's clock was ahead by so much");
}

/// What is nearly due may be with a consumer of a leader whose clock was ahead: it waits for claims, or two consumers have it and the next
/// leader would take the older one's word. What was made since waits for nobody, whatever the clocks say.
#[test]
fn what_is_nearly_due_waits_and_what_is_new_does_not() {
    for leaders in 0..2 {
        let (mut w, got) = leased_with(Limits { clocks_differ_ms: 4_000, ..Limits::default() }, 1);
        w.leave(1, Gone::Detached);
        w.hand_over_at(false, w.now_ms - 500);
        w.connect(2, &[0], 0, 1 << 30);
        w.credit(2, 10);
        w.create(0, 0);
        w.create(0, w.now_ms + 700);
        w.pass(900);
        let new = w.take(2, 10);
        assert_eq!(new.len(), 2, "{new:?}");
        assert!(new.iter().all(|task| task.id != got[0].id), "it may be with a consumer");
        new.iter().for_each(|task| assert!(w.ack(task).is_ok()));
        w.pump();
        if leaders == 1 {
            w.hand_over(false);
            w.ack(&got[0]).expect("nobody else got it");
        } else {
            w.pass(1_100);
            let again = w.take(2, 10);
            assert_eq!(again.iter().map(|task| task.id).collect::<Vec<_>>(), [got[0].id]);
            w.hand_over(false);
            assert!(w.ack(&got[0]).is_err(), "over for every later leader");
            w.ack(&again[0]).expect("the latest");
        }
        w.pump();
        assert_eq!(w.live(), 0);
    }
}

/// Beyond the bound: somebody set the clocks of all peers back, by more than they may differ, between two leaderships. What is out comes once
/// more when it is due, during the grace even; only the later delivery can be acked here.
#[test]
fn clocks_that_were_set_back_too_far_cost_a_second_delivery() {
    let limits = Limits { clocks_differ_ms: 4_000, claim_grace_ms: 60_000, ..Limits::default() };
    let (mut w, got) = leased_with(limits, 1);
    w.leave(1, Gone::Detached);
    w.hand_over_at(false, w.now_ms - 10_000);
    w.connect(2, &[0], 0, 1 << 30);
    w.credit(2, 10);
    w.pass(9_999);
    assert_eq!(w.take(2, 10), []);
    w.pass(1);
    let again = w.take(2, 10);
    assert_eq!(again.iter().map(|task| (task.id, task.attempt)).collect::<Vec<_>>(), [(got[0].id, 1)]);
    assert!(w.ack(&got[0]).is_err());
    w.ack(&again[0]).expect("the latest");
    w.pump();
    assert!(w.ack(&got[0]).is_err());
    assert_eq!(w.live(), 0);
}
