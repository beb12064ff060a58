//! How deliveries end: acks, nacks, deadlines, lost consumers, failed proposals, changes of a leased task.

use z4_model::settings::Settings;

use super::testing::{Change, WAITS, World, name};
use super::{Gone, Limits};
use crate::shard::api::{Delivered, SettleError, Verdict};

/// One namespace with a lease of 1,000 ms and a backoff of exactly 100, 200, 400 ms; `tasks` of them are with consumer 1.
fn leased(tasks: usize) -> (World, Vec<Delivered>) {
    let mut w = World::new(1, Limits::default(), 1);
    let settings =
        Settings { lease_ms: 1_000, backoff_first_ms: 100, backoff_jitter: 0.0, max_attempts: 3, ..Settings::default() };
    w.propose(0, Change::Configure(settings));
    (0..tasks).for_each(|_| w.create(0, 0));
    w.pump();
    w.connect(1, &[0], 0, 1 << 30);
    w.credit(1, 1_000_000);
    w.pump();
    let got = w.take(1, usize::MAX);
    assert_eq!(got.len(), tasks);
    (w, got)
}

fn is_lost(answer: Result<Option<u64>, SettleError>) -> bool {
    matches!(answer, Err(SettleError::LeaseLost { .. }))
}

/// It is answered when the fate of somebody's command is known.
fn waits(answer: Result<Option<u64>, SettleError>) -> bool {
    answer == Err(SettleError::Rejected(WAITS))
}

#[test]
fn an_acked_task_is_gone_and_its_token_is_spent() {
    let (mut w, got) = leased(1);
    assert_eq!((got[0].attempt, got[0].deadline_ms), (1, w.now_ms + 1_000));
    assert!(w.engine.is_leased(got[0].key) && w.engine.leased(&got[0].namespace) == 1);
    w.ack(&got[0]).expect("leased");
    assert!(waits(w.ack(&got[0])), "while the first is being proposed");
    w.pump();
    w.ack(&got[0]).expect("said again, it is done");
    assert!(is_lost(w.settle(&got[0], Verdict::Extend { lease_ms: 0 })), "its token is spent");
    assert!(is_lost(w.settle(&got[0], Verdict::Nack { delay_ms: None, reason: "".into() })), "that was not said before");
    assert_eq!((w.live(), w.engine.counts().leased), (0, 0));
}

/// Whoever asks what is leased is told every lease, in however small steps.
#[test]
fn leases_are_told_in_steps() {
    let (mut w, got) = leased(10);
    w.ack(&got[3]).expect("leased");
    w.pump();
    let mut want: Vec<_> = got.iter().map(|task| task.key).collect();
    want.remove(3);
    for (of, want) in [(vec![], want.clone()), (vec![got[0].namespace.clone()], want), (vec![name(7)], vec![])] {
        let (mut keys, mut from) = (Vec::new(), Some(0));
        while let Some(at) = from {
            from = w.engine.leased_keys(&of, at, 3, &mut keys);
        }
        keys.sort_unstable();
        assert_eq!(keys, want, "{of:?}");
    }
}

/// Three leases expire; after the third the attempts are used up and the task is dead, not delivered any more and not lost.
#[test]
fn an_expired_lease_counts_an_attempt() {
    let (mut w, got) = leased(1);
    let mut last = got[0].clone();
    for (attempt, backoff_ms) in [(2, 100), (3, 200)] {
        w.pass(1_000 + backoff_ms - 1);
        assert_eq!(w.take(1, 10).len(), 0, "not before the backoff is over");
        w.pass(1);
        let again = w.take(1, 10).remove(0);
        assert_eq!((again.attempt, again.id), (attempt, last.id));
        assert!(is_lost(w.ack(&last)), "the old token is fenced");
        last = again;
    }
    w.pass(100_000);
    assert_eq!((w.take(1, 10).len(), w.live(), w.tenants[0].dead.len(), w.engine.counts().leased), (0, 0, 1, 0));
    assert!(w.errors.iter().all(|e| e == "lease expired"), "{:?}", w.errors);
}

