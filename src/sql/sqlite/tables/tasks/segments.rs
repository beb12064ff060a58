//! Which key ranges are read, in which order: what a reference to `tasks` asks for, cut along namespaces, states and time.

use std::sync::Arc;

use z4_model::ids::{GroupId, Namespace, TaskKey};

use crate::sql::data::Range;

/// What rows are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// `deliver_at`.
    Due,
    /// `namespace`.
    Namespace,
    /// `state`.
    State,
}

/// A term of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub by: SortBy,
    /// The last first.
    pub descending: bool,
}

impl Sort {
    pub(super) fn letters(self) -> [char; 2] {
        let by = match self.by {
            SortBy::Due => 'd',
            SortBy::Namespace => 'n',
            SortBy::State => 's',
        };
        [by, if self.descending { '-' } else { '+' }]
    }

    /// For people.
    pub fn describe(self) -> String {
        let by = match self.by {
            SortBy::Due => "due time",
            SortBy::Namespace => "namespace",
            SortBy::State => "state",
        };
        format!("read in order of {by}{}", if self.descending { ", backwards" } else { "" })
    }

    pub(super) fn from_letters(letters: &[char]) -> Option<Sort> {
        let [by, direction] = letters else { return None };
        let by = match by {
            'd' => SortBy::Due,
            'n' => SortBy::Namespace,
            's' => SortBy::State,
            _ => return None,
        };
        match direction {
            '+' => Some(Sort { by, descending: false }),
            '-' => Some(Sort { by, descending: true }),
            _ => None,
        }
    }
}

/// A set of states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct States(u8);

impl States {
    /// Attempts used up.
    pub const DEAD: States = States(1);
    /// With a consumer.
    pub const LEASED: States = States(2);
    /// Deliverable.
    pub const READY: States = States(4);
    /// Due in the future.
    pub const SCHEDULED: States = States(8);
    /// Every state.
    pub const ALL: States = States(15);
    /// None.
    pub const NONE: States = States(0);
    /// One by one, in the order of their names.
    pub const EACH: [(States, &'static str); 4] =
        [(States::DEAD, "dead"), (States::LEASED, "leased"), (States::READY, "ready"), (States::SCHEDULED, "scheduled")];

    /// The state of this name; none when there is no such state.
    pub fn named(name: &[u8]) -> States {
        States::EACH.iter().find(|(_, known)| known.as_bytes() == name).map_or(States::NONE, |(state, _)| *state)
    }

    /// Both.
    pub fn and(self, other: States) -> States {
        States(self.0 & other.0)
    }

    /// Either.
    pub fn or(self, other: States) -> States {
        States(self.0 | other.0)
    }

    /// At least one of these.
    pub fn any_of(self, other: States) -> bool {
        self.0 & other.0 != 0
    }

    /// The names, as a list.
    pub fn names(self) -> String {
        let names: Vec<&str> = States::EACH.iter().filter(|(state, _)| self.any_of(*state)).map(|(_, name)| *name).collect();
        names.join(",")
    }
}

/// Whose rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The group.
    pub group: GroupId,
    /// The namespace.
    pub namespace: Namespace,
    /// Dead rows instead of live ones.
    pub dead: bool,
}

/// A key range to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Whose rows.
    pub origin: Arc<Origin>,
    /// The first due time, milliseconds.
    pub first: u64,
    /// The last due time, milliseconds.
    pub last: u64,
    /// Rows in other states are skipped.
    pub states: States,
    /// Segments of a lower phase come before.
    pub phase: u32,
}

