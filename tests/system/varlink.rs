//! The control socket as others than our own commands use it: varlinkctl(1) of systemd, and users
//! that are not root.

use std::path::Path;

use serde_json::Value;

use crate::host::{Finished, Host, NEAR};
use crate::image::Release;
use crate::mail::fetch_mail;

const SOCKET: &str = "/run/pop-before-smtp/control";
const INTERFACE: &str = "org.pop-before-smtp";

fn call(host: &Host, options: &[&str], method: &str, parameters: &str) -> Finished {
    let method = format!("{INTERFACE}.{method}");
    let command = [
        &["varlinkctl", "--json=short"],
        options,
        &["call", SOCKET, &method, parameters],
    ];
    host.try_run(&command.concat())
}

fn replies(finished: &Finished) -> Vec<Value> {
    assert!(finished.succeeded(), "{}", finished.transcript());
    let lines = finished.stdout.lines();
    // Replies are separated as in an application/json-seq.
    let texts = lines.map(|line| line.trim_start_matches('\u{1e}'));
    texts
        .filter(|text| !text.is_empty())
        .map(|text| serde_json::from_str(text).unwrap())
        .collect()
}

#[test]
fn varlinkctl_finds_its_way() {
    let host = Host::with_service(Release::Trixie, "grace = \"10min\"\n");
    for client in NEAR {
        fetch_mail(&host, client);
    }
    host.await_clients(&NEAR);

    // The definition is one, by systemd's own parser.
    let definitions = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/control");
    for name in ["org.pop-before-smtp", "org.varlink.service"] {
        let file = format!("{name}.varlink");
        host.copy_in(&definitions.join(&file), &format!("/opt/{file}"));
        host.run(&["varlinkctl", "validate-idl", &format!("/opt/{file}")]);
    }

    let info = host.run(&["varlinkctl", "info", SOCKET]);
    assert!(info.contains("pop-before-smtp"), "{info}");
    let interfaces = host.run(&["varlinkctl", "list-interfaces", SOCKET]);
    assert!(
        interfaces.lines().any(|line| line.trim() == INTERFACE),
        "{interfaces}"
    );
    let methods = host.run(&["varlinkctl", "list-methods", SOCKET, INTERFACE]);
    for method in [
        "Allow",
        "Check",
        "GetStatus",
        "ListClients",
        "Monitor",
        "Revoke",
        "SetLogLevel",
    ] {
        let name = format!("{INTERFACE}.{method}");
        assert!(
            methods.lines().any(|line| line.trim() == name),
            "{method}: {methods}"
        );
    }
    let introspected = host.run(&["varlinkctl", "introspect", SOCKET, INTERFACE]);
    assert!(
        introspected.contains("method GetStatus()"),
        "{introspected}"
    );
    assert!(introspected.contains("type EventKind"), "{introspected}");

    let status = &replies(&call(&host, &[], "GetStatus", "{}"))[0];
    assert_eq!(status["status"]["clients"], 2, "{status}");
    assert_eq!(status["status"]["problems"].as_array().unwrap().len(), 0);

    let listed = |parameters| {
        let pages = replies(&call(&host, &["--more"], "ListClients", parameters));
        let clients = pages.iter().flat_map(|p| p["clients"].as_array().unwrap());
        clients
            .map(|c| c["client"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(listed("{}"), NEAR);
    assert_eq!(listed(r#"{"network":"2001:db8::/32"}"#), [NEAR[1]]);
    assert_eq!(listed(r#"{"user":"nobody"}"#), [] as [&str; 0]);

    let former = &replies(&call(&host, &[], "SetLogLevel", r#"{"level":"debug"}"#))[0];
    assert_eq!(former["former"], "info");
    let oneway = call(&host, &["--oneway"], "SetLogLevel", r#"{"level":"info"}"#);
    assert!(
        oneway.succeeded() && oneway.stdout.is_empty(),
        "{}",
        oneway.transcript()
    );
    assert_eq!(host.run(&["pop-before-smtp", "log-level"]), "info");

    for (method, parameters, error) in [
        ("ListClients", "{}", "org.varlink.service.ExpectedMore"),
        ("Nothing", "{}", "org.varlink.service.MethodNotFound"),
        (
            "GetStatus",
            r#"{"x":1}"#,
            "org.varlink.service.InvalidParameter",
        ),
        (
            "SetLogLevel",
            r#"{"level":"loud"}"#,
            "org.varlink.service.InvalidParameter",
        ),
    ] {
        let refused = call(&host, &[], method, parameters);
        assert!(!refused.succeeded());
        assert!(
            refused.stderr.contains(error),
            "{method}: {}",
            refused.transcript()
        );
    }

    // It watches until it is told to leave.
    let watched = host.try_run(&[
        "timeout",
        "5",
        "varlinkctl",
        "--json=short",
        "--more",
        "call",
        SOCKET,
        &format!("{INTERFACE}.Monitor"),
        "{}",
    ]);
    assert_eq!(watched.code, Some(124), "{}", watched.transcript());
    assert!(
        watched.stdout.contains(r#""events":[]"#),
        "{}",
        watched.transcript()
    );
}

/// Who is neither root nor in the group learns nothing; who is in the group may ask and change
/// nothing.
fn others_may_ask_or_not(release: Release) {
    let host = Host::with_service(release, "grace = \"10min\"\n");
    host.run(&["usermod", "--append", "--groups", "pop-before-smtp", "ann"]);
    let of = |user: &str, command: &[&str]| {
        host.try_run(&[&["runuser", "-u", user, "--", "pop-before-smtp"], command].concat())
    };
    for command in [
        &["status"][..],
        &["list"],
        &["monitor"],
        &["log-level", "debug"],
    ] {
        let refused = of("tom", command);
        assert_eq!(
            refused.code,
            Some(77),
            "{command:?}: {}",
            refused.transcript()
        );
        assert!(refused.stdout.is_empty(), "{}", refused.transcript());
    }
    for command in [&["status"][..], &["list"], &["metrics"], &["log-level"]] {
        let asked = of("ann", command);
        assert!(asked.succeeded(), "{command:?}: {}", asked.transcript());
    }
    let changed = of("ann", &["log-level", "debug"]);
    assert_eq!(changed.code, Some(77), "{}", changed.transcript());
    assert!(
        changed.stderr.contains("only root may do that"),
        "{}",
        changed.transcript()
    );
    assert_eq!(host.run(&["pop-before-smtp", "log-level"]), "info");
}

#[test]
fn others_may_ask_or_not_on_bookworm() {
    others_may_ask_or_not(Release::Bookworm);
}

#[test]
fn others_may_ask_or_not_on_trixie() {
    others_may_ask_or_not(Release::Trixie);
}
