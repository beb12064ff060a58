//! The delivery engine: which task goes to which consumer, and when. One per group, on its leader.
//!
//! Decide and do are apart: calls tell the [`Engine`] what happened, [`Engine::run`] answers with [`Action`]s that the shell's event
//! loop carries out. Time, by both clocks ([`Now`]), and randomness are inputs.
//!
//! ```text
//!  applied(effects), scanned(rows) ──> window: due rows of each active namespace, up to a horizon
//!  subscribe, kick                 ──> credit and room of each consumer (Flow)
//!  run(now): windows × consumers   ──> leases ──> Deliver
//!  settle(ack, nack, extend)       ──> Propose ──> finished(claim): the lease is over
//!  run(now): deadlines             ──> Propose(Retry)
//!  unsubscribe                     ──> Propose(GiveBack)
//!  run(now): end of the grace      ──> Propose(EndClaims) ──> applied: what waited is delivered
//! ```
//!
//! # What the shell owes
//!
//! - Outcomes of applies (`applied`, then `finished` and `release` of the same entries) and answers of scans and loads come in the
//!   order in which the storage thread executed them. The window's invariant rests on it: an answer that comes has seen every
//!   earlier effect and no later one.
//! - `revoke` before a delete or update is proposed, `release` after its effects; `revoke_all`, `release_all` around a purge.
//! - Credit or room that a parked engine waits for is announced by `kick`, see [`Flow`].
//!
//! # What never happens
//!
//! A task is never delivered before its due time, nor while another delivery of it is not over; a token is never valid again once the
//! task was delivered under a newer one, whoever leads; a consumer never gets more than its credit; one that takes nothing costs bounded memory
//! and holds up nobody else.

mod action;
mod claims;
mod counts;
mod dispatch;
mod engine;
mod flow;
mod hold;
mod inherit;
mod keep;
mod lane;
mod lease;
mod limits;
mod loading;
mod now;
mod refill;
mod settle;
mod slab;
mod timers;
mod window;

#[cfg(test)]
mod cost_tests;
#[cfg(test)]
mod flow_tests;
#[cfg(test)]
mod inherit_tests;
#[cfg(test)]
mod lease_tests;
#[cfg(test)]
mod simulation_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod window_tests;

pub use action::{Action, Claim, ConsumerId, Finish, Step};
pub use claims::{Claimed, Known, Made};
pub use counts::Counts;
pub use engine::{Engine, Gone};
pub use flow::{Flow, QUEUED_BYTES_MAX, Sent, weight};
pub use inherit::{Estate, Heirloom};
pub use limits::Limits;
pub use now::{Now, Wake};
