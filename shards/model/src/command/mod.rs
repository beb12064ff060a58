//! Write intents and their answers: what goes through a group's Raft log and what comes back. Pure data.
//!
//! A [`Command`] is a list of operations on one namespace, applied all-or-nothing. The batcher packs many commands into one
//! [`Entry`], which is what the raft log stores: it carries the stamp and everything random, because the state machine reads
//! neither clock nor randomness.

mod codec;
mod defect;
mod op;
mod reply;

pub use codec::{ENTRY_FIXED_BYTES, command_bytes_max, decode_entry, encode_entry};
pub use defect::Defect;
pub use op::{Before, Command, Create, Ended, Entry, Op, PurgeCursor, Update};
pub use reply::{Created, OpReply, Refusal, Reply, Tally};
