//! What the Perl daemon of the same name has left: a process, a map that nobody tends, a link that
//! would start it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Installation;
use super::point::{Point, notice, ok, unknown, wrong};
use crate::postfix::configuration::Configuration;
use crate::postfix::restrictions;

/// Where it kept its map: Debian's package, and its own default.
const MAPS: [&str; 2] = [
    "/var/lib/pop-before-smtp/hosts",
    "/etc/postfix/pop-before-smtp",
];

/// Is anything left?
pub fn perl_daemon(host: &Installation) -> Option<Vec<Point>> {
    // It ran as root; anybody else's would only play it.
    let is_of_root = |pid: &u32| fs::metadata(format!("/proc/{pid}")).is_ok_and(|p| p.uid() == 0);
    let processes = perl_daemon_processes().filter(is_of_root);
    let mut points: Vec<Point> = processes.map(running).collect();
    points.extend(boot_link().map(|link| {
        notice(format!("{} is left: a boot would start it", link.display()))
            .mend("update-rc.d pop-before-smtp remove")
    }));
    points.extend(MAPS.iter().filter_map(|map| {
        let commands = host.postfix().map(|postfix| without_map(postfix, map));
        let exists = Path::new(&format!("{map}.db")).exists();
        old_map(map, &commands.unwrap_or_default(), exists)
    }));
    if points.is_empty() {
        points.push(match host.postfix() {
            Some(_) => ok("nothing is left of it"),
            None if host.lacks_postfix() => ok("nothing is left of it"),
            None => unknown("whether Postfix still asks a map of its can't be seen"),
        });
    }
    Some(points)
}

fn running(pid: u32) -> Point {
    wrong(
        format!("runs as process {pid}, and writes its own map beside the service's"),
        format!("kill {pid}"),
    )
}

fn old_map(map: &str, commands: &[String], exists: bool) -> Option<Point> {
    let state = match (commands.is_empty(), exists) {
        (true, false) => return None,
        (true, true) => {
            let point = notice(format!("{map}.db is left, but nothing uses it"));
            return Some(point.mend(format!("rm {map}.db")));
        }
        (false, true) => "its clients may relay for ever, as nothing removes them",
        (false, false) => "it is gone, and Postfix defers all mail",
    };
    Some(wrong(
        format!("Postfix still asks the old map {map}: {state}"),
        format!("{}\npostfix reload", commands.join("\n")),
    ))
}

/// The commands that take a map out of every list of restrictions.
fn without_map(postfix: &Configuration, map: &str) -> Vec<String> {
    let mut commands = Vec::new();
    for setting in postfix.settings_with(map) {
        let mut value = setting.raw.clone();
        for word in setting.raw.split([',', ' ', '\t', '\n']) {
            let name = word.rsplit_once(':').map_or(word, |(_, name)| name);
            if name == map {
                value = restrictions::without(&value, "check_client_access", word);
            }
        }
        if value != setting.raw {
            commands.push(setting.command(&value));
        }
    }
    commands
}

/// The processes of the Perl daemon, as far as this user sees them.
pub fn perl_daemon_processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    // A process that ends while we look is none.
    pids.filter(|pid| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| is_daemon(&line)))
}

/// Whether a command line, its words ended by NUL (proc(5)), is of perl(1) with the daemon for its
/// script.
fn is_daemon(command_line: &[u8]) -> bool {
    let name = |word| Path::new(OsStr::from_bytes(word)).file_name();
    let mut words = command_line.split(|byte| *byte == 0);
    let program = words.next().and_then(name).unwrap_or_default();
    let script = words.find(|word| !word.starts_with(b"-")).and_then(name);
    program.as_bytes().starts_with(b"perl") && script.is_some_and(|s| s == "pop-before-smtp")
}

/// The first of the links by which a boot without our unit would start it.
fn boot_link() -> Option<PathBuf> {
    let directories = (2..=5).map(|level| format!("/etc/rc{level}.d"));
    let entries = directories.flat_map(|directory| fs::read_dir(directory).into_iter().flatten());
    let mut links = entries.flatten().map(|entry| entry.path());
    links.find(|path| {
        let name = path.file_name().unwrap_or_default().as_bytes();
        name.starts_with(b"S") && name.ends_with(b"pop-before-smtp")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::point::Verdict;

    #[test]
    fn the_daemon_is_known_by_its_command_line() {
        for (command, expected) in [
            (
                "/usr/bin/perl\0-w\0/usr/sbin/pop-before-smtp\0--daemon\0",
                true,
            ),
            ("/usr/bin/perl\0/usr/sbin/pop-before-smtp\0--daemon\0", true),
            ("perl5.36\0./pop-before-smtp\0", true),
            ("perl5.36\0-w\0./pop-before-smtp\0", true),
            ("/usr/bin/pop-before-smtp\0run\0", false),
            ("perl\0-e\0sleep\0pop-before-smtp\0", false),
            ("vim\0/usr/sbin/pop-before-smtp\0", false),
            ("vi\0/etc/init.d/pop-before-smtp\0", false),
            ("", false),
        ] {
            assert_eq!(is_daemon(command.as_bytes()), expected, "{command:?}");
        }
    }

    #[test]
    fn old_maps_are_taken_out_of_every_list() {
        let main_cf = "smtpd_recipient_restrictions = permit_mynetworks, check_client_access \
                       hash:/etc/postfix/pop-before-smtp, reject_unauth_destination\n\
                       other = hash:/etc/postfix/pop-before-smtp-2\n";
        let postfix = Configuration::of(main_cf, main_cf, "", "");
        let commands = without_map(&postfix, "/etc/postfix/pop-before-smtp");
        assert_eq!(
            commands,
            [
                "postconf -e 'smtpd_recipient_restrictions = permit_mynetworks, \
              reject_unauth_destination'"
            ]
        );
        let point = old_map("/etc/postfix/pop-before-smtp", &commands, true).unwrap();
        assert_eq!(point.verdict, Verdict::Wrong);
        assert_eq!(old_map("/x", &[], true).unwrap().verdict, Verdict::Notice);
        assert_eq!(old_map("/x", &[], false), None);
    }
}
