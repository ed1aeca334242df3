//! main.cf and master.cf, as postconf(1) shows them: parameters, and the services that take mail.
//!
//! Asks `postconf` and never reads the files itself; a main.cf that has just been edited makes it
//! wait a second or two. Changes nothing.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::thread;

use super::command::{CommandError, Programs};

/// What Postfix is told to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    /// All parameters, those with their defaults included, `$name` expanded.
    parameters: BTreeMap<String, String>,
    /// The parameters that main.cf sets, as they stand there.
    set: BTreeMap<String, String>,
    /// The services of master.cf.
    pub services: Vec<Service>,
    /// What `postconf` complains of.
    pub complaints: Vec<String>,
}

/// A service of master.cf (master(5)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// Its name and type, as `postconf -P` writes them: `smtp/inet`.
    pub name: String,
    /// The program that it runs: `smtpd`.
    pub program: String,
    /// Whether it runs chrooted.
    pub chrooted: bool,
    /// The parameters that it sets for itself (`-o`), expanded.
    overrides: BTreeMap<String, String>,
    /// The same, as they stand in master.cf.
    set: BTreeMap<String, String>,
}

impl Configuration {
    /// Reads it.
    ///
    /// # Errors
    /// When postconf can't be run, or can't read its files.
    pub fn read(programs: &Programs) -> Result<Self, CommandError> {
        let ask = |arguments: &[&str]| programs.run("postconf", arguments)?.succeeded();
        let questions: [&[&str]; 5] = [&["-x"], &["-n"], &["-M"], &["-P"], &["-P", "-x"]];
        // At the same time, as each of them may wait for a main.cf that was edited.
        let answers = thread::scope(|scope| {
            let asked = questions.map(|question| scope.spawn(move || ask(question)));
            asked.map(|asked| asked.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        let [all, set, services, overrides, expanded] = answers;
        let (all, set, services) = (all?, set?, services?);
        let (overrides, expanded) = (overrides?, expanded?);
        let mut complaints: Vec<String> = set.stderr.lines().map(str::to_owned).collect();
        complaints.sort_unstable();
        complaints.dedup();
        let parameters = parse_parameters(&all.text());
        let level = parameters.get("compatibility_level");
        let services = parse_services(
            &services.text(),
            // master(5): the default of the column "chroot".
            level.is_some_and(|level| level.starts_with('0')),
            &parse_parameters(&overrides.text()),
            &parse_parameters(&expanded.text()),
        );
        Ok(Configuration {
            set: parse_parameters(&set.text()),
            parameters,
            services,
            complaints,
        })
    }

    /// The value of a parameter, expanded; empty if there is none of that name.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    /// The value that main.cf gives to a parameter, as it stands there.
    #[must_use]
    pub fn set(&self, name: &str) -> Option<&str> {
        self.set.get(name).map(String::as_str)
    }

    /// The list that a restriction class stands for.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<&str> {
        let classes = self.value("smtpd_restriction_classes");
        classes
            .split([',', ' ', '\t'])
            .any(|class| class == name)
            .then(|| self.value(name))
    }

    /// The value of a parameter for a service, expanded.
    #[must_use]
    pub fn value_for<'a>(&'a self, service: &'a Service, name: &str) -> &'a str {
        match service.overrides.get(name) {
            Some(value) => value,
            None => self.value(name),
        }
    }

    /// The parameter as it is set for a service, where it has to be changed.
    #[must_use]
    pub fn setting(&self, service: &Service, name: &str) -> Setting {
        match service.set.get(name) {
            Some(raw) => Setting::of_service(service, name, raw),
            None => Setting::of_main(name, self.set(name).unwrap_or(self.value(name))),
        }
    }

    /// The settings of main.cf and master.cf that hold `text`, as they stand there.
    #[must_use]
    pub fn settings_with(&self, text: &str) -> Vec<Setting> {
        let holding = |(_, value): &(&String, &String)| value.contains(text);
        let of_main = self.set.iter().filter(holding);
        let of_main = of_main.map(|(name, raw)| Setting::of_main(name, raw));
        let of_services = self.services.iter().flat_map(|service| {
            let overrides = service.set.iter().filter(holding);
            overrides.map(|(name, raw)| Setting::of_service(service, name, raw))
        });
        of_main.chain(of_services).collect()
    }
}

impl Service {
    /// Whether only this host itself can connect to it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let (name, kind) = self.name.rsplit_once('/').unwrap_or((&self.name, ""));
        let host = name.rsplit_once(':').map(|(host, _)| host);
        kind == "unix"
            || host.is_some_and(|host| {
                host == "localhost"
                    || host.starts_with("127.")
                    || host.trim_matches(['[', ']']) == "::1"
            })
    }
}

impl Configuration {
    /// What postconf would show of these texts.
    #[doc(hidden)]
    #[must_use]
    pub fn of(all: &str, set: &str, services: &str, overrides: &str) -> Self {
        let overrides = parse_parameters(overrides);
        Configuration {
            parameters: parse_parameters(all),
            set: parse_parameters(set),
            services: parse_services(services, false, &overrides, &overrides),
            complaints: Vec::new(),
        }
    }
}

/// Where a parameter is set, and to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The option of `postconf` that changes it.
    option: &'static str,
    /// What it is called there.
    parameter: String,
    /// The value as it stands there.
    pub raw: String,
}

impl Setting {
    fn of_main(name: &str, raw: &str) -> Self {
        Setting {
            option: "-e",
            parameter: name.to_owned(),
            raw: raw.to_owned(),
        }
    }

