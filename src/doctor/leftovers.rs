//! What the Perl daemon of the same name has left: a process, a map that nobody tends, a link that
//! would start it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::point::Point;
use crate::postfix::configuration::Configuration;
use crate::postfix::restrictions;

const POINT: &str = "perl-daemon";
/// Where it kept its map: Debian's package, and its own default.
const MAPS: [&str; 2] = [
    "/var/lib/pop-before-smtp/hosts",
    "/etc/postfix/pop-before-smtp",
];

/// Looks and judges.
#[must_use]
pub fn points(postfix: Option<&Configuration>) -> Vec<Point> {
    let mut points: Vec<Point> = processes().into_iter().map(running).collect();
    points.extend(boot_links().first().map(|link| {
        let finding = format!("{} is left: a boot would start it", link.display());
        Point::notice(POINT, finding).mend("update-rc.d pop-before-smtp remove")
    }));
    for map in MAPS {
        let commands = postfix
            .map(|postfix| without_map(postfix, map))
            .unwrap_or_default();
        let index = PathBuf::from(format!("{map}.db"));
        points.extend(old_map(map, &commands, index.exists()));
    }
    match (points.is_empty(), postfix) {
        (true, Some(_)) => points.push(Point::ok(POINT, "nothing is left of it")),
        (true, None) => {
            let finding = "whether Postfix still asks a map of its can't be seen";
            points.push(Point::unknown(POINT, finding));
        }
        (false, _) => {}
    }
    points
}

fn running(pid: u32) -> Point {
    let finding =
        format!("runs as process {pid}, and writes a map of its own beside the service's");
    Point::wrong(POINT, finding).mend(format!("kill {pid}"))
}

fn old_map(map: &str, commands: &[String], exists: bool) -> Option<Point> {
    if commands.is_empty() {
        return exists.then(|| {
            let finding = format!("{map}.db is left, and nobody asks it");
            Point::notice(POINT, finding).mend(format!("rm {map}.db"))
        });
    }
    let state = if exists {
        "whoever is in it may relay for ever, as nobody takes anybody out"
    } else {
        "it is gone, so that Postfix defers all mail"
    };
    let finding = format!("Postfix still asks the old map {map}: {state}");
    let mend = format!("{}\npostfix reload", commands.join("\n"));
    Some(Point::wrong(POINT, finding).mend(mend))
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

/// Its processes, as far as this user sees them. It ran as root; anybody else's would only play it.
fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let directory = format!("/proc/{pid}");
        fs::metadata(&directory).is_ok_and(|process| process.uid() == 0)
            && fs::read(format!("{directory}/cmdline")).is_ok_and(|line| is_daemon(&line))
    })
    .collect()
}

/// Whether a command line is of perl(1), running a script of that name.
fn is_daemon(command_line: &[u8]) -> bool {
    let words: Vec<_> = command_line
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    let name = |word: &String| Path::new(word).file_name().map(|n| n.to_os_string());
    let is_perl = words
        .first()
        .and_then(name)
        .is_some_and(|n| n.to_string_lossy().starts_with("perl"));
    is_perl
        && words
            .iter()
            .skip(1)
            .filter_map(name)
            .any(|n| n == "pop-before-smtp")
}

/// The links by which a boot without our unit would start it.
fn boot_links() -> Vec<PathBuf> {
    let directories = (2..=5).map(|level| PathBuf::from(format!("/etc/rc{level}.d")));
    let links = directories.flat_map(|directory| fs::read_dir(directory).into_iter().flatten());
    links
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with('S') && name.ends_with("pop-before-smtp")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::point::Verdict;

    #[test]
    fn the_daemon_is_known_by_its_command_line() {
        assert!(is_daemon(
            b"/usr/bin/perl\0-w\0/usr/sbin/pop-before-smtp\0--daemon\0"
        ));
        assert!(is_daemon(b"perl5.36\0./pop-before-smtp\0"));
        assert!(!is_daemon(b"/usr/bin/pop-before-smtp\0run\0"));
        assert!(!is_daemon(b"vim\0/usr/sbin/pop-before-smtp\0"));
        assert!(!is_daemon(b""));
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
