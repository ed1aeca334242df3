//! What `bug-report` makes of texts: no name and no address is left in them. And its vocabulary,
//! `src/anonymous/words.txt`, which is made of the texts in the source, and kept in step with them here.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use pop_before_smtp::anonymous::{Anonymous, Of, words};
use proptest::prelude::*;
use regex::Regex;

const WORDS: &str = "src/anonymous/words.txt";
/// Set, the vocabulary is written, not compared: that is what packaging/update-manual does.
const WRITE: &str = "POP_BEFORE_SMTP_UPDATE_MANUAL";
/// Names that stand in texts of the help as examples.
const EXAMPLES: [&str; 6] = ["tom", "tom's", "ann", "alice", "bob", "mine"];

/// The files below a directory of the source tree with this suffix, those of tests left out.
fn sources(directory: &Path, suffix: &str, found: &mut Vec<PathBuf>) {
    let mut below: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    below.sort();
    let mut tests = Vec::new();
    let declared = Regex::new(r"#\[cfg\(test\)\]\s*mod (\w+);").unwrap();
    for path in &below {
        if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(path).unwrap();
            tests.extend(
                declared
                    .captures_iter(&text)
                    .map(|found| found[1].to_owned()),
            );
        }
    }
    for path in below {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        if stem == "tests" || tests.contains(&stem) {
            continue;
        }
        if path.is_dir() {
            sources(&path, suffix, found);
        } else if path.extension().is_some_and(|e| e == suffix) {
            found.push(path);
        }
    }
}

/// The texts of a file in Rust, as they are printed; without its tests.
fn texts(rust: &str) -> Vec<String> {
    let code = Regex::new(r"#\[cfg\(test\)\]\s*mod tests \{").unwrap();
    let code = code.split(rust).next().unwrap();
    let text = Regex::new(r#"(?m)^\s*//[^\n]*|'"'|"((?:[^"\\]|\\(?s:.))*)""#).unwrap();
    let continued = Regex::new(r"\\\n\s*").unwrap();
    let escape = Regex::new(r"\\[nt]").unwrap();
    let found = text.captures_iter(code).filter_map(|found| found.get(1));
    found
        .map(|text| {
            let text = continued.replace_all(text.as_str(), "");
            escape.replace_all(&text, " ").replace('\\', "")
        })
        .collect()
}

/// What a definition of a server names: the server, and its identifiers, users and units.
fn named(definition: &str) -> Vec<String> {
    let definition: toml::Table = definition.parse().unwrap();
    let senders = definition.get("senders").and_then(toml::Value::as_table);
    let values = ["name", "identifiers"]
        .iter()
        .filter_map(|key| definition.get(*key));
    let of_senders = senders.into_iter().flat_map(toml::Table::values);
    let texts = values.chain(of_senders).flat_map(|value| match value {
        toml::Value::Array(values) => values.clone(),
        value => vec![value.clone()],
    });
    texts
        .filter_map(|text| text.as_str().map(str::to_owned))
        .collect()
}

fn vocabulary() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut rust, mut definitions) = (Vec::new(), Vec::new());
    sources(&root.join("src"), "rs", &mut rust);
    sources(&root.join("src/servers"), "toml", &mut definitions);
    let read = |path: &PathBuf| fs::read_to_string(path).unwrap();
    let texts = rust.iter().flat_map(|path| texts(&read(path)));
    let texts = texts.chain(definitions.iter().flat_map(|path| named(&read(path))));
    let mut all = BTreeSet::new();
    for text in texts {
        all.extend(words(&text).map(str::to_lowercase));
    }
    // Our own units are named in commands and findings.
    for unit in fs::read_dir(root.join("units")).unwrap() {
        all.insert(unit.unwrap().file_name().into_string().unwrap());
    }
    // Hosts and people of examples are nobody's, but a real one may be called so.
    all.retain(|word| {
        let is_id = word.len() == 32 && word.bytes().all(|b| b.is_ascii_hexdigit());
        let is_an_examples = EXAMPLES.contains(&word.as_str()) || word.contains("example");
        word.contains(char::is_alphabetic) && !is_id && !is_an_examples
    });
    all
}

