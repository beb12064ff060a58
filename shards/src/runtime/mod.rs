//! What the executor gives: files, tasks. The only place in this crate that names glommio.

pub mod files;
#[cfg(test)]
pub(crate) mod testing;
