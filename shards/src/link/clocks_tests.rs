//! One wrong clock, whosever it is, must not decide when a task is due; clocks that agree must not be doubted.

use proptest::prelude::*;

use super::*;

const HOUR: i64 = 3_600_000;
const LIMIT: i64 = 2_000;

fn bounds(members: usize, others: &[i64]) -> Option<Bounds> {
    let others: Vec<_> = others.iter().map(|us| Reading { offset_us: *us, error_us: 0, taken_us: 0 }).collect();
    Bounds::new(members, &others)
}

fn now(members: usize, own: i64, others: &[i64]) -> i64 {
    bounds(members, others).map_or(own, |bounds| bounds.now(own, LIMIT))
}

fn outside(members: usize, own: i64, others: &[i64]) -> i64 {
    bounds(members, others).map_or(0, |bounds| bounds.outside(own, LIMIT))
}

#[test]
fn one_wrong_clock_of_three_is_known_by_all() {
    for wrong in [HOUR, -HOUR, 50 * 365 * 24 * HOUR] {
        assert_eq!(
            (now(3, wrong, &[0, 5]), outside(3, wrong, &[0, 5])),
            (if wrong > 0 { 5 } else { 0 }, wrong - wrong.clamp(0, 5))
        );
        assert_eq!((now(3, 0, &[5, wrong]), outside(3, 0, &[5, wrong])), (0, 0), "and the others go on by themselves");
    }
}

#[test]
fn a_majority_that_is_wrong_and_agrees_keeps_working() {
    assert_eq!((now(3, HOUR, &[HOUR + 20, 0]), outside(3, HOUR, &[HOUR + 20, 0])), (HOUR, 0));
    assert_eq!((now(3, 0, &[HOUR, HOUR + 20]), outside(3, 0, &[HOUR, HOUR + 20])), (HOUR, -HOUR));
    // All three differ: the one in the middle leads.
    assert_eq!((outside(3, HOUR, &[0, 2 * HOUR]), outside(3, 0, &[HOUR, 2 * HOUR])), (0, -HOUR));
}

/// Of two clocks nobody knows which is right. Late can be made good, early cannot.
#[test]
fn of_two_clocks_the_earlier_one_counts_and_either_may_lead() {
    for members in [2, 3] {
        assert_eq!((now(members, HOUR, &[0]), outside(members, HOUR, &[0])), (0, 0));
        assert_eq!((now(members, 0, &[HOUR]), outside(members, 0, &[HOUR])), (0, 0));
    }
    // Two pairs of four.
    assert_eq!((now(4, HOUR, &[HOUR, 0, 0]), outside(4, HOUR, &[HOUR, 0, 0])), (0, 0));
    assert_eq!((now(4, 0, &[HOUR, HOUR, 0]), outside(4, 0, &[HOUR, HOUR, 0])), (0, 0));
}

#[test]
fn who_knows_too_little_goes_by_its_own_clock() {
    assert_eq!((now(1, HOUR, &[]), outside(1, HOUR, &[])), (HOUR, 0));
    assert_eq!((now(3, HOUR, &[]), outside(3, HOUR, &[])), (HOUR, 0));
    assert_eq!((now(5, HOUR, &[0]), outside(5, HOUR, &[0])), (HOUR, 0));
}

/// The others' clocks say 0 at a moment within the last 600 µs: who goes by them must not be ahead of what they may say now.
#[test]
fn who_goes_by_the_others_is_early_by_no_error_of_measurement() {
    let reading = |asked_us| Reading::at(asked_us, 1_000_000, 1_000);
    let others = [reading(999_400), reading(999_800)];
    let now = |own| Bounds::new(3, &others).map(|bounds| bounds.now(own, LIMIT));
    assert_eq!((now(HOUR), now(-HOUR)), (Some(0), Some(0)));
    // A bad line makes nobody doubt a clock that is right.
    let bad = Bounds::new(3, &[Reading::at(0, 3_000, 1_500), Reading::at(0, 3_000, 1_500)]).expect("all is known");
    let right = bad.least.0;
    assert_eq!((bad.now(right, LIMIT), bad.outside(right, LIMIT)), (right, 0));
    assert_eq!(bad.now(HOUR * 1_000, LIMIT), right - 1_500);
    // What was said at the beginning of a link is as early as it can be.
    let hello = Reading { offset_us: 7, error_us: i64::MAX, taken_us: 0 };
    assert_eq!(Bounds::new(3, &[hello, hello]).map(|bounds| bounds.now(HOUR, LIMIT)), Some(7));
}

/// A peer that answers late would be told to have a wrong clock, and would not be asked to lead.
#[test]
fn a_slow_answer_makes_no_clock_wrong() {
    let slow = Reading::at(0, 10_000_000, 7_000);
    assert_eq!((slow.offset_us, slow.error_us), (2_000_000, 5_000_000));
    let differs = |course_us| slow.surely_differs_us(course_us, 500_000);
    assert_eq!([0, 7_400_000, -3_400_000].map(differs), [0; 3], "5 s later or earlier");
    assert_eq!(differs(7_600_000), -600_000);
    assert_eq!(differs(-3_600_000), 600_000);
    // Of what was said at the beginning of a link it is known how early the clock can be, not how late.
    let hello = Reading { offset_us: 1_000_000, error_us: i64::MAX, taken_us: 0 };
    assert_eq!((hello.surely_differs_us(9_000_000, 1), hello.surely_differs_us(0, 1)), (0, 1_000_000));
}

#[test]
fn a_reading_is_as_good_as_its_round_trip_was_short() {
    let good = Reading::at(1_000_000, 1_000_400, 7_000);
    assert_eq!((good.offset_us, good.error_us), (7_000_000 - 1_000_200, 200));
    let bad = Reading::at(1_100_000, 3_100_000, 7_000);
    assert_eq!(bad.or_better(Some(good)), good);
    assert_eq!(good.or_better(Some(bad)), good);
    // A step of the other clock is believed in time, however bad the line is.
    let later = Reading::at(4_000_000, 6_000_000, 9_000);
    assert_eq!(later.or_better(Some(good)), later);
    assert_eq!(bad.or_better(None), bad);
}

proptest! {
    /// Whatever the own clock says, and a minority of the others: the time is within the limit of the clocks that are right, once a
    /// majority with the own one is known; and who is right is never called wrong.
    #[test]
    fn a_minority_moves_nothing(
        members in 2usize..10,
        liars in proptest::collection::vec(-HOUR..HOUR, 0..10),
        noise in proptest::collection::vec(-500i64..500, 10),
        own_lies in proptest::option::of(-HOUR..HOUR),
    ) {
        let liars = &liars[..liars.len().min((members - 1) / 2 - usize::from(own_lies.is_some() && members > 2)).min(members - 1)];
        prop_assume!(members > 2 || own_lies.is_none());
        let honest = members - 1 - liars.len();
        let others: Vec<i64> = noise[..honest].iter().copied().chain(liars.iter().copied()).collect();
        let own = own_lies.unwrap_or(noise[9]);
        let now = now(members, own, &others);
        prop_assert!((-500 - LIMIT..500 + LIMIT).contains(&now), "{now} by {own} and {others:?}");
        if own_lies.is_none() {
            prop_assert_eq!(outside(members, own, &others), 0);
            prop_assert_eq!(now, own);
        }
    }
}
