//! Numbers that nobody can foretell.

/// The generator of the calling thread.
pub type Generator = rand::rngs::ThreadRng;

/// The generator of the calling thread.
pub fn generator() -> Generator {
    rand::rng()
}

/// A number of 64 bits.
pub fn number() -> u64 {
    rand::random()
}

/// From 0 up to 1, without 1.
pub fn fraction() -> f64 {
    rand::random()
}