/// The deadline is the rule, whether or not the engine has come round to it.
#[test]
fn an_ack_after_the_deadline_is_refused() {
    let (mut w, got) = leased(2);
    w.now_ms = got[0].deadline_ms - 1;
    w.ack(&got[0]).expect("in time");
    w.now_ms += 1;
    assert!(is_lost(w.ack(&got[1])), "on the deadline, before the lapse was seen");
}

/// Story: the wall clock is set an hour forward, as after a resumed machine. The lease must not end for that (the task would be worked on
/// twice), and it must end when its time is over. What waits for its due time follows the wall clock.
#[test]
fn a_clock_that_is_set_forward_ends_no_lease() {
    let (mut w, got) = leased(2);
    w.create(0, w.now_ms + 3_600_000);
    w.pass(500);
    w.set_wall_ms(w.now_ms + 3_600_000);
    w.pump();
    let due = w.take(1, 10);
    assert_eq!(due.len(), 1, "an hour has passed on the wall, and what is due then comes; nothing comes again");
    w.ack(&got[0]).expect("half of its time is left");
    w.pass(499);
    assert!(w.engine.is_leased(got[1].key));
    w.pass(101);
    let again = w.take(1, 10);
    assert_eq!(again.iter().map(|task| (task.id, task.attempt)).collect::<Vec<_>>(), [(got[1].id, 2)]);
}

/// The same, back by an hour: leases of that time must not last an hour longer, nor those that are extended or given out then.
#[test]
fn a_clock_that_is_set_back_prolongs_no_lease() {
    let (mut w, got) = leased(2);
    w.pass(500);
    w.set_wall_ms(w.now_ms - 360_000);
    let told = w.settle(&got[0], Verdict::Extend { lease_ms: 2_000 }).expect("leased");
    assert_eq!(told, Some(w.now_ms + 2_000), "what is told is the time on the wall");
    w.pass(500);
    assert!(is_lost(w.ack(&got[1])), "its second is over");
    w.ack(&got[0]).expect("it was extended");
    w.pass(99);
    assert_eq!(w.take(1, 10).len(), 0);
    w.pass(1);
    assert_eq!(w.take(1, 10).len(), 1, "its backoff is over, by the clock that the retry was placed with");
}

#[test]
fn extensions_move_the_deadline_either_way() {
    let (mut w, got) = leased(2);
    w.pass(900);
    let longer = w.settle(&got[0], Verdict::Extend { lease_ms: 5_000 }).expect("leased");
    assert_eq!(longer, Some(w.now_ms + 5_000));
    let same = w.settle(&got[1], Verdict::Extend { lease_ms: 0 }).expect("leased");
    assert_eq!(same, Some(w.now_ms + 1_000), "0: the lease time of the delivery");
    w.settle(&got[1], Verdict::Extend { lease_ms: 10 }).expect("leased");
    w.pass(10);
    assert!(is_lost(w.ack(&got[1])));
    w.pass(3_000);
    w.ack(&got[0]).expect("still leased");
}

#[test]
fn a_nack_sets_delay_or_backoff_and_keeps_its_reason() {
    let (mut w, got) = leased(2);
    w.settle(&got[0], Verdict::Nack { delay_ms: Some(5_000), reason: "later".into() }).expect("leased");
    w.settle(&got[1], Verdict::Nack { delay_ms: None, reason: "oops".into() }).expect("leased");
    w.pass(100);
    assert_eq!(w.take(1, 10).iter().map(|t| t.id).collect::<Vec<_>>(), [got[1].id]);
    w.pass(4_899);
    assert!(w.take(1, 10).iter().all(|t| t.id == got[1].id));
    w.pass(1);
    assert!(w.take(1, 10).iter().any(|t| t.id == got[0].id && t.attempt == 2));
    assert_eq!(w.errors[..2], ["later", "oops"]);
}

