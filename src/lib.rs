//! The peer: what stands around the shards. So far its gRPC edge.

pub mod grpc;
