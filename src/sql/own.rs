//! What is a session's own and changes while its statements run: user variables, named locks, and what the statement before left.
//! Functions reach it from the threads of the engine, through the statement's context.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use z4_shards::account::{Holder, Share};

use super::error::SqlError;
use super::types::{Datum, SqlType};

/// User variables of a session; one more is error 1041.
pub const VARIABLES_MAX: usize = 1_000;
/// Bytes of all user variables of a session, names included; one more is error 1041.
pub const VARIABLES_BYTES_MAX: usize = 1 << 20;
/// Characters of a user variable's name, as in MySQL; a longer one is error 3061.
const NAME_CHARS_MAX: usize = 64;
/// Names of locks that a session may hold; one more is error 1041.
const LOCKS_MAX: usize = 1_000;
/// Characters of a lock's name, as in MySQL; a longer one is error 3057.
const LOCK_CHARS_MAX: usize = 64;
/// What a variable costs beside its name and its value, bytes.
const ENTRY_BYTES: usize = 96;

/// The value of a user variable.
#[derive(Clone, Debug, PartialEq)]
pub struct UserValue {
    /// A DECIMAL is a text of digits.
    pub datum: Datum,
    /// Int, UInt, Double, Decimal, Text or Blob.
    pub ty: SqlType,
}

/// A session's variables and locks.
#[derive(Debug, Default)]
pub struct Own {
    inner: Mutex<Inner>,
    /// Who is charged for the variables; `None`: nobody counts.
    holder: Option<Holder>,
    found_rows: AtomicU64,
    row_count: AtomicI64,
    insert_id: AtomicU64,
}

#[derive(Debug, Default)]
struct Inner {
    variables: BTreeMap<String, (UserValue, Option<Share>)>,
    bytes: usize,
    /// How often each lock was taken.
    locks: BTreeMap<String, u64>,
}

