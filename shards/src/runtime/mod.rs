//! The only place that names glommio.

pub mod net;
