//! A history, told task by task.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::history::{Event, Verdict, What};

/// The place of an event in the history.
pub type Place = usize;

/// How a call or a settle ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was done before this place.
    Done(Place),
    /// It was answered with an error that means: nothing was done.
    Refused(i32),
    /// It may have been done, or not, or will be.
    Unknown,
}

impl End {
    /// It was not surely left undone.
    pub fn is_possible(self) -> bool {
        !matches!(self, End::Refused(_))
    }

    pub fn done(self) -> Option<Place> {
        if let End::Done(at) = self { Some(at) } else { None }
    }
}

/// A call, or what a consumer said: when it was sent, and how it ended.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub asked: Place,
    pub end: End,
}

/// How a task came into being.
#[derive(Debug, Default)]
pub struct Birth {
    pub due_ms: u64,
    pub creates: Vec<Step>,
    /// The ids that it was ever seen under.
    pub ids: BTreeSet<String>,
}

/// A task with a consumer.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    pub place: Place,
    pub at_ms: u64,
    pub token: u64,
    pub attempt: u32,
    pub due_ms: u64,
}

/// A read, and whether the task was there.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    pub asked: Place,
    pub answered: Place,
    pub found: bool,
}

/// What happened to a task that has an id.
#[derive(Debug, Default)]
pub struct Life {
    pub number: u64,
    /// Places at which a create was answered with this id.
    pub acknowledged: Option<Place>,
    pub deliveries: Vec<Delivery>,
    /// By token.
    pub acks: Vec<(u64, Step)>,
    /// With the new due time.
    pub updates: Vec<(u64, Step)>,
    pub deletes: Vec<Step>,
    pub reads: Vec<Read>,
    pub listed: bool,
}

/// A history, told task by task.
#[derive(Debug, Default)]
pub struct Stories {
    /// By number.
    pub births: BTreeMap<u64, Birth>,
    /// By id.
    pub lives: BTreeMap<String, Life>,
    /// The history tells how it is in the end.
    pub ended: bool,
    /// What should not even be possible.
    pub strange: Vec<String>,
}

/// What a call was about.
enum Call {
    Create { number: u64, nth: usize },
    Get { id: String, asked: Place },
    Update { id: String, nth: usize },
    Delete { id: String, nth: usize },
}

/// An error with one of these codes says that nothing was done: bad input, not there, there already, full, not now, too late.
fn end_of(code: i32, place: Place) -> End {
    match code {
        0 => End::Done(place),
        3 | 5 | 6 | 8 | 9 | 10 | 11 | 12 => End::Refused(code),
        _ => End::Unknown,
    }
}

const NOT_FOUND: i32 = 5;

impl Stories {
    /// Reads a history.
    pub fn of(events: &[Event]) -> Self {
        let mut stories = Stories::default();
        let mut calls = HashMap::new();
        for (place, event) in events.iter().enumerate() {
            stories.take(place, event, &mut calls);
        }
        stories
    }

    fn life(&mut self, id: &str) -> &mut Life {
        self.lives.entry(id.to_owned()).or_default()
    }

    /// A task shows itself.
    fn seen(&mut self, number: u64, id: &str) -> &mut Life {
        match self.births.get_mut(&number) {
            Some(birth) => drop(birth.ids.insert(id.to_owned())),
            None => self.strange.push(format!("task {id} has the number {number}, which nobody sent")),
        }
        let life = self.life(id);
        life.number = number;
        life
    }

    fn take(&mut self, place: Place, event: &Event, calls: &mut HashMap<u64, Call>) {
        let asked = Step { asked: place, end: End::Unknown };
        match &event.what {
            What::Create { call, number, due_ms, .. } => {
                let birth = self.births.entry(*number).or_default();
                birth.due_ms = *due_ms;
                calls.insert(*call, Call::Create { number: *number, nth: birth.creates.len() });
                birth.creates.push(asked);
            }
            What::Get { call, id } => drop(calls.insert(*call, Call::Get { id: id.clone(), asked: place })),
            What::Update { call, id, due_ms } => {
                let updates = &mut self.life(id).updates;
                calls.insert(*call, Call::Update { id: id.clone(), nth: updates.len() });
                updates.push((*due_ms, asked));
            }
            What::Delete { call, id } => {
                let deletes = &mut self.life(id).deletes;
                calls.insert(*call, Call::Delete { id: id.clone(), nth: deletes.len() });
                deletes.push(asked);
            }
            What::Created { call, id, .. } => {
                if let Some(Call::Create { number, .. }) = calls.get(call) {
                    self.seen(*number, id).acknowledged.get_or_insert(place);
                }
                self.answered(calls.remove(call), 0, place);
            }
            What::Got { call } | What::Updated { call } | What::Deleted { call } => self.answered(calls.remove(call), 0, place),
            What::Failed { call, code } => self.answered(calls.remove(call), *code, place),
            What::Delivered { number, id, token, attempt, due_ms } => {
                let delivery = Delivery { place, at_ms: event.at_ms, token: *token, attempt: *attempt, due_ms: *due_ms };
                self.seen(*number, id).deliveries.push(delivery);
            }
            What::Settle { id, token, verdict: Verdict::Ack } => self.life(id).acks.push((*token, asked)),
            What::Settled { id, token, verdict: Verdict::Ack, code } => {
                let mut open = self.life(id).acks.iter_mut().filter(|(t, step)| t == token && step.end == End::Unknown);
                if let Some((_, step)) = open.next() {
                    step.end = end_of(*code, place);
                }
            }
            What::Ended => self.ended = true,
            What::Listed { number, id } => self.seen(*number, id).listed = true,
            What::Settle { .. } | What::Settled { .. } | What::State { .. } | What::Fault { .. } => {}
        }
    }

    fn answered(&mut self, call: Option<Call>, code: i32, place: Place) {
        let end = end_of(code, place);
        match call {
            Some(Call::Create { number, nth }) => {
                if let Some(birth) = self.births.get_mut(&number) {
                    birth.creates[nth].end = end;
                }
            }
            Some(Call::Get { id, asked }) if code == 0 || code == NOT_FOUND => {
                self.life(&id).reads.push(Read { asked, answered: place, found: code == 0 });
            }
            Some(Call::Get { .. }) => {}
            Some(Call::Update { id, nth }) => self.life(&id).updates[nth].1.end = end,
            Some(Call::Delete { id, nth }) => self.life(&id).deletes[nth].end = end,
            None => self.strange.push(format!("an answer at {place} belongs to no call")),
        }
    }
}
