//! MySQL's protocol.
//!
//! ```text
//!  socket ──► inlet ──► gate ──► opensrv ──► shim ──► answer ──► run ──► backend (dialect, engine)
//!             whole,    a login  login and   takes    commands,  rows
//!             bounded   and then  loop       the      session
//!             packets   "query"             command
//!  socket ◄── outgoing ◄───────── outlet ◄── opensrv's greeting
//!                      ◄──────────────────── reply, rows: every answer
//! ```
//!
//! opensrv-mysql leads: it greets, switches authentication plugins and calls for each command. Its gaps are closed around it. It sees
//! a login that was parsed and rewritten, and for every command the same two letters; the command itself goes from the gate to the shim
//! beside it. So nothing a client sends meets its parsers, which stop the process at sequence number 255, at parameters of unknown types
//! and at packets that are cut, answer OK to unknown commands and know no bounds. Answers are written here, too: opensrv knows neither
//! character sets of columns nor status flags nor warnings.
//!
//! A client that compresses has its packets in frames (`compress`): `inflow` takes them apart in front of the inlet, `frames` makes them
//! behind outgoing. Everything between knows packets alone.
//!
//! Everything runs on one thread, `z4-sql`; statements run on the engine's.

mod answer;
mod bytes;
mod changes;
mod columns;
mod command;
mod compress;
mod connection;
mod connections;
mod fault;
mod frames;
mod gate;
mod handshake;
mod inflow;
mod inlet;
mod known;
mod line;
mod listener;
mod login;
mod moments;
mod numbers;
mod once_a_second;
mod options;
mod outgoing;
mod outlet;
mod params;
mod prepared;
mod redact;
mod reply;
mod rows;
mod run;
mod service;
mod session;
mod shim;
pub mod users;
mod variables;

#[cfg(test)]
mod answers_tests;
#[cfg(test)]
mod command_tests;
#[cfg(test)]
mod compress_tests;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
mod login_tests;
#[cfg(test)]
mod look_tests;
#[cfg(test)]
mod scripts_tests;
#[cfg(test)]
mod session_tests;

pub use connections::Connections;
pub use listener::{Server, start};
pub use options::Options;
pub use service::Backend;
pub use variables::VERSION;
