//! What is left of the Perl daemon on this host: its files and its processes. Only looks.

use std::fs;
use std::path::Path;

/// What starts it.
const SCRIPT: &str = "/etc/init.d/pop-before-smtp";
/// The daemon.
const PROGRAMS: [&str; 2] = [
    "/usr/sbin/pop-before-smtp",
    "/usr/local/sbin/pop-before-smtp",
];

/// What is left of the Perl daemon.
#[derive(Debug, Default)]
pub(super) struct OldDaemon {
    /// Its init script, if there is one.
    pub(super) script: Option<&'static str>,
    /// The program, if it is there.
    pub(super) program: Option<&'static str>,
    /// The processes that run it now.
    pub(super) processes: Vec<u32>,
}

impl OldDaemon {
    /// Looks for it on this host.
    pub(super) fn look() -> Self {
        let there = |path: &&str| Path::new(path).exists();
        let processes = fs::read_dir("/proc").into_iter().flatten();
        OldDaemon {
            script: Some(SCRIPT).filter(there),
            program: PROGRAMS.into_iter().find(there),
            // A process that ends while we look is none.
            processes: processes
                .filter_map(|entry| {
                    let entry = entry.ok()?;
                    let process = entry.file_name().to_str()?.parse().ok()?;
                    let command = fs::read(entry.path().join("cmdline")).ok()?;
                    is_daemon(&command).then_some(process)
                })
                .collect(),
        }
    }
}

/// Whether a command line, its arguments ended by NUL (proc(5)), is Perl with the daemon.
fn is_daemon(command: &[u8]) -> bool {
    let name = |argument: &[u8]| {
        let start = argument.iter().rposition(|byte| *byte == b'/');
        argument[start.map_or(0, |at| at + 1)..].to_vec()
    };
    let mut arguments = command.split(|byte| *byte == 0);
    let perl = arguments.next().map(name);
    let options = |argument: &&[u8]| argument.starts_with(b"-");
    let script = arguments.find(|argument| !options(argument)).map(name);
    perl.is_some_and(|perl| perl.starts_with(b"perl"))
        && script.is_some_and(|script| script == b"pop-before-smtp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_is_perl_with_its_script() {
        for (command, expected) in [
            ("/usr/bin/perl\0/usr/sbin/pop-before-smtp\0--daemon\0", true),
            ("perl5.36\0-w\0./pop-before-smtp\0", true),
            ("/usr/bin/pop-before-smtp\0run\0", false),
            ("perl\0-e\0sleep\0pop-before-smtp\0", false),
            ("vi\0/etc/init.d/pop-before-smtp\0", false),
            ("", false),
        ] {
            assert_eq!(is_daemon(command.as_bytes()), expected, "{command:?}");
        }
    }
}