/// A nack with no delay puts the row where it was: the outcome of the old proposal must not be taken for the new delivery's.
#[test]
fn a_task_that_comes_again_at_the_same_position_is_a_new_delivery() {
    let (mut w, got) = leased(1);
    w.settle(&got[0], Verdict::Nack { delay_ms: Some(0), reason: "".into() }).expect("leased");
    w.pump();
    let again = w.take(1, 10);
    assert_eq!((again[0].key, again[0].attempt), (got[0].key, 2));
    w.ack(&again[0]).expect("leased anew");
    w.pump();
    assert_eq!(w.live(), 0);
}

/// A consumer is lost with a thousand tasks: the one that it was sent first counts an attempt, for that is what it may have broken over;
/// the others come again at once, as if they had not been delivered.
#[test]
fn a_lost_consumer_costs_one_attempt() {
    let (mut w, got) = leased(1_200);
    w.connect(2, &[0], 0, 1 << 30);
    w.credit(2, 5_000);
    w.ack(&got[0]).expect("leased");
    w.pump();
    w.disconnect(1);
    assert!(is_lost(w.ack(&got[1])) && is_lost(w.ack(&got[2])));
    w.pump();
    let again = w.take(2, usize::MAX);
    assert_eq!(again.len(), 1_198);
    assert!(again.iter().all(|t| t.attempt == 1 && t.id != got[1].id));
    w.pass(100);
    assert_eq!(w.take(2, 10).iter().map(|t| (t.id, t.attempt)).collect::<Vec<_>>(), [(got[1].id, 2)]);
    assert_eq!(w.errors, ["consumer lost"]);
    for task in &again {
        w.ack(task).expect("leased");
    }
    w.pump();
    assert_eq!(w.live(), 1);
}

/// Story: a consumer prefetches fifty tasks and crashes three times before it has worked on any of them; three attempts are allowed. Not
/// one of them may be dead. The task over which it crashes each time must become so.
#[test]
fn prefetched_tasks_do_not_die_with_their_consumer() {
    let (mut w, _) = leased(50);
    for crash in 2..5 {
        w.disconnect(crash - 1);
        w.connect(crash, &[0], 0, 1 << 30);
        w.credit(crash, 1_000);
        w.pump();
        w.take(crash, usize::MAX);
    }
    w.pass(400);
    assert_eq!((w.tenants[0].dead.len(), w.live()), (0, 50));
    let (mut w, got) = leased(1);
    for crash in 2..5 {
        w.disconnect(crash - 1);
        w.connect(crash, &[0], 0, 1 << 30);
        w.credit(crash, 1_000);
        w.pass(400);
        w.take(crash, usize::MAX);
    }
    assert!(w.tenants[0].dead.contains(&got[0].id.sequence), "three attempts were made at it");
}

/// What was never sent to the client, and what a client gives back when it says good-bye, counts no attempt, and comes again at once.
#[test]
fn what_was_not_sent_or_is_given_back_counts_no_attempt() {
    for (how, sent) in [(Gone::Lost, 0), (Gone::Left, 5), (Gone::Left, 0)] {
        let mut w = World::new(1, Limits::default(), 1);
        (0..5).for_each(|_| w.create(0, 0));
        w.connect(1, &[0], 0, 1 << 30);
        w.credit(1, 10);
        w.pump();
        assert_eq!(w.clients[&1].inbox.len(), 5);
        w.take(1, sent);
        w.leave(1, how);
        w.connect(2, &[0], 0, 1 << 30);
        w.credit(2, 10);
        w.pump();
        let again = w.take(2, 10);
        assert_eq!((again.len(), w.errors.len()), (5, 0), "{how:?}, {sent} sent");
        assert!(again.iter().all(|task| task.attempt == 1));
    }
}

/// The client does not read, so a lease lapses in the queue of its stream: nobody has tried the task.
#[test]
fn a_lease_that_lapses_unsent_counts_no_attempt() {
    let mut w = World::new(1, Limits::default(), 1);
    (0..2).for_each(|_| w.create(0, 0));
    w.connect(1, &[0], 1_000, 1 << 30);
    w.credit(1, 2);
    w.pump();
    let sent = w.take(1, 1).remove(0);
    w.pass(1_000);
    w.connect(2, &[0], 0, 1 << 30);
    w.credit(2, 10);
    w.pump();
    let again = w.take(2, 10);
    assert_eq!(again.iter().map(|task| task.attempt).collect::<Vec<_>>(), [1]);
    assert_ne!(again[0].id, sent.id);
    assert_eq!(w.errors, ["lease expired"], "the one that was sent");
}

