//! The definition and the types are the same interface: what is written in
//! `org.pop-before-smtp.varlink` is read by a parser of Varlink's language (zlink's), and samples of
//! our types are held against it. Samples name every field, so that the compiler finds a new one.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;
use zlink_idl::{CustomType, Interface, Type};

use pop_before_smtp::control::protocol::*;
use pop_before_smtp::control::*;

const DEFINITION: &str = include_str!("../../src/control/org.pop-before-smtp.varlink");
const SERVICE: &str = include_str!("../../src/control/org.varlink.service.varlink");

/// Which sample is looked at: one with all that is optional, or one with nothing of it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sample {
    Full,
    Bare,
}
use Sample::{Bare, Full};

/// Whether a value is what the definition says.
fn fits(of: &Interface, ty: &Type, value: &Value, sample: Sample) -> Result<(), String> {
    let wrong = || Err(format!("{value} is no {ty:?}"));
    match (ty, value) {
        (Type::Optional(_), Value::Null) if sample == Bare => Ok(()),
        (Type::Optional(inner), some) if sample == Full => fits(of, inner.inner(), some, sample),
        (Type::Bool, Value::Bool(_)) | (Type::String, Value::String(_)) => Ok(()),
        (Type::Int, Value::Number(n)) if n.is_i64() => Ok(()),
        (Type::Array(_), Value::Array(none)) if none.is_empty() && sample == Bare => Ok(()),
        (Type::Array(inner), Value::Array(array)) if !array.is_empty() => array
            .iter()
            .try_for_each(|value| fits(of, inner.inner(), value, sample)),
        (Type::Custom(name), value) => match of.custom_types().find(|t| t.name() == name) {
            Some(CustomType::Object(object)) => {
                fields_fit(of, object.fields(), value, sample).map_err(|e| format!("{name}: {e}"))
            }
            Some(CustomType::Enum(names)) => match value.as_str() {
                Some(text) if names.variants().any(|v| v.name() == text) => Ok(()),
                _ => wrong(),
            },
            None => Err(format!("{name} is not defined")),
        },
        _ => wrong(),
    }
}

fn fields_fit<'f>(
    of: &Interface,
    fields: impl Iterator<Item = &'f zlink_idl::Field<'f>>,
    value: &Value,
    sample: Sample,
) -> Result<(), String> {
    let object = value.as_object().ok_or(format!("{value} is no object"))?;
    let mut names = BTreeSet::new();
    for field in fields {
        let name = field.name().as_str();
        names.insert(name);
        // Null may be left out.
        let value = match object.get(name) {
            None if sample == Bare => &Value::Null,
            value => value.ok_or(format!("{name} is only defined"))?,
        };
        fits(of, field.ty(), value, sample).map_err(|error| format!("{name}: {error}"))?;
    }
    match object.keys().find(|key| !names.contains(key.as_str())) {
        Some(key) => Err(format!("{key} is not defined")),
        None => Ok(()),
    }
}

fn json(of: &impl Serialize) -> Value {
    serde_json::to_value(of).unwrap()
}

/// The method of a definition, and whether our types are its own.
fn method_fits<M: Method>(definition: &str, calls: [M; 2], answers: [M::Answer; 2]) -> String {
    let interface = Interface::try_from(definition).unwrap();
    let (of, name) = M::NAME.rsplit_once('.').unwrap();
    assert_eq!(of, interface.name().as_str());
    let method = interface.methods().find(|m| m.name() == name);
    let method = method.unwrap_or_else(|| panic!("{name} is not defined"));
    for (sample, (call, answer)) in [Full, Bare].into_iter().zip(calls.iter().zip(&answers)) {
        for (what, ours, fields) in [
            ("call", json(call), method.inputs().collect::<Vec<_>>()),
            ("answer", json(answer), method.outputs().collect()),
        ] {
            if let Err(error) = fields_fit(&interface, fields.into_iter(), &ours, sample) {
                panic!("{name}, {sample:?} {what}: {error}");
            }
        }
        // And they can be read as well as written.
        serde_json::from_value::<M>(json(call)).unwrap();
        serde_json::from_value::<M::Answer>(json(answer)).unwrap();
    }
    name.to_owned()
}

fn client() -> pop_before_smtp::client::Client {
    "2001:db8::10".parse().unwrap()
}

fn time() -> jiff::Timestamp {
    jiff::Timestamp::UNIX_EPOCH
}

fn text() -> String {
    "text".to_owned()
}

fn some<T>(sample: Sample, value: T) -> Option<T> {
    (sample == Full).then_some(value)
}

fn client_info(sample: Sample) -> ClientInfo {
    ClientInfo {
        client: client(),
        user: some(sample, text()),
        server: text(),
        since: time(),
        last_login: some(sample, time()),
        until: some(sample, time()),
        sessions: 1,
        source: some(sample, text()),
    }
}

