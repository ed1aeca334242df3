//! The parser against the answers of a real smtpd, and against a naive model.

use super::*;
use crate::networks::mynetworks::WARNINGS;
use proptest::prelude::*;
use std::collections::HashMap;

/// Files and tables that are there, by name: `/path`, `hash:/path`.
#[derive(Default)]
struct Files(HashMap<String, String>);

impl Files {
    fn with(mut self, name: &str, text: &str) -> Self {
        self.0.insert(name.to_owned(), text.to_owned());
        self
    }
}

impl Lookup for Files {
    fn file(&self, path: &str) -> Result<String, String> {
        let text = self.0.get(path).cloned();
        text.ok_or_else(|| "No such file or directory".to_owned())
    }

    fn keys(&self, kind: &str, name: &str) -> Result<Vec<String>, String> {
        let keys = self.file(&format!("{kind}:{name}"))?;
        Ok(keys.split_whitespace().map(str::to_owned).collect())
    }
}

fn parse(value: &str, files: &Files) -> (Networks, Vec<String>) {
    Networks::parse(value, files)
}

fn decides(networks: &Networks, permitted: &[&str], others: &[&str]) {
    for address in permitted {
        assert!(networks.contains(address.parse().unwrap()), "{address}");
    }
    for address in others {
        assert!(!networks.contains(address.parse().unwrap()), "{address}");
    }
}

#[test]
fn what_debian_configures_and_what_postfix_computes() {
    let (networks, warnings) = parse(
        "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128",
        &Files::default(),
    );
    assert_eq!(warnings, Vec::<String>::new());
    decides(
        &networks,
        &["127.0.0.1", "::1", "::ffff:127.1.2.3"],
        &["128.0.0.1", "::2", "::"],
    );
    assert_eq!(
        networks.to_string(),
        "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128"
    );
    let (networks, warnings) = parse("", &Files::default());
    assert!(networks.is_empty() && warnings.is_empty());
    assert_eq!(networks.to_string(), "none");
}

/// The answers are those of smtpd 3.7.11, asked by XCLIENT.
#[test]
fn forms_of_items_that_postfix_takes() {
    for (value, permitted, others) in [
        (
            "10.0.0.0/8,192.0.2.1\r\n\t198.51.100.0/24,,",
            vec!["10.1.1.1", "192.0.2.1", "198.51.100.9"],
            vec!["192.0.2.2"],
        ),
        (
            "[10.0.0.0]/8 [192.0.2.0/24] [198.51.100.7]",
            vec!["10.1.1.1", "192.0.2.9", "198.51.100.7"],
            vec!["198.51.100.8"],
        ),
        (
            "[2001:DB8::0:1] [2001:db9:0:0::/64]",
            vec!["2001:db8::1", "2001:db9::5"],
            vec!["2001:db8::2", "2001:db9:0:1::5"],
        ),
        ("10.0.0.0/08", vec!["10.1.1.1"], vec!["11.1.1.1"]),
        ("!10.0.0.5 10.0.0.0/8", vec!["10.0.0.6"], vec!["10.0.0.5"]),
        ("![10.0.0.5] 10.0.0.0/8", vec!["10.0.0.6"], vec!["10.0.0.5"]),
        (
            "!!10.0.0.5 !10.0.0.0/8 0.0.0.0/0",
            vec!["10.0.0.5", "9.9.9.9"],
            vec!["10.0.0.6", "2001:db8::1"],
        ),
        (
            "proxy:cidr:{{10.0.0.0/8 x}} 192.0.2.1",
            vec!["10.0.0.5", "192.0.2.1"],
            vec!["192.0.2.2"],
        ),
        (
            "cidr:{{192.0.2.0/24 OK},{!2001:db8::/32 x}, {if 198.51.100.0/24}, {198.51.100.7 y}, {endif}}",
            vec!["192.0.2.1", "2001:db9::1", "198.51.100.7"],
            vec!["2001:db8::1", "198.51.100.8", "10.0.0.1"],
        ),
        (
            "inline:{10.0.0.5=x, {192.0.2.9 = y}, 2001:db8::1=z}",
            vec!["10.0.0.5", "192.0.2.9", "2001:db8::1"],
            vec!["192.0.2.1"],
        ),
    ] {
        let (networks, warnings) = parse(value, &Files::default());
        assert_eq!(warnings, Vec::<String>::new(), "{value}");
        decides(&networks, &permitted, &others);
    }
}

