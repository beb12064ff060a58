//! The only place of this crate that names glommio.

pub mod probe;
