//! The Rust client, and z4t with it, against peers that are played: they answer as a test wants, go away and come back.
//!
//! What would be wrong: a client that fails although another peer serves; a create that is done twice because it was sent again under
//! another request id; a request that is sent again although it may have been done; an ack that gets lost with a connection.

mod calls;
mod cluster;
mod consumer;
mod fake;
mod fake_services;
mod producer;
mod z4t;
