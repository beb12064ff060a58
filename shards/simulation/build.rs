//! Builds the sources of z4-shards as those of a simulated world.

fn main() {
    println!("cargo::rustc-cfg=z4_sim");
    println!("cargo::rerun-if-changed=build.rs");
}