/// Each gives a warning that names the culprit, and permits no more than smtpd 3.7.11.
#[test]
fn forms_of_items_that_postfix_does_not_take() {
    for (value, culprit, permitted, others) in [
        (
            "10.0.0.1/8 192.0.2.0/24",
            "10.0.0.1/8: bits after the prefix are set, which Postfix refuses: did you mean 10.0.0.0/8?",
            vec![],
            vec!["10.0.0.1", "192.0.2.1"],
        ),
        (
            "192.0.2.0/24 [2001:db8::1]/32",
            "[2001:db8::1]/32: bits",
            vec!["192.0.2.1"],
            vec!["2001:db8::1"],
        ),
        (
            "10.0.0.0/8 2001:db8::/32 192.0.2.1",
            "2001:db8::/32: an IPv6 address must be in brackets",
            vec!["10.0.0.1"],
            vec!["2001:db8::1", "192.0.2.1"],
        ),
        (
            "10.0.0.0/8, 0.0.0.0/33",
            "0.0.0.0/33: /33 is not a prefix length",
            vec!["10.0.0.1"],
            vec!["9.9.9.9"],
        ),
        (
            "10.0.0.0/8 [::1]/ 0.0.0.0/0",
            "[::1]/: / is not a prefix length",
            vec!["10.0.0.1"],
            vec!["9.9.9.9"],
        ),
        (
            "10.0.0.0/8 [::1]/+1 0.0.0.0/0",
            "[::1]/+1",
            vec!["10.0.0.1"],
            vec!["9.9.9.9"],
        ),
        (
            "10.0.0.0/8 # 192.0.2.0/24 0.0.0.0/0",
            "a comment after other text",
            vec!["10.0.0.1"],
            vec!["192.0.2.1"],
        ),
        (
            "10.0.0.0/8 {192.0.2.0/24}",
            "{192.0.2.0/24} is not an address",
            vec!["10.0.0.1"],
            vec!["192.0.2.1"],
        ),
        (
            "192.168.1 10.0.0.0/8",
            "192.168.1 is not an address",
            vec!["10.0.0.1"],
            vec!["192.168.1.1"],
        ),
        (
            "010.0.0.1 192.0.2.9",
            "010.0.0.1 is not an address",
            vec!["192.0.2.9"],
            vec!["10.0.0.1"],
        ),
        (
            "cafe.de mail.example.org 10.0.0.0/8",
            "mail.example.org is not an address",
            vec!["10.0.0.1"],
            vec!["9.9.9.9"],
        ),
        (
            "!mail.example.org 10.0.0.0/8",
            "mail.example.org: no address, and names",
            vec![],
            vec!["10.0.0.1"],
        ),
        (
            "10.0.0.0/8 /nonexistent 192.0.2.0/24",
            "/nonexistent: No such file",
            vec!["10.0.0.1"],
            vec!["192.0.2.1"],
        ),
        (
            "10.0.0.0/8 !",
            "no pattern after '!'",
            vec!["10.0.0.1"],
            vec!["9.9.9.9"],
        ),
        (
            "nosuch:/x 192.0.2.1",
            "nosuch:/x: the keys of a table of type nosuch",
            vec!["192.0.2.1"],
            vec!["10.0.0.1"],
        ),
        (
            "!mysql:/x 10.0.0.0/8",
            "mysql:/x: the keys",
            vec![],
            vec!["10.0.0.1"],
        ),
        (
            "hash:nets 10.0.0.0/8",
            "its path is not absolute",
            vec!["10.0.0.1"],
            vec![],
        ),
        ("static:all", "static:all", vec![], vec!["10.0.0.1"]),
    ] {
        let (networks, warnings) = parse(value, &Files::default());
        assert!(
            warnings
                .iter()
                .any(|w| w.starts_with("mynetworks: ") && w.contains(culprit)),
            "{value}: {warnings:?}"
        );
        decides(&networks, &permitted, &others);
    }
}

#[test]
fn files_stand_for_their_lines_and_an_exclamation_mark_for_all_of_them() {
    let files = Files::default()
        .with(
            "/nets",
            "# ours\n10.0.0.0/8\n  192.0.2.1 # the printer\n\n!/inner\n198.51.100.0/24\n",
        )
        .with("/inner", "198.51.100.7\n!203.0.113.9\n");
    let (networks, warnings) = parse("/nets", &files);
    decides(
        &networks,
        &["10.0.0.1", "192.0.2.1", "198.51.100.8", "203.0.113.9"],
        &["198.51.100.7"],
    );
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("/nets: a comment"), "{warnings:?}");

    let (networks, _) = parse("!/inner 0.0.0.0/0", &files);
    decides(&networks, &["203.0.113.9", "1.2.3.4"], &["198.51.100.7"]);
}

