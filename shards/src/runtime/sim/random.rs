//! Numbers that the world draws.

use super::world;

/// From 0 up to 1, without 1.
pub fn fraction() -> f64 {
    (world::draw() >> 11) as f64 / (1u64 << 53) as f64
}

/// A number of 64 bits.
pub fn number() -> u64 {
    world::draw()
}
