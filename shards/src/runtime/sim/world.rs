//! The simulated world: one thread, one seed, several peers. It has the time, the tasks of each peer and what each of them waits for; what
//! runs next is drawn among the peers, and within a peer comes first what was ready first.
//!
//! Time stands still while anything is ready, but for a little that each turn of a task takes; then it jumps to the next timer.

use std::any::{Any, TypeId};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::dice::Dice;

/// A place where tasks run: one executor of one peer. Place 0 is outside: who observes and disturbs the peers.
pub type Place = usize;

/// Who observes.
pub const OUTSIDE: Place = 0;

/// The longest that one turn of a task takes, nanoseconds.
const TURN_NS_MAX: u64 = 4_000;

type Task = Pin<Box<dyn Future<Output = ()>>>;
type TaskId = u64;

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
    /// Woken tasks that have not been put in line yet: whoever wakes may be anywhere.
    static WOKEN: RefCell<Vec<TaskId>> = const { RefCell::new(Vec::new()) };
    static HERE: Cell<(Place, u64)> = const { Cell::new((OUTSIDE, 0)) };
}

struct World {
    now_ns: u64,
    dice: Dice,
    places: Vec<Room>,
    tasks: BTreeMap<TaskId, Slot>,
    next_task: TaskId,
    timers: BTreeMap<(u64, u64), Waker>,
    next_timer: u64,
    turns: u64,
    trace: u64,
}

/// What the world has of one place.
#[derive(Default)]
struct Room {
    /// Counts the processes that ran here; what belongs to an earlier one does nothing any more.
    life: u64,
    ready: VecDeque<TaskId>,
    paused_until_ns: u64,
    /// How far the wall clock is from the world's time, nanoseconds.
    wall_ahead_ns: i64,
    locals: BTreeMap<TypeId, Rc<dyn Any>>,
}

struct Slot {
    place: Place,
    life: u64,
    queued: bool,
    /// `None` while it runs.
    task: Option<Task>,
    waker: Waker,
}

struct Wakes(TaskId);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        WOKEN.with_borrow_mut(|woken| woken.push(self.0));
    }
}

fn with<T>(act: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with_borrow_mut(|world| act(world.as_mut().expect("a world: call `run` first")))
}

/// Runs `main` outside of all peers, in a new world that everything in it is drawn from `seed`. The world ends with it: whatever still runs
/// is dropped.
pub fn run<T: 'static>(seed: u64, main: impl Future<Output = T> + 'static) -> T {
    let world = World {
        now_ns: 0,
        dice: Dice::new(seed),
        places: vec![Room::default()],
        tasks: BTreeMap::new(),
        next_task: 1,
        timers: BTreeMap::new(),
        next_timer: 0,
        turns: 0,
        trace: seed,
    };
    let old = WORLD.replace(Some(world));
    assert!(old.is_none(), "one world at a time");
    HERE.set((OUTSIDE, 0));
    let forgotten = Forgotten;
    let result: Rc<RefCell<Option<T>>> = Rc::default();
    let done = Rc::clone(&result);
    spawn(async move {
        let output = main.await;
        *done.borrow_mut() = Some(output);
    });
    while result.borrow().is_none() {
        step();
    }
    std::mem::forget(forgotten);
    end();
    result.take().expect("it ended")
}

/// A world in which something panicked is left as it is: what is dropped of it would look for the rest.
struct Forgotten;

impl Drop for Forgotten {
    fn drop(&mut self) {
        std::mem::forget(WORLD.take());
        WOKEN.take();
    }
}

/// Drops what is left, in the order in which it was made.
fn end() {
    let places = with(|world| world.places.len());
    (0..places).for_each(kill);
    WOKEN.take();
    WORLD.take();
}

/// One turn: a ready task runs, or time goes on to the next timer.
fn step() {
    put_in_line();
    let next = with(|world| {
        let now = world.now_ns;
        let ready: Vec<Place> = (0..world.places.len())
            .filter(|place| !world.places[*place].ready.is_empty() && world.places[*place].paused_until_ns <= now)
            .collect();
        if ready.is_empty() {
            return None;
        }
        let place = ready[world.dice.below(ready.len() as u64) as usize];
        world.places[place].ready.pop_front()
    });
    match next {
        Some(task) => {
            with(|world| {
                world.turns += 1;
                world.now_ns += 1 + world.dice.below(TURN_NS_MAX);
                let now = world.now_ns;
                world.note(now ^ task.rotate_left(40));
            });
            fire();
            poll(task);
        }
        None => {
            with(|world| {
                let timer = world.timers.keys().next().map(|(at, _)| *at);
                let resumed = world.places.iter().filter(|room| !room.ready.is_empty()).map(|room| room.paused_until_ns).min();
                let next = [timer, resumed].into_iter().flatten().min();
                let next = next.expect("everything waits, and nothing will ever happen");
                world.now_ns = world.now_ns.max(next);
            });
            fire();
        }
    }
}

