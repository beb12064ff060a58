//! The machine as a whole: against a model, for determinism, and story by story.

mod actions;
mod determinism;
mod model;
mod model_test;
mod stories;