#[test]
fn the_vocabulary_is_that_of_the_source() {
    let text: String = vocabulary()
        .iter()
        .map(|word| format!("{word}\n"))
        .collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(WORDS);
    if std::env::var_os(WRITE).is_some() {
        fs::write(path, text).unwrap();
        return;
    }
    assert!(
        fs::read_to_string(path).unwrap() == text,
        "{WORDS} is stale. Run packaging/update-manual and commit what it writes"
    );
}

#[test]
fn our_own_messages_stay_readable() {
    let mut anonymous = Anonymous::new();
    anonymous.know(Of::User, "tom");
    anonymous.know(Of::User, "x y$(reboot)");
    anonymous.know(Of::Source, "backoffice");
    for (text, expected) in [
        (
            "added 192.0.2.10: tom has logged in to dovecot; it may relay until 2026-11-24 10:53:05",
            "added ipv4-public-1.1: user-1 has logged in to dovecot; it may relay until 2026-11-24 10:53:05",
        ),
        (
            "removed 2001:db8::10: its grace has passed (last heard of x y$(reboot) at 2026-11-24 10:53:05)",
            "removed ipv6-public-1.1: its grace has passed (last heard of user-2 at 2026-11-24 10:53:05)",
        ),
        (
            "store backoffice: not connected: ssh: connect to host vault.corp port 22: Connection refused; trying again",
            "store source-1: not connected: ssh: connect to host host-1 port 22: Connection refused; trying again",
        ),
        (
            "can't read /etc/pop-before-smtp/config.toml: Permission denied (os error 13)",
            "can't read /etc/pop-before-smtp/config.toml: Permission denied (os error 13)",
        ),
        (
            "/home/tom/.ssh/bastion_key, pop-before-smtp-store@backoffice.service, eva@corp.test",
            "/home/user-1/.ssh/name-1, pop-before-smtp-store@source-1.service, mail-1",
        ),
        (
            "published 12 clients in 15 ms",
            "published 12 clients in 15 ms",
        ),
    ] {
        assert_eq!(anonymous.text(text), expected);
    }
    let quoted = anonymous.quotation("imap(4711): login by tomtom from 192.0.2.10");
    assert_eq!(
        quoted,
        "imap(number-1): login by name-2 from ipv4-public-1.1"
    );
}

/// All ways to write an address.
fn written(address: IpAddr) -> Vec<String> {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            let mapped = v4.to_ipv6_mapped();
            vec![
                v4.to_string(),
                mapped.to_string(),
                format!("::FFFF:{v4}"),
                format!(
                    "0:0:0:0:0:ffff:{:x}:{:x}",
                    mapped.segments()[6],
                    mapped.segments()[7]
                ),
                format!("{d}.{c}.{b}.{a}.in-addr.arpa"),
                format!("{a:03}.{b:03}.{c:03}.{d:03}"),
                format!("host-{a}-{b}-{c}-{d}.isp.test"),
                u32::from(v4).to_string(),
                format!("{v4}/32"),
                format!("[{v4}]:25"),
                format!("{v4}:25"),
            ]
        }
        IpAddr::V6(v6) => {
            let segments = v6.segments();
            let all = segments.map(|s| format!("{s:x}")).join(":");
            let full = segments.map(|s| format!("{s:04X}")).join(":");
            let nibbles: String = full
                .to_lowercase()
                .replace(':', "")
                .chars()
                .rev()
                .flat_map(|c| [c, '.'])
                .collect();
            vec![
                v6.to_string(),
                v6.to_string().to_uppercase(),
                all,
                full,
                format!("{nibbles}ip6.arpa"),
                format!("[IPv6:{v6}]"),
                format!("{v6}%eth0"),
                format!("[{v6}]/128"),
            ]
        }
    }
}

