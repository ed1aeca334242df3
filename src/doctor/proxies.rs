//! Who stands between the clients and the servers, and whose word counts for a client's address.
//!
//! Judging is pure.

use super::Installation;
use super::dovecot::Dovecot;
use super::point::{Point, notice, ok, or_ok};
use crate::postfix::configuration::Configuration;

/// Is the word of one taken?
pub fn proxies(host: &Installation) -> Option<Vec<Point>> {
    Some(judge(host.postfix()?, host.dovecot.as_ref()))
}

fn judge(postfix: &Configuration, dovecot: Option<&Dovecot>) -> Vec<Point> {
    let mut points = Vec::new();
    let xclient = postfix.value("smtpd_authorized_xclient_hosts");
    if !xclient.is_empty() {
        points.push(notice(format!(
            "smtpd_authorized_xclient_hosts = {xclient}: these hosts may give smtpd any client \
             address, even that of a listed client"
        )));
    }
    let open = postfix
        .services
        .iter()
        .filter(|service| !service.is_local());
    let behind = open.filter_map(|service| {
        let parameter = match &*service.program {
            "smtpd" => "smtpd_upstream_proxy_protocol",
            "postscreen" => "postscreen_upstream_proxy_protocol",
            _ => return None,
        };
        let protocol = postfix.value_for(service, parameter);
        (!protocol.is_empty()).then(|| format!("{} ({parameter} = {protocol})", service.name))
    });
    let behind: Vec<String> = behind.collect();
    if !behind.is_empty() {
        points.push(notice(format!(
            "{}: the client's address is the one in the proxy's header; only the proxy \
             should be able to reach that port",
            behind.join(", ")
        )));
    }
    let sides = match dovecot.map(|dovecot| dovecot.haproxy) {
        Some(true) if behind.is_empty() => Some(("Dovecot", "Postfix")),
        Some(false) if !behind.is_empty() => Some(("Postfix", "Dovecot")),
        _ => None,
    };
    points.extend(sides.map(|(with, without)| {
        notice(format!(
            "{with} takes addresses from a proxy (PROXY protocol), but {without} does not: a \
             client must have the same address for both"
        ))
        .mend(format!(
            "# If {without} is behind the proxy as well, it sees everybody with the proxy's \
             address:\n# have the proxy pass the client's on, and list the proxy in never."
        ))
    }));
    let trusted = dovecot.map_or("", |dovecot| &dovecot.trusted);
    if !trusted.is_empty() {
        points.push(notice(format!(
            "login_trusted_networks = {trusted}: these hosts may give Dovecot any client address, \
             and so list any; a webmail server there lists its users' addresses"
        )));
    }
    or_ok(
        points,
        "addresses are those of the connections: none is taken from a proxy",
    )
}

/// Does postscreen come first? It is a point only where it does.
pub fn postscreen(host: &Installation) -> Option<Point> {
    let mut services = host.postfix()?.services.iter();
    let screen = services.find(|service| service.program == "postscreen")?;
    Some(ok(format!(
        "{} passes clients on to smtpd with their addresses; its own tests come first, for \
         listed clients too",
        screen.name
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::point::Verdict;

    fn findings(parameters: &str, dovecot: &str) -> Vec<String> {
        let services = "smtp inet n - y - 1 postscreen\nsmtpd pass - - y - - smtpd\n";
        let postfix = Configuration::of(parameters, parameters, services, "");
        let points = judge(&postfix, Some(&Dovecot::parse(dovecot)));
        let notices = points.into_iter().filter(|p| p.verdict == Verdict::Notice);
        notices.map(|point| point.finding).collect()
    }

    #[test]
    fn each_proxy_is_told_of() {
        assert_eq!(findings("", ""), Vec::<String>::new());
        let found = findings("smtpd_authorized_xclient_hosts = 192.0.2.3\n", "");
        assert!(
            found.len() == 1 && found[0].contains("192.0.2.3"),
            "{found:?}"
        );
        let proxied = "postscreen_upstream_proxy_protocol = haproxy\n";
        let listener = "  inet_listener imap {\n    haproxy = yes\n  }\n";
        let found = findings(proxied, listener);
        assert!(
            found.len() == 1 && found[0].contains("smtp/inet"),
            "{found:?}"
        );
        assert!(findings(proxied, "")[1].contains("Dovecot does not"));
        assert!(findings("", listener)[0].contains("Postfix does not"));
        let found = findings("", "login_trusted_networks = 10.0.0.5\n");
        assert!(
            found.len() == 1 && found[0].contains("10.0.0.5"),
            "{found:?}"
        );
    }
}
