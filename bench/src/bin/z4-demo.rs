//! `z4-demo`: z4's main job on a file of reminders, through a SIGKILL. Exit status 1 when a promise does not hold.

use std::process::ExitCode;

use clap::Parser;
use z4_bench::demo::{self, Options};
use z4_bench::{Error, Result, interrupt};

fn main() -> ExitCode {
    let options = Options::parse();
    match play(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("z4-demo: {}", error.chain());
            ExitCode::FAILURE
        }
    }
}

fn play(options: &Options) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Error::io("cannot start the runtime"))?.block_on(interrupt::unless(demo::run(options)))
}
