//! The messages and services of `package z4`, generated from `proto/z4.proto`. No logic lives here.
#![allow(missing_docs, clippy::unwrap_used)]

tonic::include_proto!("z4");

/// What peers say to each other: the messages of `package z4.peer`, from `proto/peer.proto`.
pub mod peer {
    tonic::include_proto!("z4.peer");
}

/// The trailer of a refusal that says what became of the request: [`NOT_DONE`] or [`MAY_BE_DONE`].
pub const DONE_TRAILER: &str = "z4-done";
/// Nothing of it was done: it can be sent again, whatever it is.
pub const NOT_DONE: &str = "no";
/// It may have been done, or will be.
pub const MAY_BE_DONE: &str = "maybe";

/// The encoded `FileDescriptorSet` of `z4.proto` and its imports, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/z4_descriptor.bin"));