/// An ack that could not be proposed did nothing: the consumer may try again until its deadline.
#[test]
fn a_failed_ack_leaves_the_lease() {
    let (mut w, got) = leased(2);
    w.ack(&got[0]).expect("leased");
    w.fail();
    w.ack(&got[0]).expect("leased again");
    w.pump();
    assert_eq!(w.live(), 1);
    w.ack(&got[1]).expect("leased");
    w.now_ms = got[1].deadline_ms + 5;
    w.run();
    w.fail();
    assert!(is_lost(w.ack(&got[1])), "the deadline passed while it was in flight");
    w.pass(100);
    assert_eq!(w.take(1, 10)[0].attempt, 2);
}

/// The consumer went away while its ack was in flight, and the ack failed: nobody has the task, so it comes again without waiting for
/// the deadline. It was done with it: that is no failed attempt.
#[test]
fn a_failed_ack_of_a_lost_consumer_gives_the_task_back() {
    let (mut w, got) = leased(1);
    w.ack(&got[0]).expect("leased");
    w.disconnect(1);
    w.fail();
    w.connect(2, &[0], 0, 1 << 30);
    w.credit(2, 10);
    w.pump();
    assert_eq!((w.take(2, 10)[0].attempt, w.errors.len()), (1, 0));
}

/// The retry of a lapsed lease fails twice (the group may have no quorum): it is proposed again, once each time.
#[test]
fn a_failed_retry_is_proposed_again() {
    let (mut w, _) = leased(1);
    w.now_ms += 1_000;
    for _ in 0..2 {
        assert_eq!(w.run(), 1);
        assert!(w.fail());
        assert_eq!(w.run(), 0, "not at once");
        assert_eq!(w.wake_at(), Some(w.now_ms + 1_000));
        w.now_ms += 1_000;
    }
    w.pass(100);
    assert_eq!((w.take(1, 10)[0].attempt, w.errors.len()), (2, 1));
}

/// One row of three is missing (it never should be), so the command is refused as a whole. The other two must come again: each retry
/// is proposed in a command of its own, and only the one that is refused alone is given up.
#[test]
fn a_missing_row_does_not_take_others_with_it() {
    let (mut w, got) = leased(3);
    w.now_ms += 1_000;
    assert_eq!(w.run(), 1);
    assert_eq!(w.refuse().len(), 3);
    w.now_ms += 1_000;
    assert_eq!(w.run(), 3);
    let claims = w.refuse();
    assert_eq!((claims.len(), claims[0].key), (1, got[0].key));
    w.pass(100);
    let again: Vec<_> = w.take(1, 10).iter().map(|t| t.id).collect();
    assert_eq!(again, [got[1].id, got[2].id]);
    assert_eq!(w.engine.counts().leased, 2);
}

/// A delete of a leased task: an ack waits from the moment the delete is proposed, because it is applied blindly.
#[test]
fn a_deleted_task_cannot_be_acked() {
    let (mut w, got) = leased(1);
    w.propose(0, Change::Delete { id: got[0].id });
    assert!(waits(w.ack(&got[0])));
    w.pump();
    assert!(is_lost(w.ack(&got[0])));
    assert_eq!((w.live(), w.engine.counts().leased), (0, 0));
}

/// Somebody's change of a leased task is refused after the lease would have lapsed. What the consumer said meanwhile, in time, counts as if
/// nobody had tried: acks, nacks and extensions alike.
#[test]
fn a_refused_change_takes_nothing_from_the_holder() {
    let nack = Verdict::Nack { delay_ms: Some(0), reason: "no".into() };
    for verdict in [Verdict::Ack, nack, Verdict::Extend { lease_ms: 5_000 }] {
        let (mut w, got) = leased(1);
        w.propose(0, Change::Update { id: got[0].id, due_ms: None });
        w.now_ms = got[0].deadline_ms - 1;
        assert!(waits(w.settle(&got[0], verdict.clone())), "{verdict:?}");
        w.now_ms += 1_000;
        assert_eq!(w.run(), 0, "its lease waits with it");
        w.fail();
        w.settle(&got[0], verdict.clone()).expect("it came in time");
        w.pump();
        assert_eq!(w.live(), usize::from(verdict != Verdict::Ack));
        assert!(w.errors.iter().all(|error| error == "no"), "{:?}", w.errors);
    }
}

