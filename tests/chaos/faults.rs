//! What will be done to the cluster: a plan that a seed decides. Pure.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use crate::harness::network::{Passage, Way};

/// One of the peers that are members when the fault begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// By its place.
    Nth(usize),
    /// Whoever leads a group.
    LeaderOf(u32),
}

/// Something that is done to the cluster and undone after a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// SIGKILL, later another start.
    Kill(Who),
    /// Power is lost everywhere.
    KillAll,
    /// SIGSTOP, later SIGCONT.
    Pause(Who),
    /// SIGTERM, then another start.
    Restart(Who),
    /// A peer and the others hear nothing of each other.
    Isolate(Who, Passage),
    /// What a peer says is not heard, or it hears nothing.
    Deafen { who: Who, inbound: bool, passage: Passage },
    /// Two peers hear nothing of each other; a third one hears both.
    Part { leader_of: u32, passage: Passage },
    /// Nobody hears anybody.
    IsolateAll(Passage),
    /// Every connection breaks once.
    BreakAll,
    /// A peer goes for good and a fresh one comes under another id; which of the two happens first.
    Replace { who: Who, add_first: bool },
    /// A peer loses its disk and is started without one. Its place is given to it anew in one step, or taken away first and then given.
    Empty { who: Who, replace: bool },
    /// A peer's clock is set wrong, while it runs or while it is down, and right again.
    Clock { who: Who, by_ms: i64, down: bool },
    /// Each sync takes so much longer, at one peer or (`None`) at all of them.
    Slow { who: Option<Who>, by_ms: i64 },
    /// Consumers subscribe at a peer whether it is up or not, while it is killed twice.
    Boot(Who),
    /// Everybody is asked to stop and started again, one after the other.
    Roll,
    /// The leader of a group is told to hand over.
    Transfer { group: u32, to: Who },
    /// Everybody is told to spread leaders.
    Rebalance,
}

/// A fault, with what lies around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Nothing is done for so long before.
    pub pause: Duration,
    pub fault: Fault,
    /// How long it lasts.
    pub hold: Duration,
    /// How all other ways are meanwhile.
    pub weather: Way,
}

impl Step {
    /// How long it takes at least.
    pub fn length(&self) -> Duration {
        let own = match self.fault {
            Fault::Roll => 6_000,
            Fault::Empty { .. } | Fault::Boot(_) => 2_000,
            _ => 0,
        };
        self.pause + self.hold + Duration::from_millis(own)
    }
}

const GROUPS: u32 = 3;

const HOUR_MS: i64 = 3_600_000;

fn passage(rng: &mut StdRng) -> Passage {
    [Passage::Held, Passage::Lost, Passage::Cut][rng.random_range(0..3)]
}

fn who(rng: &mut StdRng) -> Who {
    match rng.random_bool(0.5) {
        true => Who::LeaderOf(rng.random_range(0..GROUPS)),
        false => Who::Nth(rng.random_range(0..3)),
    }
}

/// Hours ahead or behind.
fn clock(rng: &mut StdRng) -> Fault {
    let by_ms = rng.random_range(HOUR_MS..10 * HOUR_MS);
    Fault::Clock { who: who(rng), by_ms: if rng.random() { by_ms } else { -by_ms }, down: rng.random_bool(0.3) }
}

/// Every kind of fault once, with new details each time.
fn deck(rng: &mut StdRng) -> Vec<Fault> {
    let mut deck = vec![
        Fault::Kill(Who::LeaderOf(rng.random_range(1..GROUPS))),
        Fault::Kill(who(rng)),
        Fault::KillAll,
        Fault::Pause(who(rng)),
        Fault::Restart(who(rng)),
        Fault::Isolate(who(rng), passage(rng)),
        Fault::Deafen { who: who(rng), inbound: rng.random(), passage: passage(rng) },
        Fault::Part { leader_of: rng.random_range(0..GROUPS), passage: passage(rng) },
        Fault::IsolateAll(passage(rng)),
        Fault::BreakAll,
        Fault::Replace { who: who(rng), add_first: rng.random() },
        Fault::Empty { who: who(rng), replace: rng.random() },
        clock(rng),
        Fault::Slow { who: rng.random_bool(0.5).then(|| who(rng)), by_ms: rng.random_range(50..600) },
        Fault::Boot(who(rng)),
        Fault::Roll,
        Fault::Transfer { group: rng.random_range(0..GROUPS), to: who(rng) },
        Fault::Rebalance,
    ];
    deck.shuffle(rng);
    deck
}

fn weather(rng: &mut StdRng) -> Way {
    let ms = |rng: &mut StdRng, most: u64| Duration::from_millis(rng.random_range(0..most));
    match rng.random_range(0..6) {
        0 => Way { delay: ms(rng, 30), jitter: ms(rng, 60), ..Way::default() },
        1 => Way { breaks: 0.005, ..Way::default() },
        2 => Way { bytes_per_second: rng.random_range(500_000..4_000_000), ..Way::default() },
        _ => Way::default(),
    }
}

/// Steps that take at least so long together.
pub fn plan(seed: u64, length: Duration) -> Vec<Step> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut steps: Vec<Step> = Vec::new();
    let mut left = Vec::new();
    while steps.iter().map(Step::length).sum::<Duration>() < length {
        if left.is_empty() {
            left = deck(&mut rng);
        }
        let Some(fault) = left.pop() else { break };
        let hold = match fault {
            Fault::BreakAll | Fault::Replace { .. } | Fault::Transfer { .. } | Fault::Rebalance | Fault::Roll => 0..=500,
            Fault::Empty { .. } | Fault::Boot(_) => 0..=1_500,
            // A clock has to be wrong for three seconds until its peer hands over.
            Fault::Clock { .. } => 300..=6_000,
            // Short, and long enough for an election.
            _ => 300..=4_000,
        };
        steps.push(Step {
            pause: Duration::from_millis(rng.random_range(200..1_200)),
            fault,
            hold: Duration::from_millis(rng.random_range(hold)),
            weather: match fault {
                // Nothing comes twice while only this happens.
                Fault::Roll => Way::default(),
                _ => weather(&mut rng),
            },
        });
    }
    steps
}

/// A failing run can be had again only if its seed decides everything.
#[test]
fn a_seed_decides_the_plan() {
    let length = Duration::from_secs(200);
    assert_eq!(plan(7, length), plan(7, length));
    assert_ne!(plan(7, length), plan(8, length));
    assert!(plan(7, length).iter().map(Step::length).sum::<Duration>() >= length);
}

/// A kind of fault that no plan has is one that nobody has tried.
#[test]
fn a_long_plan_has_every_kind_of_fault() {
    let steps = plan(7, Duration::from_secs(200));
    let kinds: Vec<_> = deck(&mut StdRng::seed_from_u64(7)).iter().map(std::mem::discriminant).collect();
    for kind in &kinds {
        assert!(steps.iter().any(|step| std::mem::discriminant(&step.fault) == *kind), "{kind:?} of {kinds:?}");
    }
}
