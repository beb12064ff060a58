//! The executor: the only place in this crate that names glommio, and that asks the operating system for anything.
//!
//! Everything above sees a clock, tasks, sleeps, mailboxes, files and sockets. They are real ones (`real`), or those of a simulated
//! world (`sim`) when the crate is built with `z4_sim`, as the package `z4-simulation` does.

/// A value that each executor has one of, used as one of `thread_local!`.
#[cfg(not(z4_sim))]
macro_rules! executor_local {
    ($name:ident: $type:ty = $make:expr) => {
        thread_local! {
            static $name: std::cell::RefCell<$type> = std::cell::RefCell::new($make);
        }
    };
}

/// A value that each executor has one of, used as one of `thread_local!`.
#[cfg(z4_sim)]
macro_rules! executor_local {
    ($name:ident: $type:ty = $make:expr) => {
        static $name: $crate::runtime::sim::world::Local<$type> = $crate::runtime::sim::world::Local::new(|| $make);
    };
}

pub(crate) use executor_local;

pub mod mailbox;
pub mod maps;
pub mod notify;
pub mod pace;
#[cfg(not(z4_sim))]
mod real;
#[cfg(z4_sim)]
pub mod sim;
mod waits;

#[cfg(all(test, not(z4_sim)))]
pub(crate) use real::testing;
#[cfg(not(z4_sim))]
pub use real::{ExecutorRuntime, clock, disk, executor, files, fs, net, probe, random, worker};
#[cfg(z4_sim)]
pub use sim::{ExecutorRuntime, clock, disk, executor, files, fs, net, random, worker};

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The name.
    pub name: String,
    /// It is a directory's.
    pub is_directory: bool,
}