impl Segment {
    /// The range of keys.
    pub fn range(&self, backwards: bool) -> Range {
        Range {
            namespace: self.origin.namespace.clone(),
            dead: self.origin.dead,
            from: TaskKey::at(self.first),
            until: TaskKey::at(self.last.saturating_add(1)),
            backwards,
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The namespaces and their groups, no namespace twice, in the order of their names where an order by them is wanted.
    pub namespaces: Vec<(Namespace, GroupId)>,
    /// First and last due time, milliseconds.
    pub due: (u64, u64),
    /// The states.
    pub states: States,
    /// Scheduled is what is due after this, milliseconds.
    pub now_ms: u64,
    /// Some tasks are known to be leased; without any no range is read for them.
    pub leases: bool,
}

/// The segments, by phase. Due order is not seen to here: it is made by merging.
pub fn segments(request: &Request, order: &[Sort]) -> Vec<Segment> {
    let by_state = order.iter().any(|sort| sort.by == SortBy::State);
    let mut found: Vec<(usize, usize, Segment)> = Vec::new();
    for (place, (namespace, group)) in request.namespaces.iter().enumerate() {
        let origin = |dead| Arc::new(Origin { group: *group, namespace: namespace.clone(), dead });
        let (live, dead) = (origin(false), origin(true));
        for (at, states) in pieces(by_state).into_iter().enumerate() {
            let states = states.and(request.states);
            let (origin, due) = if states == States::DEAD { (&dead, Some(request.due)) } else { (&live, cut(request, states)) };
            if let (Some((first, last)), true) = (due, states != States::NONE) {
                found.push((place, at, Segment { origin: Arc::clone(origin), first, last, states, phase: 0 }));
            }
        }
    }
    let key = |sort: &Sort, (place, at, _): &(usize, usize, Segment)| match sort.by {
        SortBy::Namespace => *place,
        SortBy::State => *at,
        SortBy::Due => 0,
    };
    let compare = |a: &(usize, usize, Segment), b: &(usize, usize, Segment)| {
        let terms = order.iter().map(|sort| {
            let ordering = key(sort, a).cmp(&key(sort, b));
            if sort.descending { ordering.reverse() } else { ordering }
        });
        terms.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    };
    found.sort_by(compare);
    let mut phase = 0;
    for i in 1..found.len() {
        if let [before, this] = &mut found[i - 1..=i] {
            if compare(before, this).is_ne() {
                phase += 1;
            }
            this.2.phase = phase;
        }
    }
    found.into_iter().map(|(_, _, segment)| segment).collect()
}

/// States that are read together, in the order of their names where they are not.
fn pieces(by_state: bool) -> Vec<States> {
    if by_state {
        States::EACH.iter().map(|(state, _)| *state).collect()
    } else {
        vec![States::DEAD, States::LEASED.or(States::READY).or(States::SCHEDULED)]
    }
}

/// The due times at which live rows can be in one of the states.
fn cut(request: &Request, states: States) -> Option<(u64, u64)> {
    let (mut first, mut last) = request.due;
    if !states.any_of(States::SCHEDULED) {
        last = last.min(request.now_ms);
    }
    let may_be_due = states.any_of(States::READY) || states.any_of(States::LEASED) && request.leases;
    if !may_be_due {
        first = first.max(request.now_ms.saturating_add(1));
    }
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    //! A segment that is missing hides tasks, one too many reads in vain; and the order of segments is the order of groups of rows.

    use super::*;

    fn request(states: States, leases: bool) -> Request {
        let name = |name: &str| Namespace::new(name).expect("a name");
        let namespaces = vec![(name("a"), GroupId(2)), (name("b"), GroupId(1))];
        Request { namespaces, due: (100, 300), states, now_ms: 200, leases }
    }

    fn shown(request: &Request, order: &[Sort]) -> Vec<String> {
        let show = |s: &Segment| format!("{} {} {}-{} {}", s.phase, s.origin.namespace, s.first, s.last, s.states.names());
        segments(request, order).iter().map(show).collect()
    }

    #[test]
    fn states_cut_the_time() {
        assert_eq!(shown(&request(States::DEAD, false), &[]), ["0 a 100-300 dead", "0 b 100-300 dead"]);
        assert_eq!(shown(&request(States::SCHEDULED, true), &[])[0], "0 a 201-300 scheduled");
        assert_eq!(shown(&request(States::READY, false), &[])[0], "0 a 100-200 ready");
        assert_eq!(shown(&request(States::LEASED, true), &[])[0], "0 a 100-200 leased");
        assert!(shown(&request(States::LEASED, false), &[]).is_empty());
        assert_eq!(shown(&request(States::ALL, false), &[])[1], "0 a 100-300 leased,ready,scheduled");
    }

    #[test]
    fn phases_follow_the_order() {
        let by = |by, descending| Sort { by, descending };
        let states = shown(&request(States::ALL, true), &[by(SortBy::State, true)]);
        assert_eq!(states[0], "0 a 201-300 scheduled");
        assert_eq!(states[1], "0 b 201-300 scheduled");
        assert_eq!(states[7], "3 b 100-300 dead");
        let both = shown(&request(States::ALL, false), &[by(SortBy::Namespace, true), by(SortBy::State, false)]);
        assert_eq!(
            both,
            [
                "0 b 100-300 dead",
                "1 b 100-200 ready",
                "2 b 201-300 scheduled",
                "3 a 100-300 dead",
                "4 a 100-200 ready",
                "5 a 201-300 scheduled",
            ]
        );
    }
}
