//! Who may relay without a login: Postfix's `mynetworks`.
//!
//! Pure. Files and tables that it names are not looked into.

use ipnet::IpNet;

use super::Installation;
use super::point::{Point, notice, ok, wrong};
use super::systemd::RELOAD;
use crate::postfix::configuration::Configuration;

/// Networks in which nobody else's hosts are: RFC 1918, 6598, 3927, 4193, 4291 and loopback.
const PRIVATE: [&str; 9] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "100.64.0.0/10",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];

/// How wide a public network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Width {
    /// That of one site.
    Fine,
    /// That of a provider.
    Wide,
    /// Hardly anybody's own.
    TooWide,
}

/// Is it no wider than one's own networks?
pub fn mynetworks(host: &Installation) -> Option<Point> {
    host.postfix().map(judge)
}

fn judge(postfix: &Configuration) -> Point {
    let value = postfix.value("mynetworks");
    if postfix.set("mynetworks").is_none() {
        return computed(value, postfix.value("mynetworks_style"));
    }
    let words = value
        .split([',', ' ', '\t'])
        .filter(|word| !word.is_empty());
    let worst = words.clone().map(width).max().unwrap_or(Width::Fine);
    let wide = words.clone().filter(|word| width(word) > Width::Fine);
    let wide = wide.collect::<Vec<_>>().join(" ");
    match worst {
        Width::Fine => ok(format!("{value}, as main.cf says")),
        Width::Wide => notice(format!(
            "{wide}: every host of these may relay without a login: are they all yours?"
        )),
        Width::TooWide => {
            let rest = words.filter(|word| width(word) < Width::TooWide);
            let rest = rest.collect::<Vec<_>>().join(" ");
            wrong(
                format!(
                    "{wide}: nobody owns that many hosts; the whole world may relay, and \
                     logins make no difference"
                ),
                format!("postconf -e 'mynetworks = {rest}'\npostfix reload\n{RELOAD}"),
            )
        }
    }
}

/// main.cf does not say.
fn computed(value: &str, style: &str) -> Point {
    match style {
        "class" => wrong(
            format!("{value}, by mynetworks_style = class: whole networks of strangers may relay"),
            format!("postconf -e 'mynetworks_style = host'\npostfix reload\n{RELOAD}"),
        ),
        "subnet" => notice(format!(
            "{value}, the networks that this host is in (mynetworks_style = subnet): every \
             host there may relay without a login"
        )),
        style => ok(format!(
            "{value}, computed from the interfaces (mynetworks_style = {style})"
        )),
    }
}

fn width(word: &str) -> Width {
    // A file, a table, or an exception.
    let text: String = word.chars().filter(|c| !matches!(c, '[' | ']')).collect();
    let Ok(network) = text.parse::<IpNet>() else {
        return Width::Fine;
    };
    let mut private = PRIVATE.iter().filter_map(|text| text.parse::<IpNet>().ok());
    if private.any(|private| private.contains(&network)) {
        return Width::Fine;
    }
    let (too_wide, wide) = match network {
        IpNet::V4(_) => (8, 15),
        IpNet::V6(_) => (24, 31),
    };
    match network.prefix_len() {
        length if length <= too_wide => Width::TooWide,
        length if length <= wide => Width::Wide,
        _ => Width::Fine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::point::Verdict;

    fn judged(value: &str) -> Point {
        let text = format!("mynetworks = {value}\n");
        judge(&Configuration::of(&text, &text, "", ""))
    }

    #[test]
    fn networks_of_the_world_are_too_wide() {
        for (value, verdict) in [
            ("127.0.0.0/8 [::1]/128", Verdict::Ok),
            (
                "10.0.0.0/8, [fc00::]/7 192.0.2.0/24 [2001:db8::]/32",
                Verdict::Ok,
            ),
            (
                "/etc/postfix/networks hash:/a !0.0.0.0/0 rubbish",
                Verdict::Ok,
            ),
            ("", Verdict::Ok),
            ("198.18.0.0/15", Verdict::Notice),
            ("[2001::]/28", Verdict::Notice),
            ("127.0.0.0/8 0.0.0.0/0", Verdict::Wrong),
            ("[::]/0", Verdict::Wrong),
            ("64.0.0.0/4", Verdict::Wrong),
        ] {
            assert_eq!(judged(value).verdict, verdict, "{value}");
        }
        let mend = judged("127.0.0.0/8 0.0.0.0/0 [::1]/128").mend.unwrap();
        assert!(
            mend.starts_with("postconf -e 'mynetworks = 127.0.0.0/8 [::1]/128'\n"),
            "{mend}"
        );
    }

    #[test]
    fn what_postfix_computes_is_judged_by_its_style() {
        for (style, verdict) in [
            ("host", Verdict::Ok),
            ("subnet", Verdict::Notice),
            ("class", Verdict::Wrong),
        ] {
            let text = format!("mynetworks = 192.0.2.0/24\nmynetworks_style = {style}\n");
            let point = judge(&Configuration::of(&text, "", "", ""));
            assert_eq!(point.verdict, verdict, "{style}");
        }
    }
}