/// Whether a text has this in it as a word of its own.
fn holds(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(begin, _)| {
        let before = text[..begin].chars().next_back();
        let after = text[begin + name.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

/// Forms of our messages, of commands' output and of servers' lines. `{}` is somebody's.
const FORMS: [&str; 12] = [
    "added 192.0.2.77: {} has logged in to dovecot; it may relay until 2026-11-24 10:53:05",
    "added {}: an unnamed user has logged in to dovecot",
    "never = [\"{}\"]  # /etc/pop-before-smtp/config.d/{}.toml:3",
    "imap-login: Login: user=<{}>, method=PLAIN, rip={}, lip=127.0.0.1",
    "store {}: not connected: {}: Connection refused",
    "<{}>",
    "({})",
    "{}, {}; {}",
    "'{}'",
    "{}:",
    "/home/{}/Maildir",
    "user={} client=[{}]:25",
];

fn public() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|o| IpAddr::V4(Ipv4Addr::from(o))),
        any::<[u16; 8]>().prop_map(|s| IpAddr::V6(Ipv6Addr::from(s))),
        // With zeros in it, as most have.
        (any::<u16>(), any::<u16>()).prop_map(|(net, host)| {
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, host))
        }),
    ]
    .prop_filter("everybody's", |address| {
        !address.is_loopback() && !address.is_unspecified()
            // "::5" has too little in it that is somebody's.
            && !matches!(address, IpAddr::V6(v6) if v6.segments()[..4] == [0; 4])
    })
}

/// What nobody has told of is replaced if it is not a word of ours; the words of ours are few among these.
fn unheard_of() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{3,12}[0-9]{1,6}",
        "[a-z]{2,8}[._-][a-z]{2,8}[0-9]",
        "[a-zà-ÿ]{9,16}",
        "[a-z]{3,8}\\.[a-z]{3,8}\\.test",
        "[a-z.]{1,8}[a-z]@[a-z]{1,8}\\.test",
        "[0-9]{7,12}",
    ]
    .prop_filter("a word of ours", |name| {
        words(name).next().is_none() || !words(name).all(vocabulary_holds)
    })
}

fn vocabulary_holds(word: &str) -> bool {
    include_str!("../src/anonymous/words.txt")
        .lines()
        .any(|known| known == word)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_address_gets_through(address in public(), form in 0..FORMS.len()) {
        for written in written(address) {
            let text = FORMS[form].replace("{}", &written);
            let mut anonymous = Anonymous::new();
            let told = anonymous.text(&text);
            prop_assert!(!holds(&told, &written), "{text}: {told}");
            prop_assert!(!told.contains(&address.to_string()), "{text}: {told}");
        }
    }

    #[test]
    fn no_name_that_is_unheard_of_gets_through(name in unheard_of(), form in 0..FORMS.len()) {
        let text = FORMS[form].replace("{}", &name);
        let told = Anonymous::new().text(&text);
        prop_assert!(!holds(&told, &name), "{text}: {told}");
        let told = Anonymous::new().quotation(&text);
        prop_assert!(!holds(&told, &name), "{text}: {told}");
    }

    /// Whatever it is: with spaces, signs, digits, or a word of ours.
    #[test]
    fn no_known_name_gets_through(
        name in prop_oneof!["\\PC{1,20}", "[a-z]{1,6}", "[0-9]{1,6}", Just("dovecot".to_owned()), Just("relay".to_owned())],
        form in 0..FORMS.len(),
    ) {
        prop_assume!(name.contains(char::is_alphanumeric));
        // What the stand-ins themselves consist of can't be told from it.
        prop_assume!(!["user", "name", "host", "mail", "number"].contains(&name.as_str()));
        prop_assume!(name.parse::<usize>().map_or(true, |number| number > 9));
        let mut anonymous = Anonymous::new();
        anonymous.know(Of::User, &name);
        let text = FORMS[form].replace("{}", &name);
        let told = anonymous.text(&text);
        prop_assert!(!holds(&told, &name), "{text}: {told}");
        prop_assert!(told.contains("user-1") || !holds(&text, &name), "{text}: {told}");
    }

    #[test]
    fn any_text_is_taken(text in "\\PC{0,200}", name in "\\PC{0,8}") {
        let mut anonymous = Anonymous::new();
        anonymous.know(Of::User, &name);
        let once = anonymous.text(&text);
        prop_assert_eq!(once, anonymous.text(&text));
    }
}
