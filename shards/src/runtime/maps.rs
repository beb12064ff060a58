//! Maps and sets by hash. In a simulated world they go through their keys in the same order each time.

/// Hashes with a key that nobody can foretell.
#[cfg(not(z4_sim))]
pub type Hasher = std::collections::hash_map::RandomState;

/// Hashes without a key.
#[cfg(z4_sim)]
pub type Hasher = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

/// As the standard library's, made with `default`.
pub type HashMap<K, V, S = Hasher> = std::collections::HashMap<K, V, S>;

/// As the standard library's, made with `default`.
pub type HashSet<K, S = Hasher> = std::collections::HashSet<K, S>;
