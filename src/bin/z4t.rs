//! `z4t`, the admin tool. Everything is in [`z4::tool`]; this file only hands over the arguments.

use std::process::ExitCode;

fn main() -> ExitCode {
    z4::tool::run(std::env::args_os())
}
