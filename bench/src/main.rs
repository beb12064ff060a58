//! z4
fn main() {}