/// Wakes those whose time has come.
fn fire() {
    loop {
        let due = with(|world| {
            let first = world.timers.first_entry()?;
            if first.key().0 > world.now_ns { None } else { Some(first.remove()) }
        });
        match due {
            Some(waker) => waker.wake(),
            None => return,
        }
    }
}

fn put_in_line() {
    let woken = WOKEN.take();
    with(|world| {
        for id in woken {
            let Some(slot) = world.tasks.get_mut(&id) else { continue };
            if !std::mem::replace(&mut slot.queued, true) {
                world.places[slot.place].ready.push_back(id);
            }
        }
    });
}

fn poll(id: TaskId) {
    let taken = with(|world| {
        let slot = world.tasks.get_mut(&id)?;
        slot.queued = false;
        Some(((slot.place, slot.life), slot.task.take()?, slot.waker.clone()))
    });
    let Some((here, mut task, waker)) = taken else { return };
    let before = HERE.replace(here);
    let polled = task.as_mut().poll(&mut Context::from_waker(&waker));
    let gone = with(|world| match (world.tasks.get_mut(&id), polled) {
        (Some(slot), Poll::Pending) => {
            slot.task = Some(std::mem::replace(&mut task, Box::pin(std::future::ready(()))));
            false
        }
        _ => {
            world.tasks.remove(&id);
            true
        }
    });
    if gone {
        // Outside of the world's borrow: what it drops may wake others.
        drop(task);
    }
    HERE.set(before);
}

impl World {
    fn note(&mut self, what: u64) {
        self.trace = (self.trace ^ what).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
    }
}

/// Starts a task at the caller's place, at once until it first waits. A process that is over starts nothing.
pub(super) fn spawn(task: impl Future<Output = ()> + 'static) {
    let (place, life) = HERE.get();
    let task: Task = Box::pin(task);
    let id = WORLD.with_borrow_mut(|world| {
        let world = world.as_mut()?;
        if world.places[place].life != life {
            return None;
        }
        let id = world.next_task;
        world.next_task += 1;
        let waker = Waker::from(Arc::new(Wakes(id)));
        world.tasks.insert(id, Slot { place, life, queued: false, task: None, waker });
        Some(id)
    });
    let Some(id) = id else { return };
    with(|world| {
        if let Some(slot) = world.tasks.get_mut(&id) {
            slot.task = Some(task);
        }
    });
    poll(id);
}

/// The caller's place.
pub fn here() -> Place {
    HERE.get().0
}

/// A new place, where nothing runs yet.
pub fn add_place() -> Place {
    with(|world| {
        world.places.push(Room::default());
        world.places.len() - 1
    })
}

/// Has `main` run at a place, beside what runs there.
pub fn start(place: Place, main: impl Future<Output = ()> + 'static) {
    at(place, || spawn(main));
}

/// Does something as the process at a place.
pub(super) fn at<T>(place: Place, act: impl FnOnce() -> T) -> T {
    let life = with(|world| world.places[place].life);
    let before = HERE.replace((place, life));
    let done = act();
    HERE.set(before);
    done
}

/// Ends the process at a place: its tasks are dropped and start no others; what they have in memory is lost.
pub fn kill(place: Place) {
    let life = with(|world| {
        world.places[place].life += 1;
        world.places[place].ready.clear();
        world.places[place].paused_until_ns = 0;
        world.places[place].life - 1
    });
    let before = HERE.replace((place, life));
    loop {
        let next = with(|world| {
            let id = world.tasks.iter().find(|(_, slot)| slot.place == place && slot.life == life).map(|(id, _)| *id)?;
            world.tasks.remove(&id)
        });
        match next {
            Some(slot) => drop(slot.task),
            None => break,
        }
    }
    let locals = with(|world| std::mem::take(&mut world.places[place].locals));
    drop(locals);
    HERE.set(before);
}