#[test]
fn a_file_that_names_itself_ends() {
    let files = Files::default().with("/nets", "10.0.0.0/8\n/nets\n/nets\n192.0.2.1");
    let (networks, warnings) = parse("/nets", &files);
    decides(&networks, &["10.0.0.1"], &["192.0.2.1"]);
    assert!(
        warnings[0].contains("does one name itself?"),
        "{warnings:?}"
    );
    assert!(warnings.len() <= WARNINGS + 1, "{}", warnings.len());
}

#[test]
fn tables_of_keys() {
    let files = Files::default()
        .with(
            "hash:/t",
            "10.0.0.5 2001:db8::1 192.0.2 2001:db8:0::2 mail.example.org",
        )
        .with("lmdb:/t", "10.0.0.6")
        .with(
            "/x",
            "10.0.0.7 yes\n10.0.0.8\n# 10.0.0.9 no\n2001:DB8::A yes\n",
        );
    let (networks, warnings) = parse("hash:/t proxy:lmdb:/t texthash:/x", &files);
    assert_eq!(warnings, Vec::<String>::new());
    decides(
        &networks,
        &[
            "10.0.0.5",
            "2001:db8::1",
            "10.0.0.6",
            "10.0.0.7",
            "2001:db8::a",
        ],
        &["192.0.2.1", "2001:db8::2", "10.0.0.8", "10.0.0.9"],
    );
    assert_eq!(networks.to_string(), "hash:/t proxy:lmdb:/t texthash:/x");

    // A name in it could be the client's.
    let (networks, warnings) = parse("!hash:/t 10.0.0.0/8", &files);
    decides(&networks, &[], &["10.0.0.5", "10.0.0.9"]);
    assert!(warnings[0].contains("holds names"), "{warnings:?}");
    let (networks, _) = parse("!lmdb:/t 10.0.0.0/8", &files);
    decides(&networks, &["10.0.0.5"], &["10.0.0.6"]);
}

/// The answers are those of smtpd 3.7.11.
#[test]
fn cidr_tables_with_what_is_wrong_in_them() {
    for (rules, permitted, others, warned) in [
        (
            "192.0.2.0/24 OK\nif 10.0.0.0/8\n10.0.0.5 x\n",
            vec!["192.0.2.9", "10.0.0.5"],
            vec!["10.0.0.6"],
            0,
        ),
        (
            "if bogus\n10.0.0.5 x\nendif\n192.0.2.0/24 OK",
            vec!["192.0.2.9", "10.0.0.5"],
            vec!["10.0.0.6"],
            2,
        ),
        (
            "if 10.0.0.0/8 foo\n10.0.0.5 x\nendif\n192.0.2.0/24 OK\nendif\n9.9.9.9 z",
            vec!["10.0.0.5", "192.0.2.9", "9.9.9.9"],
            vec!["10.0.0.6"],
            3,
        ),
        (
            "10.0.0.5\n10.0.0.6 x\n10.0.0.7/8 x\n",
            vec!["10.0.0.6"],
            vec!["10.0.0.5", "10.0.0.7"],
            2,
        ),
        (
            "IF !10.0.0.0/8\nif 0.0.0.0/1\n0.0.0.0/0 x\nendif\nENDIF\n",
            vec!["9.9.9.9", "11.0.0.1"],
            vec!["10.0.0.1", "192.0.2.1", "2001:db8::1"],
            0,
        ),
        (
            "# c\n\n10.0.0.5\n # c\n  continued\n2001:db8::/32 x",
            vec!["10.0.0.5", "2001:db8::5"],
            vec![],
            0,
        ),
    ] {
        let files = Files::default().with("/c", rules);
        let (networks, warnings) = parse("cidr:/c", &files);
        decides(&networks, &permitted, &others);
        assert_eq!(warnings.len(), warned, "{warnings:?}");
        assert!(warnings.iter().all(|w| w.starts_with("cidr:/c, line ")));
    }
    let deep = format!("{}10.0.0.5 x", "if 0.0.0.0/0\n".repeat(100_000));
    let files = Files::default().with("/c", &deep);
    let (networks, warnings) = parse("!cidr:/c 10.0.0.0/8", &files);
    decides(&networks, &[], &["10.0.0.5", "10.0.0.6"]);
    assert!(warnings[0].contains("too many blocks"), "{warnings:?}");
}

