//! The shell of a shard: its mailbox and event loop, the groups that it hosts, the delivery engine's interpreter, and the handle
//! through which the rest of the peer reaches all of it.

pub mod api;
mod arrival;
mod balance;
mod batcher;
#[cfg(test)]
mod bounds_tests;
#[cfg(test)]
mod clock_tests;
mod clock_watch;
mod consumer;
mod damage;
#[cfg(test)]
mod damage_tests;
mod delivering;
pub mod delivery;
mod early;
#[cfg(test)]
mod emptied_tests;
mod farewell;
#[cfg(test)]
mod farewell_tests;
mod flight;
#[cfg(test)]
mod flight_tests;
mod forward;
#[cfg(test)]
mod forward_tests;
mod gate;
mod group;
mod hand_over;
pub mod handle;
mod holdings;
mod inbound;
mod inheriting;
#[cfg(test)]
mod inheriting_tests;
mod leases;
#[cfg(test)]
mod leases_tests;
mod lists;
#[cfg(test)]
mod lists_tests;
#[cfg(test)]
mod liveness_tests;
pub mod members;
mod message;
mod mint;
#[cfg(test)]
mod names_tests;
mod namespaces;
mod operations;
#[cfg(test)]
mod parking_tests;
mod peers;
mod publish;
mod queue;
mod quorum;
mod reads;
mod reconcile;
mod relay;
#[cfg(test)]
mod relay_tests;
mod relaying;
mod remote;
#[cfg(test)]
mod remote_tests;
#[cfg(test)]
mod replication_tests;
mod room;
mod route_watch;
#[cfg(test)]
mod second_link_tests;
mod served;
pub mod serving;
mod settling;
mod stake;
mod steering;
#[cfg(test)]
mod strange_frames_tests;
#[cfg(test)]
mod testing;
mod upkeep;
mod views;
#[cfg(test)]
mod views_tests;
mod waiting;
mod wire;
mod worker;

pub use batcher::BatchLimits;
pub use message::{Message, OpenError};
pub use worker::{Shard, ShardOptions};
