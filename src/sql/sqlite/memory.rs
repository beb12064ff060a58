//! Counts what SQLite allocates: per thread (a query runs on one thread) and in all, and says when a bound is passed.
//!
//! Small allocations succeed even beyond the bound: rusqlite panics or aborts where SQLite has no memory for an error text, and the
//! query is stopped soon anyway, because SQLite's progress callback and the virtual tables ask [`exceeded`]. Large ones
//! fail, so that a few instructions cannot take gigabytes. While Rust code reads SQLite's values ([`lenient`]) none fails:
//! rusqlite panics when a text cannot be terminated; what is read there is at most as large as what was counted already.
//!
//! The only file of z4 that calls C by itself: SQLite takes an allocator through a C interface alone.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, realloc};
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::ffi;

use crate::sql::error::SqlError;

/// The size stands before each allocation.
const HEAD: usize = 8;
/// Allocations from here on fail beyond a bound.
const LARGE: usize = 64 << 10;
/// What a thread takes of the common bound at a time.
const QUANTUM: i64 = 1 << 20;

/// What all threads took.
static TAKEN: AtomicI64 = AtomicI64::new(0);
/// The bound of all, bytes.
static ALL_MAX: AtomicI64 = AtomicI64::new(i64::MAX);
static INSTALLED: OnceLock<bool> = OnceLock::new();

thread_local! {
    static USED: Cell<i64> = const { Cell::new(0) };
    static HELD: Cell<i64> = const { Cell::new(0) };
    static MAX: Cell<i64> = const { Cell::new(i64::MAX) };
    static OWN_MAX: Cell<i64> = const { Cell::new(i64::MAX) };
    static LENIENT: Cell<u32> = const { Cell::new(0) };
    static EXCEEDED: Cell<Option<Bound>> = const { Cell::new(None) };
}

/// A bound that was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// That of one query, bytes.
    Query(i64),
    /// That of all queries, bytes.
    All(i64),
}

impl Bound {
    /// What the client is told.
    pub fn error(self) -> SqlError {
        match self {
            Bound::Query(max) => SqlError::new(
                1038,
                "HY001",
                format!(
                    "Out of memory: the query needs more than {max} bytes (sql_query_memory_bytes_max) for sorting, grouping and rows under way; read less, or select fewer columns"
                ),
            ),
            Bound::All(max) => SqlError::new(
                1041,
                "HY000",
                format!("Out of memory: all queries together need more than {max} bytes (sql_memory_bytes_max); try again later"),
            ),
        }
    }
}

/// Makes SQLite allocate here. Once, before its first connection.
///
/// # Errors
/// SQLite runs already, with another allocator.
pub fn install(all_max: usize) -> Result<(), &'static str> {
    ALL_MAX.store(i64::try_from(all_max).unwrap_or(i64::MAX), Ordering::Relaxed);
    match *INSTALLED.get_or_init(configure) {
        true => Ok(()),
        false => Err("SQLite was started before its memory could be bounded"),
    }
}

fn configure() -> bool {
    let methods = ffi::sqlite3_mem_methods {
        xMalloc: Some(x_malloc),
        xFree: Some(x_free),
        xRealloc: Some(x_realloc),
        xSize: Some(x_size),
        xRoundup: Some(x_roundup),
        xInit: Some(x_init),
        xShutdown: Some(x_shutdown),
        pAppData: ptr::null_mut(),
    };
    // SAFETY: SQLite copies the methods during the call; they keep its contract (below); the other options are ints. SQLite answers
    // SQLITE_MISUSE and changes nothing when it runs already.
    unsafe {
        ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0 as c_int) == ffi::SQLITE_OK
            && ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, ptr::from_ref(&methods)) == ffi::SQLITE_OK
    }
}

/// A query starts on this thread: what it allocates from now on counts for it.
pub fn start(query_max: usize) {
    let max = i64::try_from(query_max).unwrap_or(i64::MAX);
    EXCEEDED.set(None);
    OWN_MAX.set(max);
    MAX.set(USED.get().saturating_add(max));
}

/// Bytes that SQLite's threads hold, rounded up to what each takes at a time.
pub fn taken() -> i64 {
    TAKEN.load(Ordering::Relaxed).max(0)
}

/// Bytes that this thread allocated and did not free.
#[cfg(test)]
pub fn used() -> i64 {
    USED.get()
}

/// The query is over: what is allocated between queries is not bounded.
pub fn end() {
    MAX.set(i64::MAX);
    OWN_MAX.set(i64::MAX);
    EXCEEDED.set(None);
}

/// The thread ends: gives back what it took of the common bound.
pub fn leave() {
    TAKEN.fetch_sub(HELD.replace(0), Ordering::Relaxed);
}

/// The bound that the query of this thread has passed.
pub fn exceeded() -> Option<Bound> {
    EXCEEDED.get()
}

