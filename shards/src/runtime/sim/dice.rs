//! What is drawn at random in a simulated world: the same numbers for the same seed, on every machine and with every library.

/// A generator of numbers (xoshiro256**, Blackman and Vigna 2018), seeded by splitmix64.
#[derive(Clone, Debug)]
pub struct Dice([u64; 4]);

impl Dice {
    /// One that gives the numbers of `seed`.
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Dice(std::array::from_fn(|_| {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^ (mixed >> 31)
        }))
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.0;
        let drawn = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        drawn
    }

    /// One below `end`, which is above 0. Evenly but for less than one in 2^32 while `end` is below that.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(end)) >> 64) as u64
    }
}