#[test]
fn networks_of_the_configuration() {
    let list = ["10.1.2.3/8", "2001:db8::5/32", "::ffff:192.0.2.9/120"];
    let networks = Networks::from(list.map(|n| n.parse().unwrap()).to_vec());
    decides(
        &networks,
        &["10.9.9.9", "2001:db8:1::", "192.0.2.1"],
        &["11.0.0.1", "192.0.3.1"],
    );
    assert_eq!(
        networks.to_string(),
        "10.0.0.0/8 [2001:db8::]/32 192.0.2.0/24"
    );
}

/// A rule of the naive model: the number of `!`, the address as a number, the length, IPv4.
type Item = (usize, u128, u8, bool);

fn item() -> impl Strategy<Value = Item> {
    // Few addresses, so that rules and questions meet.
    (0..3_usize, 0..4_u128, 0..=3_u8, any::<bool>()).prop_map(|(marks, top, length, v4)| {
        let bits = if v4 { 32 } else { 128 };
        let kept = if length == 0 {
            0
        } else {
            top >> 2_u8.saturating_sub(length) << 2_u8.saturating_sub(length)
        };
        let length = if length == 3 { bits } else { length };
        (marks, kept << (bits - 2), length, v4)
    })
}

fn address(number: u128, v4: bool) -> IpAddr {
    if v4 {
        IpAddr::V4(u32::try_from(number).unwrap().into())
    } else {
        IpAddr::V6(number.into())
    }
}

fn written(&(marks, number, length, v4): &Item, brackets: u8) -> String {
    let address = address(number, v4);
    let text = match (brackets, v4) {
        (0, _) | (2, false) => format!("[{address}]/{length}"),
        (1, _) => format!("[{address}/{length}]"),
        _ => format!("{address}/{length}"),
    };
    format!("{}{text}", "!".repeat(marks))
}

fn model(items: &[Item], number: u128, v4: bool, marks: usize) -> Option<bool> {
    let bits = if v4 { 32 } else { 128 };
    items.iter().filter(|item| item.3 == v4).find_map(|item| {
        let shift = bits - u32::from(item.2);
        let high = |n: u128| n.checked_shr(shift).unwrap_or(0);
        (high(item.1) == high(number)).then_some((item.0 + marks).is_multiple_of(2))
    })
}

proptest! {
    #[test]
    fn decides_as_a_naive_model(
        before in prop::collection::vec((item(), 0..3_u8), 0..6),
        file in prop::collection::vec((item(), 0..3_u8), 0..6),
        after in prop::collection::vec((item(), 0..3_u8), 0..6),
        marks in 0..3_usize,
        low in any::<bool>(),
    ) {
        let text = |items: &[(Item, u8)], between: &str| {
            items.iter().map(|(i, b)| written(i, *b)).collect::<Vec<_>>().join(between)
        };
        let files = Files::default().with("/f", &text(&file, "\n"));
        let value = format!(
            "{} {}/f, {}", text(&before, ", "), "!".repeat(marks), text(&after, "\t")
        );
        let (networks, warnings) = parse(&value, &files);
        prop_assert_eq!(warnings, Vec::<String>::new());
        let rules = |items: &[(Item, u8)]| items.iter().map(|(i, _)| *i).collect::<Vec<_>>();
        for v4 in [true, false] {
            for top in 0..4_u128 {
                let bits = if v4 { 32 } else { 128 };
                let number = (top << (bits - 2)) + u128::from(low);
                let expected = model(&rules(&before), number, v4, 0)
                    .or_else(|| model(&rules(&file), number, v4, marks))
                    .or_else(|| model(&rules(&after), number, v4, 0))
                    .unwrap_or(false);
                let address = address(number, v4);
                prop_assert_eq!(networks.contains(address), expected, "{} in {}", address, value);
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(value: String, file: String, address: IpAddr) {
        let files = Files::default().with("/f", &file).with("/c", &file);
        for value in [value.as_str(), "/f", "!/f", "cidr:/c", "!cidr:/c", "texthash:/f"] {
            let (networks, warnings) = parse(value, &files);
            let _ = networks.contains(address);
            prop_assert!(warnings.len() <= WARNINGS + 1);
        }
    }

    #[test]
    fn no_text_of_the_right_characters_makes_it_panic(
        value in "[0-9a-f.:/!,# {}\\[\\]\n]{0,60}", address: IpAddr,
    ) {
        let files = Files::default().with("/f", &value).with("/c", &value);
        for value in [value.as_str(), "/f", "cidr:/c"] {
            let _ = parse(value, &files).0.contains(address);
        }
    }
}
