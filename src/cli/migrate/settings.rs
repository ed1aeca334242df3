//! What the Perl daemon's configuration says, of what matters to the service.
//!
//! What only Perl could work out is told, not guessed.

use std::collections::BTreeMap;

use crate::cli::old_perl::{self, Assignment};

/// What was found in an old configuration.
#[derive(Debug, Default)]
pub(super) struct OldSettings {
    /// `$grace`, in seconds.
    pub(super) grace: Option<u64>,
    /// Variables with texts: `dbfile`, `dbvalue`, `logto`, `logtime_pat`; and `file_tail`, the log
    /// file.
    pub(super) texts: BTreeMap<String, String>,
    /// `@mynets`.
    pub(super) mynets: Option<Vec<String>>,
    /// Variables with functions, such as `tie_func`, and the functions' names.
    pub(super) functions: BTreeMap<String, String>,
    /// The subroutines and lists that stand for several patterns.
    pub(super) has_custom_match: bool,
    /// What matters but can't be read: the line, counted from 1, and why.
    pub(super) unread: Vec<(usize, String)>,
    /// The text that is in force, for who looks for patterns in it.
    pub(super) in_force: String,
}

impl OldSettings {
    /// Reads an old configuration.
    pub(super) fn read(text: &str) -> Self {
        let in_force = old_perl::in_force(text);
        let mut lines = in_force.lines().map(str::trim_start);
        let mut settings = OldSettings {
            has_custom_match: lines
                .any(|line| line.starts_with("sub custom_match") || line.starts_with("$login[")),
            ..OldSettings::default()
        };
        for assignment in old_perl::assignments(&in_force) {
            if let Err(why) = settings.take(&assignment) {
                settings.unread.push((assignment.line, why));
            }
        }
        settings.in_force = in_force;
        settings
    }

    /// Takes a value, if it is one that matters.
    fn take(&mut self, assignment: &Assignment<'_>) -> Result<(), String> {
        let Assignment {
            in_block,
            variable,
            value,
            ..
        } = *assignment;
        let variable = variable.replace(['\'', '"'], "");
        let name = match &*variable {
            "$file_tail{name}" => "file_tail",
            "$grace" | "@mynets" | "$dbfile" | "$dbvalue" | "$logto" | "$logtime_pat"
            | "$mynet_func" | "$tie_func" | "$flock_func" | "$add_func" | "$del_func"
            | "$sync_func" | "$tail_init_func" | "$tail_getline_func" | "$log_func" => {
                &variable[1..]
            }
            _ => return Ok(()),
        };
        if in_block {
            // The daemon's own search for its log file is one.
            return match name {
                "file_tail" => Ok(()),
                _ => Err(format!(
                    "{name} is set in a block, where only Perl knows if it counts"
                )),
            };
        }
        let taken = match name {
            "grace" => old_perl::number(value).map(|grace| self.grace = Some(grace)),
            "mynets" => old_perl::list(value).map(|networks| self.mynets = Some(networks)),
            _ if name.ends_with("_func") => old_perl::function(value)
                .map(|function| drop(self.functions.insert(name.to_owned(), function))),
            _ => old_perl::text(value).map(|text| drop(self.texts.insert(name.to_owned(), text))),
        };
        taken.map_err(|why| format!("{name}: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn settings_are_read() {
        let settings = OldSettings::read(
            "use strict;\n\
             $grace = 45*60; # three quarters\n\
             $dbfile='/etc/postfix/pop-before-smtp';\n\
             $dbvalue = \"relay\" ;\n\
             @mynets = ('192.168.3.0/26',\n  \"127.0.0.0/8\");\n\
             $file_tail{'name'} = '/var/log/' . 'maillog';\n\
             if (!-f $file_tail{'name'}) {\n    $file_tail{'name'} = $_; last;\n}\n\
             $tie_func = \\&tie_BerkeleyDB;\n\
             $dbvalues = 'not this';\n",
        );
        assert_eq!(settings.unread, []);
        assert_eq!(settings.grace, Some(2700));
        assert_eq!(settings.texts["dbfile"], "/etc/postfix/pop-before-smtp");
        assert_eq!(settings.texts["dbvalue"], "relay");
        assert_eq!(settings.texts["file_tail"], "/var/log/maillog");
        assert_eq!(settings.mynets.unwrap(), ["192.168.3.0/26", "127.0.0.0/8"]);
        assert_eq!(settings.functions["tie_func"], "tie_BerkeleyDB");
        assert!(!settings.has_custom_match);
        let words = OldSettings::read("@mynets = qw( 10.0.0.0/8\n 192.0.2.1 );\n");
        assert_eq!(words.mynets.unwrap(), ["10.0.0.0/8", "192.0.2.1"]);
    }

    #[test]
    fn what_is_commented_out_does_not_count() {
        let settings = OldSettings::read(
            "#$grace = 1;\n\
             =pod\n\n$grace = 2;\n=cutlery\n$grace = 3;\n=cut\n\
             $grace = 10 * 60 + 5;\n\
             =cut\n$grace = 4;\nsub custom_match {\n=cut\n\
             __END__\n$grace = 5;\n",
        );
        assert_eq!(settings.grace, Some(605));
        assert!(!settings.has_custom_match);
        assert_eq!(settings.in_force.lines().count(), 14);
    }

    #[test]
    fn what_only_perl_knows_is_told() {
        for (text, line, says) in [
            ("\n$grace = time() % 7;\n", 2, "number"),
            ("$grace = 0644;\n", 1, "number"),
            ("$grace = 99999999999 * 99999999999;\n", 1, "number"),
            ("$dbfile = \"$ENV{HOME}/map\";\n", 1, "double quotes"),
            ("$dbvalue = `rm -rf /`;\n", 1, "a string is expected"),
            ("$dbvalue = 'ok' x 3;\n", 1, "expression"),
            ("@mynets = split(/,/, `postconf mynetworks`);\n", 1, "list"),
            ("@mynets = ('10.0.0.0/8', mine());\n", 1, "string"),
            ("if (x) {\n  $grace = 60;\n}\n", 2, "in a block"),
            ("$tie_func = sub { system('x') };\n", 1, "function"),
        ] {
            let unread = OldSettings::read(text).unread;
            let [(number, why)] = &unread[..] else {
                panic!("{text}: {unread:?}");
            };
            assert_eq!(*number, line, "{text}");
            assert!(why.contains(says), "{text}: {why}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(
            pieces in prop::collection::vec(prop_oneof![
                Just("$grace = ".to_owned()),
                Just("@mynets = (".to_owned()),
                Just("@mynets = qw".to_owned()),
                Just("$dbvalue = ".to_owned()),
                Just("$file_tail{'name'} = '".to_owned()),
                Just("\n=cut\n".to_owned()),
                Just("\n".to_owned()),
                any::<String>(),
                "[0-9*+_;'\"(), \\\\&é]{0,6}",
            ], 0..12),
        ) {
            let text = pieces.concat();
            let settings = OldSettings::read(&text);
            prop_assert_eq!(settings.in_force.lines().count(), text.lines().count());
        }
    }
}