/// Counts bytes that the query holds outside SQLite; negative: holds no more.
pub fn charge(bytes: i64) {
    count(bytes);
}

/// Bytes that a value of ours holds for the query, as long as it lives.
#[derive(Debug, Default)]
pub struct Charge(i64);

impl Charge {
    /// It holds so many more.
    pub fn grow(&mut self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.0 = self.0.saturating_add(bytes);
        charge(bytes);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        charge(-self.0);
    }
}

/// Until the guard goes no allocation of this thread fails for a bound.
pub fn lenient() -> Lenient {
    LENIENT.set(LENIENT.get().saturating_add(1));
    Lenient(())
}

/// See [`lenient`].
pub struct Lenient(());

impl Drop for Lenient {
    fn drop(&mut self) {
        LENIENT.set(LENIENT.get().saturating_sub(1));
    }
}

/// Counts; `false`: a bound is passed.
#[inline]
fn count(bytes: i64) -> bool {
    let used = USED.get().saturating_add(bytes);
    USED.set(used);
    if bytes > 0 && used > MAX.get() && EXCEEDED.get().is_none() {
        EXCEEDED.set(Some(Bound::Query(OWN_MAX.get())));
    }
    let held = HELD.get();
    if used > held || held - used > 2 * QUANTUM {
        balance(used, held);
    }
    EXCEEDED.get().is_none()
}

#[cold]
fn balance(used: i64, held: i64) {
    let wanted = (used / QUANTUM + 1) * QUANTUM;
    let all = TAKEN.fetch_add(wanted - held, Ordering::Relaxed) + wanted - held;
    HELD.set(wanted);
    let max = ALL_MAX.load(Ordering::Relaxed);
    if wanted > held && all > max && MAX.get() != i64::MAX && EXCEEDED.get().is_none() {
        EXCEEDED.set(Some(Bound::All(max)));
    }
}

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(HEAD)?, HEAD).ok()
}

fn rounded(size: c_int) -> Option<usize> {
    usize::try_from(size).ok().filter(|size| *size > 0).map(|size| size.next_multiple_of(8))
}

/// Whether this much more may be had; counts it when it may.
fn may_have(more: usize) -> bool {
    let bytes = more as i64;
    if count(bytes) || more < LARGE || LENIENT.get() > 0 {
        return true;
    }
    count(-bytes);
    false
}

unsafe extern "C" fn x_malloc(size: c_int) -> *mut c_void {
    let Some((size, layout)) = rounded(size).and_then(|size| Some((size, layout(size)?))) else { return ptr::null_mut() };
    if !may_have(size) {
        return ptr::null_mut();
    }
    // SAFETY: the layout is not empty; its alignment fits a usize, and what follows HEAD is aligned to 8 as SQLite asks.
    unsafe {
        let start = alloc(layout);
        if start.is_null() {
            count(-(size as i64));
            return ptr::null_mut();
        }
        start.cast::<usize>().write(size);
        start.add(HEAD).cast()
    }
}

unsafe extern "C" fn x_free(at: *mut c_void) {
    if at.is_null() {
        return;
    }
    // SAFETY: SQLite frees what x_malloc or x_realloc gave it, once: its size stands before it, and the layout is the one it was
    // allocated with.
    unsafe {
        let start = at.cast::<u8>().sub(HEAD);
        let size = start.cast::<usize>().read();
        count(-(size as i64));
        if let Some(layout) = layout(size) {
            dealloc(start, layout);
        }
    }
}

unsafe extern "C" fn x_realloc(at: *mut c_void, size: c_int) -> *mut c_void {
    let Some(new) = rounded(size) else { return ptr::null_mut() };
    // SAFETY: as in x_free; on failure the old allocation stays as it is, which is what SQLite expects.
    unsafe {
        let start = at.cast::<u8>().sub(HEAD);
        let old = start.cast::<usize>().read();
        let (Some(old_layout), Some(new_layout)) = (layout(old), layout(new)) else { return ptr::null_mut() };
        if new > old && !may_have(new - old) {
            return ptr::null_mut();
        }
        let start = realloc(start, old_layout, new_layout.size());
        if start.is_null() {
            if new > old {
                count(-((new - old) as i64));
            }
            return ptr::null_mut();
        }
        if new < old {
            count(-((old - new) as i64));
        }
        start.cast::<usize>().write(new);
        start.add(HEAD).cast()
    }
}

unsafe extern "C" fn x_size(at: *mut c_void) -> c_int {
    if at.is_null() {
        return 0;
    }
    // SAFETY: as in x_free.
    let size = unsafe { at.cast::<u8>().sub(HEAD).cast::<usize>().read() };
    c_int::try_from(size).unwrap_or(c_int::MAX)
}

unsafe extern "C" fn x_roundup(size: c_int) -> c_int {
    size.saturating_add(7) & !7
}

unsafe extern "C" fn x_init(_: *mut c_void) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn x_shutdown(_: *mut c_void) {}
