//! Compiles proto/*.proto with protox, so that a build needs no protoc.

use std::path::PathBuf;

use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["z4.proto"], ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("z4_descriptor.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // Payloads stay slices of the receive buffer; ordered maps make equal tasks equal bytes.
        .bytes(".")
        .btree_map(".")
        .compile_fds(descriptors)?;
    let peer = protox::compile(["peer.proto"], ["proto"])?;
    tonic_prost_build::configure().bytes(".").build_client(false).build_server(false).compile_fds(peer)?;
    Ok(())
}
