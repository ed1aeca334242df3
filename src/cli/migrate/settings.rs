//! What the Perl daemon's configuration says, of what matters to the service.
//!
//! That configuration is a program. It is read as text, line by line, and never run; what only Perl
//! could work out is told, not guessed.

use std::collections::BTreeMap;

use crate::cli::convert_pattern::perl;

/// What was found in an old configuration.
#[derive(Debug, Default)]
pub(super) struct OldSettings {
    /// `$grace`, in seconds.
    pub(super) grace: Option<u64>,
    /// Variables with texts: `dbfile`, `dbvalue`, `logto`, `logtime_pat`; and `file_tail`, the log
    /// file.
    pub(super) texts: BTreeMap<&'static str, String>,
    /// `@mynets`.
    pub(super) mynets: Option<Vec<String>>,
    /// Variables with functions, such as `tie_func`, and the functions' names.
    pub(super) functions: BTreeMap<&'static str, String>,
    /// The subroutines and lists that stand for several patterns.
    pub(super) has_custom_match: bool,
    /// What matters but can't be read: the line, counted from 1, and why.
    pub(super) unread: Vec<(usize, String)>,
    /// The text that is in force, for who looks for patterns in it.
    pub(super) in_force: String,
}

const TEXTS: [&str; 4] = ["dbfile", "dbvalue", "logto", "logtime_pat"];
const FUNCTIONS: [&str; 9] = [
    "mynet_func",
    "tie_func",
    "flock_func",
    "add_func",
    "del_func",
    "sync_func",
    "tail_init_func",
    "tail_getline_func",
    "log_func",
];
/// Where the daemon looked for its log file by itself.
const LOG_FILE: [&str; 3] = [
    "$file_tail{'name'}",
    "$file_tail{\"name\"}",
    "$file_tail{name}",
];

impl OldSettings {
    /// Reads an old configuration.
    pub(super) fn read(text: &str) -> Self {
        let mut settings = OldSettings {
            in_force: in_force(text),
            ..OldSettings::default()
        };
        let in_force = std::mem::take(&mut settings.in_force);
        let mut offset = 0;
        for (number, line) in in_force.split_inclusive('\n').enumerate() {
            settings.statement(number + 1, &in_force[offset..]);
            offset += line.len();
        }
        settings.in_force = in_force;
        settings
    }

    /// Reads the statement that begins with a line, if it is one that matters.
    fn statement(&mut self, number: usize, code: &str) {
        let bare = code.trim_start_matches([' ', '\t']);
        if bare.starts_with("sub custom_match") || bare.starts_with("$login[") {
            self.has_custom_match = true;
            return;
        }
        let Some((name, value)) = assignment(bare) else {
            return;
        };
        if bare.len() < code.len() {
            // In a block, such as the daemon's own search for its log file.
            if name != "file_tail" {
                let why = format!("{name} is set in a block, where only Perl knows if it counts");
                self.unread.push((number, why));
            }
            return;
        }
        if let Err(why) = self.take(name, value) {
            self.unread.push((number, format!("{name}: {why}")));
        }
    }

    fn take(&mut self, name: &'static str, value: &str) -> Result<(), String> {
        match name {
            "grace" => self.grace = Some(number(value)?),
            "mynets" => self.mynets = Some(list(value)?),
            _ if FUNCTIONS.contains(&name) => {
                let function = value.strip_prefix("\\&").and_then(|rest| {
                    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
                    (rest[end..].trim_start().starts_with(';')).then_some(&rest[..end])
                });
                let function = function.ok_or("only Perl can tell which function this is")?;
                self.functions.insert(name, function.to_owned());
            }
            _ => {
                let (text, rest) = perl::string(value)?;
                ended(rest)?;
                self.texts.insert(name, text);
            }
        }
        Ok(())
    }
}