/// Nothing runs at a place for so long, as in a process that is stopped.
pub fn pause(place: Place, wait: Duration) {
    with(|world| world.places[place].paused_until_ns = world.now_ns + wait.as_nanos() as u64);
}

/// Sets a place's wall clock forward or back, by so many milliseconds.
pub fn step_wall_clock(place: Place, ms: i64) {
    with(|world| world.places[place].wall_ahead_ns += ms * 1_000_000);
}

/// The caller's process: its place, and which one it is there.
pub(crate) fn process() -> (Place, u64) {
    HERE.get()
}

/// A process goes on.
pub(crate) fn is_running((place, life): (Place, u64)) -> bool {
    WORLD.with_borrow(|world| world.as_ref().is_some_and(|world| world.places[place].life == life))
}

/// The caller's process goes on.
pub(crate) fn is_alive() -> bool {
    is_running(HERE.get())
}

/// Time since the world began, nanoseconds.
pub(super) fn now_ns() -> u64 {
    WORLD.with_borrow(|world| world.as_ref().map_or(0, |world| world.now_ns))
}

/// How far the caller's wall clock is from the world's time, nanoseconds.
pub(super) fn wall_ahead_ns() -> i64 {
    let (place, _) = HERE.get();
    WORLD.with_borrow(|world| world.as_ref().map_or(0, |world| world.places[place].wall_ahead_ns))
}

/// Draws a number that everybody in the world draws from.
pub fn draw() -> u64 {
    with(|world| world.dice.draw())
}

/// Draws a number below `end`.
pub fn below(end: u64) -> u64 {
    with(|world| world.dice.below(end))
}

/// Draws whether something happens that happens once in `times`.
pub fn once_in(times: u64) -> bool {
    below(times) == 0
}

/// Mixes what happened into the trace: two runs of one seed have the same.
pub fn note(what: u64) {
    with(|world| world.note(what));
}

/// What has happened so far, as one number, and how many turns it took.
pub fn trace() -> (u64, u64) {
    with(|world| (world.trace, world.turns))
}

/// A value that each process has one of, as a thread-local one is there for each executor; or that the whole world has one of.
pub(crate) struct Local<T: 'static> {
    make: fn() -> T,
    of_world: bool,
}

impl<T: 'static> Local<T> {
    /// Each process has one.
    pub(crate) const fn new(make: fn() -> T) -> Self {
        Local { make, of_world: false }
    }

    /// The world has one, whoever asks.
    pub(crate) const fn of_world(make: fn() -> T) -> Self {
        Local { make, of_world: true }
    }

    fn cell(&self) -> Rc<RefCell<T>> {
        let place = if self.of_world { OUTSIDE } else { HERE.get().0 };
        let key = TypeId::of::<T>();
        if let Some(found) = with(|world| world.places[place].locals.get(&key).cloned()) {
            return found.downcast().expect("found by its type");
        }
        let made = Rc::new(RefCell::new((self.make)()));
        with(|world| world.places[place].locals.insert(key, Rc::<RefCell<T>>::clone(&made)));
        made
    }

    pub(crate) fn with_borrow<R>(&self, act: impl FnOnce(&T) -> R) -> R {
        act(&self.cell().borrow())
    }

    pub(crate) fn with_borrow_mut<R>(&self, act: impl FnOnce(&mut T) -> R) -> R {
        act(&mut self.cell().borrow_mut())
    }

    pub(crate) fn set(&self, value: T) {
        // What it replaces may look at it when it is dropped.
        let before = self.cell().replace(value);
        drop(before);
    }
}

/// A moment that is waited for.
pub(super) struct Timer {
    at_ns: u64,
    key: Option<(u64, u64)>,
}

impl Timer {
    /// After so long.
    pub(super) fn after(wait: Duration) -> Self {
        Timer { at_ns: now_ns().saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)), key: None }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let at_ns = self.at_ns;
        let before = self.key.take();
        let key = with(|world| {
            if let Some(before) = before {
                world.timers.remove(&before);
            }
            if world.now_ns >= at_ns {
                return None;
            }
            let key = (at_ns, world.next_timer);
            world.next_timer += 1;
            world.timers.insert(key, cx.waker().clone());
            Some(key)
        });
        self.key = key;
        if key.is_some() { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            // The world may be gone.
            WORLD.with_borrow_mut(|world| world.as_mut().map(|world| world.timers.remove(&key)));
        }
    }
}
