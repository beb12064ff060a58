//! A simulated world in the place of executors, clocks, disks and networks: everything in one thread, drawn from one seed.

pub mod clock;
mod dice;
pub mod disk;
pub mod executor;
pub mod files;
pub mod fs;
pub mod host;
pub mod net;
mod platter;
mod raft;
pub mod random;
mod watch;
pub mod worker;
pub mod world;

pub use dice::Dice;
pub use platter::Manners;
pub use raft::ExecutorRuntime;
