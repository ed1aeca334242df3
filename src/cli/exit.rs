//! What the commands end with: the one place that says so.
//!
//! The numbers of sysexits.h where it has one. `--help` and the manual print [`HELP`].

use std::process::ExitCode;

/// Something failed, or the answer is no: not listed, not well.
pub const NO: u8 = 1;
/// EX_UNAVAILABLE: the service can't be asked.
pub const UNAVAILABLE: u8 = 69;
/// EX_TEMPFAIL: done, but Postfix does not know yet, or it could not be written to disk.
pub const NOT_WHOLLY: u8 = 75;
/// EX_NOPERM: somebody else may do it: root.
pub const NO_PERMISSION: u8 = 77;
/// EX_CONFIG: the configuration is wrong, and will be until somebody mends it.
pub const CONFIG: u8 = 78;

/// All of them, for people. 2 is clap's.
pub const HELP: &str = "\
Exit status: 0 all is well, 1 something failed or the answer is no, 2 wrong use, 69 the service
can't be reached, 75 done, but Postfix does not know yet, 77 not permitted, 78 the configuration is
wrong.";

/// The exit status for a question that has yes or no for an answer.
pub fn answer(yes: bool) -> ExitCode {
    if yes {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NO)
    }
}