impl Own {
    /// Nothing yet.
    pub fn new(holder: Option<Holder>) -> Own {
        Own { holder, ..Own::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A user variable by its lower-case name without `@`; `None`: it was never set.
    pub fn variable(&self, name: &str) -> Option<UserValue> {
        self.inner().variables.get(name).map(|(value, _)| value.clone())
    }

    /// Sets a user variable.
    ///
    /// # Errors
    /// 3061 its name is too long, 1041 there are too many, or they are too large.
    pub fn assign(&self, name: &str, value: UserValue) -> Result<(), SqlError> {
        if name.chars().count() > NAME_CHARS_MAX {
            return Err(SqlError::new(3061, "42000", format!("User variable name '{name}' is illegal")));
        }
        let mut inner = self.inner();
        let new = bytes_of(name, &value);
        let old = inner.variables.get(name).map_or(0, |(value, _)| bytes_of(name, value));
        let bytes = inner.bytes - old + new;
        if old == 0 && inner.variables.len() >= VARIABLES_MAX {
            return Err(full(&format!("a session has {VARIABLES_MAX} user variables at most")));
        }
        if bytes > VARIABLES_BYTES_MAX {
            return Err(full(&format!("the user variables of a session have {VARIABLES_BYTES_MAX} bytes at most")));
        }
        let share = self.holder.as_ref().map(|holder| holder.take(new)).transpose();
        let share = share.map_err(|_| full("the peer has none to spare"))?;
        inner.variables.insert(name.to_owned(), (value, share));
        inner.bytes = bytes;
        Ok(())
    }

    /// Takes a lock, which never waits: it is the session's alone.
    ///
    /// # Errors
    /// 3057 its name is none, 1041 there are too many.
    pub fn lock(&self, name: &str) -> Result<(), SqlError> {
        let name = lock_name(name)?;
        let mut inner = self.inner();
        if !inner.locks.contains_key(&name) && inner.locks.len() >= LOCKS_MAX {
            return Err(full(&format!("a session holds {LOCKS_MAX} locks at most")));
        }
        *inner.locks.entry(name).or_default() += 1;
        Ok(())
    }

    /// Releases a lock once; false: it was not held.
    ///
    /// # Errors
    /// 3057 its name is none.
    pub fn unlock(&self, name: &str) -> Result<bool, SqlError> {
        let name = lock_name(name)?;
        let mut inner = self.inner();
        match inner.locks.get_mut(&name) {
            Some(count) if *count > 1 => {
                *count -= 1;
                Ok(true)
            }
            _ => Ok(inner.locks.remove(&name).is_some()),
        }
    }

    /// Whether a lock is held.
    ///
    /// # Errors
    /// 3057 its name is none.
    pub fn is_locked(&self, name: &str) -> Result<bool, SqlError> {
        let name = lock_name(name)?;
        Ok(self.inner().locks.contains_key(&name))
    }

    /// Releases every lock; how often they were taken.
    pub fn unlock_all(&self) -> u64 {
        std::mem::take(&mut self.inner().locks).values().sum()
    }

    /// Says what a statement did: FOUND_ROWS (`None`: as before) and ROW_COUNT.
    pub fn did(&self, found: Option<u64>, count: i64) {
        if let Some(found) = found {
            self.found_rows.store(found, Relaxed);
        }
        self.row_count.store(count, Relaxed);
    }

    /// FOUND_ROWS.
    pub fn found_rows(&self) -> u64 {
        self.found_rows.load(Relaxed)
    }

    /// ROW_COUNT: -1 behind rows and errors.
    pub fn row_count(&self) -> i64 {
        self.row_count.load(Relaxed)
    }

    /// LAST_INSERT_ID.
    pub fn insert_id(&self) -> u64 {
        self.insert_id.load(Relaxed)
    }

    /// What LAST_INSERT_ID gives from now on.
    pub fn set_insert_id(&self, id: u64) {
        self.insert_id.store(id, Relaxed);
    }

    /// Nothing again.
    pub fn clear(&self) {
        *self.inner() = Inner::default();
        self.did(Some(0), 0);
        self.set_insert_id(0);
    }
}

fn bytes_of(name: &str, value: &UserValue) -> usize {
    let bytes = match &value.datum {
        Datum::Text(text) => text.len(),
        Datum::Blob(bytes) => bytes.len(),
        _ => 0,
    };
    ENTRY_BYTES + name.len() + bytes
}

fn full(why: &str) -> SqlError {
    SqlError::new(1041, "HY000", format!("Out of memory: {why}"))
}

/// Names of locks are compared without regard to case.
fn lock_name(name: &str) -> Result<String, SqlError> {
    if name.is_empty() || name.chars().count() > LOCK_CHARS_MAX {
        return Err(SqlError::new(3057, "42000", format!("Incorrect user-level lock name '{name}'.")));
    }
    Ok(name.to_lowercase())
}

#[cfg(test)]
mod tests {
    //! A session keeps what it was given, within bounds that no statement can move.
    use super::*;

    fn text(length: usize) -> UserValue {
        UserValue { datum: Datum::Text("x".repeat(length)), ty: SqlType::Text }
    }

    #[test]
    fn variables_are_bounded_in_number_and_bytes() {
        let own = Own::default();
        for n in 0..VARIABLES_MAX {
            own.assign(&format!("v{n}"), text(1)).expect("there is room");
        }
        assert_eq!(own.assign("more", text(1)).map_err(|error| error.code), Err(1041));
        own.assign("v0", text(2)).expect("one that is there");
        own.clear();
        let half = VARIABLES_BYTES_MAX / 2;
        own.assign("a", text(half)).expect("half");
        assert_eq!(own.assign("b", text(half)).map_err(|error| error.code), Err(1041));
        own.assign("a", text(1)).expect("smaller");
        own.assign("b", text(half)).expect("there is room again");
        assert_eq!(own.variable("b"), Some(text(half)));
        assert_eq!(own.variable("c"), None);
        assert_eq!(own.assign(&"n".repeat(65), text(1)).map_err(|error| error.code), Err(3061));
    }

    #[test]
    fn locks_count() {
        let own = Own::default();
        own.lock("A").expect("free");
        own.lock("a").expect("its own");
        assert_eq!(own.is_locked("a"), Ok(true));
        assert_eq!((own.unlock("a"), own.unlock("a"), own.unlock("a")), (Ok(true), Ok(true), Ok(false)));
        assert_eq!(own.lock("").map_err(|error| error.code), Err(3057));
        own.lock("b").expect("free");
        own.lock("b").expect("its own");
        own.lock("c").expect("free");
        assert_eq!((own.unlock_all(), own.is_locked("b")), (3, Ok(false)));
        for n in 0..LOCKS_MAX {
            own.lock(&n.to_string()).expect("there is room");
        }
        assert_eq!(own.lock("more").map_err(|error| error.code), Err(1041));
    }
}