/// The variable that a statement gives a value to, and the expression, if it matters.
fn assignment(code: &str) -> Option<(&'static str, &str)> {
    let all = LOG_FILE
        .iter()
        .map(|variable| (*variable, "file_tail"))
        .chain([("$grace", "grace"), ("@mynets", "mynets")]);
    let found = all
        .filter_map(|(variable, name)| Some((name, code.strip_prefix(variable)?)))
        .next();
    let (name, rest) = found.or_else(|| {
        let variable = code.strip_prefix('$')?;
        TEXTS
            .into_iter()
            .chain(FUNCTIONS)
            .filter_map(|name| Some((name, variable.strip_prefix(name)?)))
            .find(|(_, rest)| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
    })?;
    let value = rest.trim_start().strip_prefix('=')?;
    // Not a comparison, nor a match.
    (!value.starts_with(['=', '~'])).then(|| (name, value.trim_start()))
}

/// A whole number, or some multiplied and added: `30*60`.
fn number(value: &str) -> Result<u64, String> {
    let only_perl = || "only Perl can work out this number".to_owned();
    let (expression, _) = value.split_once(';').ok_or_else(only_perl)?;
    let digits = |text: &str| {
        let text = text.trim().replace('_', "");
        // A leading zero is octal to Perl.
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let octal = text.len() > 1 && text.starts_with('0');
        (plain && !octal)
            .then(|| text.parse::<u64>().ok())
            .flatten()
    };
    let expression = expression.trim().trim_matches(['\'', '"']);
    let product = |text: &str| {
        let mut factors = text.split('*').map(digits);
        factors.try_fold(1_u64, |product, factor| product.checked_mul(factor?))
    };
    let mut summands = expression.split('+').map(product);
    summands
        .try_fold(0_u64, |sum, summand| sum.checked_add(summand?))
        .ok_or_else(only_perl)
}

/// `('…', "…")`, or `qw( … )`.
fn list(value: &str) -> Result<Vec<String>, String> {
    let only_perl = || "only Perl can work out this list".to_owned();
    let words = value
        .strip_prefix("qw")
        .map(str::trim_start)
        .and_then(|rest| {
            let open = rest.chars().next()?;
            let close = match open {
                '(' => ')',
                '[' => ']',
                '{' => '}',
                '/' | '|' | '!' => open,
                _ => return None,
            };
            rest[1..].split_once(close)
        });
    if let Some((words, rest)) = words {
        ended(rest)?;
        return Ok(words.split_whitespace().map(str::to_owned).collect());
    }
    let mut rest = value.strip_prefix('(').ok_or_else(only_perl)?.trim_start();
    let mut texts = Vec::new();
    loop {
        if let Some(after) = rest.strip_prefix(')') {
            ended(after)?;
            return Ok(texts);
        }
        let (text, after) = perl::string(rest)?;
        texts.push(text);
        rest = after.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(after) => after.trim_start(),
            None if rest.starts_with(')') => rest,
            None => return Err(only_perl()),
        };
    }
}

/// Nothing else may belong to the expression.
fn ended(rest: &str) -> Result<(), String> {
    if rest.trim_start().starts_with(';') {
        Ok(())
    } else {
        Err("only Perl can work out this expression".to_owned())
    }
}

/// The text without what is commented out, is documentation (perlpod(1): from a line with `=word` to
/// one with `=cut`) or stands behind the end. Lines keep their numbers.
fn in_force(text: &str) -> String {
    let mut documentation = false;
    let mut ended = false;
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        ended |= !documentation && matches!(line.trim_end(), "__END__" | "__DATA__");
        let command = line
            .strip_prefix('=')
            .is_some_and(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()));
        if documentation {
            let rest = line.strip_prefix("=cut");
            let cut = rest.is_some_and(|r| !r.starts_with(|c: char| c.is_ascii_alphabetic()));
            documentation = !cut;
        } else if command {
            documentation = true;
        } else if !ended && !line.trim_start().starts_with('#') {
            kept.push_str(line);
        }
        kept.push('\n');
    }
    kept
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