/// The same for a task that waits in the window: it is not delivered while the delete is under way.
#[test]
fn a_task_is_not_delivered_while_its_delete_is_under_way() {
    let mut w = World::new(1, Limits::default(), 1);
    w.create(0, 0);
    w.create(0, 0);
    w.connect(1, &[0], 0, 1 << 30);
    w.pump();
    let id = w.tenants[0].live.iter().next().map(|(key, record)| record.id(super::testing::GROUP, *key)).expect("created");
    w.propose(0, Change::Delete { id });
    w.credit(1, 10);
    w.run();
    let got = w.take(1, 10);
    assert_eq!(got.len(), 1);
    assert_ne!(got[0].id, id);
    w.fail();
    w.pump();
    assert_eq!(w.take(1, 10)[0].id, id, "the delete failed: it is delivered after all");
}

/// More tasks are being deleted than a batch takes: not one of them slips through behind the others.
#[test]
fn a_batch_of_held_tasks_is_skipped() {
    let mut w = World::new(1, Limits::default(), 1);
    (0..100).for_each(|_| w.create(0, 0));
    w.connect(1, &[0], 0, 1 << 30);
    w.pump();
    let held: Vec<_> = w.tenants[0].live.iter().take(80).map(|(key, record)| record.id(super::testing::GROUP, *key)).collect();
    held.iter().for_each(|id| w.propose(0, Change::Delete { id: *id }));
    w.credit(1, 1_000);
    w.run();
    let got = w.take(1, 1_000);
    assert_eq!(got.len(), 20);
    assert!(got.iter().all(|task| !held.contains(&task.id)));
}

/// An update that was refused did nothing, so the consumer that has the task goes on; one that was done ends the delivery, and the
/// task is delivered as it is now.
#[test]
fn an_update_ends_the_delivery_only_if_it_happened() {
    let (mut w, got) = leased(2);
    w.propose(0, Change::Update { id: got[0].id, due_ms: None });
    w.fail();
    w.ack(&got[0]).expect("valid again");
    w.propose(0, Change::Update { id: got[1].id, due_ms: Some(w.now_ms + 300) });
    w.pass(299);
    assert!(is_lost(w.ack(&got[1])) && w.take(1, 10).is_empty(), "the update was applied");
    w.pass(1);
    let again = w.take(1, 10).remove(0);
    assert_eq!((again.id, again.attempt), (got[1].id, 1));
    w.ack(&again).expect("leased");
    w.pump();
    assert_eq!(w.live(), 0);
}

/// While a change is under way its lease's deadline passes, and the change fails: the attempt still counts, a little later.
#[test]
fn a_lease_that_expires_under_a_change_expires_after_it() {
    let (mut w, got) = leased(1);
    w.propose(0, Change::Update { id: got[0].id, due_ms: None });
    w.now_ms = got[0].deadline_ms;
    assert_eq!(w.run(), 0, "no retry may be proposed behind the update");
    w.fail();
    w.pass(1_000);
    assert_eq!((w.take(1, 10)[0].attempt, w.errors.len()), (2, 1));
}

#[test]
fn a_purge_ends_every_delivery() {
    let (mut w, got) = leased(5);
    w.propose(0, Change::Purge);
    assert!(got.iter().all(|task| waits(w.ack(task))));
    w.pump();
    assert!(got.iter().all(|task| is_lost(w.ack(task))));
    assert_eq!((w.live(), w.engine.counts().leased), (0, 0));
    w.create(0, 0);
    w.pump();
    assert_eq!(w.take(1, 10).len(), 1, "life goes on");
}