fn filter(sample: Sample) -> Filter {
    Filter {
        client: some(sample, client()),
        network: some(sample, "192.0.2.0/24".parse().unwrap()),
        user: some(sample, text()),
        server: some(sample, text()),
        source: some(sample, text()),
    }
}

fn status(sample: Sample) -> StatusAnswer {
    StatusAnswer {
        status: Status {
            version: text(),
            since: time(),
            servers: vec![text()],
            permitted_networks: text(),
            clients: 1,
            sessions: 1,
            refused: 1,
            caught_up: true,
            journal_position: some(sample, time()),
            lag_milliseconds: some(sample, 1),
            sources: some(
                sample,
                vec![SourceStatus {
                    name: text(),
                    journal: text(),
                    caught_up: true,
                    journal_position: some(sample, time()),
                    lag_milliseconds: some(sample, 1),
                    connected: some(sample, true),
                    problems: vec![text()],
                }],
            ),
            last_login: some(
                sample,
                LoginStatus {
                    time: time(),
                    client: client(),
                    user: some(sample, text()),
                    server: text(),
                    source: some(sample, text()),
                },
            ),
            map: some(
                sample,
                MapStatus {
                    path: text(),
                    kind: text(),
                },
            ),
            last_publication: some(
                sample,
                PublicationStatus {
                    time: time(),
                    clients: 1,
                    milliseconds: 1,
                },
            ),
            policy: PolicyStatus {
                answered: 1,
                granted: 1,
            },
            totals: Totals {
                logins: 1,
                unchanged_logins: 1,
                logouts: 1,
                listed: 1,
                removed: 1,
                refused: 1,
                publications: 1,
                failed_publications: 1,
            },
            log_level: LogLevel::Info,
            problems: vec![text()],
        },
    }
}

fn events(sample: Sample) -> EventsAnswer {
    let event = Event {
        time: time(),
        kind: EventKind::NotPublished,
        client: some(sample, client()),
        user: some(sample, text()),
        server: some(sample, text()),
        source: some(sample, text()),
        until: some(sample, time()),
        reason: some(sample, text()),
        clients: some(sample, 1),
        milliseconds: some(sample, 1),
    };
    EventsAnswer {
        events: vec![event],
        missed: 1,
    }
}

fn both<T>(of: impl Fn(Sample) -> T) -> [T; 2] {
    [of(Full), of(Bare)]
}

#[test]
fn the_methods_are_the_defined_ones() {
    let names = [
        method_fits(DEFINITION, both(|_| GetStatus {}), both(status)),
        method_fits(
            DEFINITION,
            both(filter),
            both(|sample| ClientsAnswer {
                clients: vec![client_info(sample)],
            }),
        ),
        method_fits(DEFINITION, both(|_| Monitor {}), both(events)),
        method_fits(
            DEFINITION,
            both(|_| Check { client: client() }),
            both(|sample| Checked {
                may_relay: true,
                reason: text(),
                listing: some(sample, client_info(sample)),
                grant: some(
                    sample,
                    GrantInfo {
                        since: time(),
                        until: time(),
                        by: 0,
                        note: some(sample, text()),
                    },
                ),
                map: some(
                    sample,
                    MapStatus {
                        path: text(),
                        kind: text(),
                    },
                ),
            }),
        ),
        method_fits(
            DEFINITION,
            both(|sample| Allow {
                client: client(),
                until: some(sample, time()),
                note: some(sample, text()),
            }),
            both(|sample| Allowed {
                listing: client_info(sample),
            }),
        ),
        method_fits(
            DEFINITION,
            both(|sample| Revoke {
                client: some(sample, client()),
                network: some(sample, "192.0.2.0/24".parse().unwrap()),
                user: some(sample, text()),
                server: some(sample, text()),
                all: some(sample, true),
            }),
            both(|_| Revoked {
                removed: 1,
                clients: vec![client()],
            }),
        ),
        method_fits(
            DEFINITION,
            both(|_| SetLogLevel {
                level: LogLevel::Debug,
            }),
            both(|_| LogLevelSet {
                former: LogLevel::Info,
            }),
        ),
    ];
    let interface = Interface::try_from(DEFINITION).unwrap();
    let defined: BTreeSet<_> = interface.methods().map(|m| m.name().to_string()).collect();
    assert_eq!(defined, BTreeSet::from(names));
}

