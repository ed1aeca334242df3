//! Who may relay without a login: Postfix's `mynetworks`.
//!
//! Pure. Files and tables that it names are not looked into.

use ipnet::IpNet;

use super::point::Point;
use crate::postfix::configuration::Configuration;

const POINT: &str = "mynetworks";
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

/// Judges its value, and where that comes from.
#[must_use]
pub fn judge(postfix: &Configuration) -> Point {
    let value = postfix.value("mynetworks");
    let style = postfix.value("mynetworks_style");
    if postfix.set("mynetworks").is_none() {
        return computed(value, style);
    }
    let words = || {
        value
            .split([',', ' ', '\t'])
            .filter(|word| !word.is_empty())
    };
    let worst = words().map(width).max().unwrap_or(Width::Fine);
    let wide: Vec<&str> = words().filter(|word| width(word) > Width::Fine).collect();
    let wide = wide.join(" ");
    match worst {
        Width::Fine => Point::ok(POINT, format!("{value}, as main.cf says")),
        Width::Wide => Point::notice(
            POINT,
            format!("{wide}: every host of these may relay without a login: are they all yours?"),
        ),
        Width::TooWide => {
            let rest: Vec<&str> = words()
                .filter(|word| width(word) < Width::TooWide)
                .collect();
            let finding = format!(
                "{wide}: nobody has that many hosts of his own; the world may relay, and logins \
                 make no difference"
            );
            Point::wrong(POINT, finding).mend(format!(
                "postconf -e 'mynetworks = {}'\npostfix reload\n\
                 systemctl reload pop-before-smtp.service",
                rest.join(" ")
            ))
        }
    }
}

/// main.cf does not say.
fn computed(value: &str, style: &str) -> Point {
    match style {
        "class" => Point::wrong(
            POINT,
            format!("{value}, by mynetworks_style = class: whole networks of strangers may relay"),
        )
        .mend(
            "postconf -e 'mynetworks_style = host'\npostfix reload\n\
             systemctl reload pop-before-smtp.service",
        ),
        "subnet" => Point::notice(
            POINT,
            format!(
                "{value}, the networks that this host is in (mynetworks_style = subnet): every \
                 host there may relay without a login"
            ),
        ),
        style => Point::ok(
            POINT,
            format!("{value}, computed from the interfaces (mynetworks_style = {style})"),
        ),
    }
}

fn width(word: &str) -> Width {
    // A file, a table, or an exception.
    let text: String = word.chars().filter(|c| !matches!(c, '[' | ']')).collect();
    let Ok(network) = text.parse::<IpNet>() else {
        return Width::Fine;
    };
    let private = PRIVATE.iter().filter_map(|text| text.parse::<IpNet>().ok());
    if private
        .into_iter()
        .any(|private| private.contains(&network))
    {
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