    fn of_service(service: &Service, name: &str, raw: &str) -> Self {
        Setting {
            option: "-P",
            parameter: format!("{}/{name}", service.name),
            raw: raw.to_owned(),
        }
    }

    /// `main.cf` or `master.cf`, with the name: `smtpd_relay_restrictions of main.cf`.
    #[must_use]
    pub fn place(&self) -> String {
        let file = if self.option == "-P" {
            "master.cf"
        } else {
            "main.cf"
        };
        format!("{} in {file}", self.parameter)
    }

    /// The command that sets it to the list `value`.
    #[must_use]
    pub fn command(&self, value: &str) -> String {
        let words = value
            .split([' ', '\t', '\n'])
            .filter(|word| !word.is_empty());
        let (equals, value) = if self.option == "-P" {
            // master.cf separates its own words by white space, so a value there can have none.
            let words: Vec<&str> = words.map(|word| word.trim_matches(',')).collect();
            let words = words.into_iter().filter(|word| !word.is_empty());
            let value = words.collect::<Vec<_>>().join(",");
            let value = value.replace("{,", "{").replace(",}", "}");
            ("=", value.replace(",=,", "="))
        } else {
            (" = ", words.collect::<Vec<_>>().join(" "))
        };
        let assignment = format!("{}{equals}{value}", self.parameter).replace('\'', r"'\''");
        format!("postconf {} '{assignment}'", self.option)
    }
}

/// `name = value`, one a line.
fn parse_parameters(text: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| {
        let (name, value) = line.split_once('=')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

/// The lines of `postconf -M`: eight columns, the last one the program and its arguments.
fn parse_services(
    text: &str,
    chrooted_by_default: bool,
    set: &BTreeMap<String, String>,
    expanded: &BTreeMap<String, String>,
) -> Vec<Service> {
    let own = |all: &BTreeMap<String, String>, service: &str| {
        let prefix = format!("{service}/");
        all.iter()
            .filter_map(|(name, value)| {
                Some((name.strip_prefix(&prefix)?.to_owned(), value.clone()))
            })
            .collect::<BTreeMap<_, _>>()
    };
    let service = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().take(8).collect();
        let &[name, kind, _, _, chroot, _, _, program] = columns.as_slice() else {
            return None;
        };
        let name = format!("{name}/{kind}");
        Some(Service {
            program: program.to_owned(),
            chrooted: chroot == "y" || (chroot == "-" && chrooted_by_default),
            overrides: own(expanded, &name),
            set: own(set, &name),
            name,
        })
    };
    text.lines().filter_map(service).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration() -> Configuration {
        let set = parse_parameters(
            "submission/inet/smtpd_relay_restrictions = $mua_relay\n\
             relay/unix/syslog_name = postfix/$service_name\n",
        );
        let expanded = parse_parameters(
            "submission/inet/smtpd_relay_restrictions = permit_sasl_authenticated,reject\n\
             relay/unix/syslog_name = postfix/relay\n",
        );
        let services = parse_services(
            "smtp       inet  n       -       y       -       -       smtpd\n\
             submission inet  n       -       -       -       -       smtpd -o a=b\n\
             127.0.0.1:10025 inet n - n - - smtpd\n\
             relay      unix  -       -       y       -       -       smtp\nrubbish\n",
            false,
            &set,
            &expanded,
        );
        Configuration {
            parameters: parse_parameters(
                "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n\
                 smtpd_restriction_classes = one, two\none = reject\nother =\n",
            ),
            set: parse_parameters("smtpd_relay_restrictions = $mine it's\n"),
            services,
            complaints: Vec::new(),
        }
    }

    #[test]
    fn services_have_their_own_parameters() {
        let postfix = configuration();
        assert_eq!(postfix.services.len(), 4);
        let [smtp, submission, local, relay] = postfix.services.as_slice() else {
            panic!("{:?}", postfix.services);
        };
        assert_eq!(
            (&*smtp.name, &*smtp.program, smtp.chrooted),
            ("smtp/inet", "smtpd", true)
        );
        assert!(!submission.chrooted);
        assert!(local.is_local() && relay.is_local() && !smtp.is_local());
        let list = "smtpd_relay_restrictions";
        assert_eq!(
            postfix.value_for(smtp, list),
            "permit_mynetworks, reject_unauth_destination"
        );
        assert_eq!(
            postfix.value_for(submission, list),
            "permit_sasl_authenticated,reject"
        );
        assert_eq!(postfix.class("one"), Some("reject"));
        assert_eq!(postfix.class("other"), None);
    }

    #[test]
    fn a_setting_is_changed_where_it_stands() {
        let postfix = configuration();
        let list = "smtpd_relay_restrictions";
        let setting = postfix.setting(&postfix.services[1], list);
        assert_eq!(setting.raw, "$mua_relay");
        assert_eq!(
            setting.command("a,\n  b"),
            "postconf -P 'submission/inet/smtpd_relay_restrictions=a,b'"
        );
        assert_eq!(
            setting.command("a { unix:x, default_action = DUNNO }  b"),
            "postconf -P 'submission/inet/smtpd_relay_restrictions=\
             a,{unix:x,default_action=DUNNO},b'"
        );
        let setting = postfix.setting(&postfix.services[0], list);
        assert_eq!(
            setting.command(&setting.raw),
            r"postconf -e 'smtpd_relay_restrictions = $mine it'\''s'"
        );
        assert_eq!(postfix.settings_with("$mine").len(), 1);
        assert_eq!(postfix.settings_with("service_name").len(), 1);
    }
}