#[test]
fn the_service_interface_is_the_defined_one() {
    use introspection::{GetInfo, GetInterfaceDescription, description, info};
    let ask = |_| {
        serde_json::from_value::<GetInterfaceDescription>(
            serde_json::json!({"interface": "org.varlink.service"}),
        )
        .unwrap()
    };
    method_fits(SERVICE, both(|_| GetInfo {}), both(|_| info()));
    method_fits(
        SERVICE,
        both(ask),
        both(|sample| description(ask(sample)).unwrap()),
    );
    let interfaces = json(&info())["interfaces"].clone();
    for (text, interface) in [SERVICE, DEFINITION]
        .iter()
        .zip(interfaces.as_array().unwrap())
    {
        let parsed = Interface::try_from(*text).unwrap();
        assert_eq!(parsed.name().as_str(), interface.as_str().unwrap());
    }
}

/// All names of an enumeration; a new one does not compile until it is here.
fn event_kinds() -> [EventKind; 8] {
    use EventKind::*;
    let all = [
        Login,
        Logout,
        Listed,
        Removed,
        Refused,
        Published,
        NotPublished,
        Reloaded,
    ];
    for kind in all {
        match kind {
            Login | Logout | Listed | Removed | Refused | Published | NotPublished | Reloaded => {}
        }
    }
    all
}

#[test]
fn the_enumerations_are_the_defined_ones() {
    let interface = Interface::try_from(DEFINITION).unwrap();
    let defined = |name: &str| -> Vec<Value> {
        let ty = interface.custom_types().find(|t| t.name() == name);
        let names = ty.unwrap().as_enum().unwrap().variants();
        names.map(|v| Value::from(v.name().as_str())).collect()
    };
    assert_eq!(json(&event_kinds()), Value::from(defined("EventKind")));
    let levels = <LogLevel as clap::ValueEnum>::value_variants();
    assert_eq!(json(&levels), Value::from(defined("LogLevel")));
}

#[test]
fn the_errors_are_the_defined_ones() {
    let faults = [
        Fault::InterfaceNotFound { interface: text() },
        Fault::MethodNotFound { method: text() },
        Fault::MethodNotImplemented { method: text() },
        Fault::InvalidParameter { parameter: text() },
        Fault::PermissionDenied {},
        Fault::ExpectedMore {},
        Fault::NotAdmitted {
            client: client(),
            reason: text(),
        },
        Fault::NotRevoked { reason: text() },
        Fault::NotKept { reason: text() },
        Fault::NotPublished { reason: text() },
    ];
    let mut defined = BTreeSet::new();
    for text in [SERVICE, DEFINITION] {
        let interface = Interface::try_from(text).unwrap();
        for error in interface.errors() {
            let name = format!("{}.{}", interface.name(), error.name());
            let ours = faults.iter().map(json).find(|f| f["error"] == name);
            let ours = ours.unwrap_or_else(|| panic!("{name} is only defined"));
            fields_fit(&interface, error.fields(), &ours["parameters"], Full)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            defined.insert(name);
        }
    }
    for fault in &faults {
        // A new one does not compile until it is here.
        match fault {
            Fault::InterfaceNotFound { .. }
            | Fault::MethodNotFound { .. }
            | Fault::MethodNotImplemented { .. }
            | Fault::InvalidParameter { .. }
            | Fault::PermissionDenied { .. }
            | Fault::ExpectedMore { .. }
            | Fault::NotAdmitted { .. }
            | Fault::NotRevoked { .. }
            | Fault::NotKept { .. }
            | Fault::NotPublished { .. } => {}
        }
        let name = json(fault)["error"].clone();
        assert!(
            defined.contains(name.as_str().unwrap()),
            "{name} is not defined"
        );
        assert_eq!(
            serde_json::from_value::<Fault>(json(fault)).unwrap(),
            *fault
        );
    }
}

#[test]
fn a_drift_is_found() {
    let interface = Interface::try_from(DEFINITION).unwrap();
    let method = interface.methods().find(|m| m.name() == "GetStatus");
    let check = |answer: &Value, sample| {
        fields_fit(&interface, method.unwrap().outputs(), answer, sample).unwrap_err()
    };
    let mut more = json(&status(Full));
    more["status"]["surprise"] = Value::from(1);
    assert_eq!(
        check(&more, Full),
        "status: Status: surprise is not defined"
    );
    let mut less = json(&status(Full));
    less["status"]["map"]
        .as_object_mut()
        .unwrap()
        .remove("path");
    assert!(check(&less, Full).ends_with("path is only defined"));
    let mut other = json(&status(Full));
    other["status"]["clients"] = Value::from("1");
    assert!(check(&other, Full).ends_with("\"1\" is no Int"));
    let mut null = json(&status(Bare));
    null["status"]["since"] = Value::Null;
    assert!(check(&null, Bare).ends_with("null is no String"));
    let mut never_null = json(&status(Bare));
    never_null["status"]["journalPosition"] = Value::from("text");
    assert!(check(&never_null, Bare).contains("is no Optional"));
}
