//! `org.varlink.service`: what the service tells of itself, so that varlinkctl(1) and whoever else
//! speaks Varlink find their way.

use serde::{Deserialize, Serialize};

use super::Fault;
use super::protocol::Method;

/// The interfaces that the service has, and their definitions.
const INTERFACES: [(&str, &str); 2] = [
    (
        "org.varlink.service",
        include_str!("org.varlink.service.varlink"),
    ),
    (
        "org.pop-before-smtp",
        include_str!("org.pop-before-smtp.varlink"),
    ),
];

/// Asks who answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GetInfo {}

impl Method for GetInfo {
    const NAME: &'static str = "org.varlink.service.GetInfo";
    type Answer = Info;
}

/// Who answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct Info {
    vendor: String,
    product: String,
    version: String,
    url: String,
    interfaces: Vec<String>,
}

/// Asks for the definition of an interface.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GetInterfaceDescription {
    interface: String,
}

impl Method for GetInterfaceDescription {
    const NAME: &'static str = "org.varlink.service.GetInterfaceDescription";
    type Answer = Description;
}

/// The definition of an interface, in the language of
/// <https://varlink.org/Interface-Definition>.
#[derive(Debug, Serialize, Deserialize)]
pub struct Description {
    description: String,
}

/// Who answers.
pub fn info() -> Info {
    Info {
        vendor: "The pop-before-smtp developers".to_owned(),
        product: "pop-before-smtp".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        url: "man:pop-before-smtp(8)".to_owned(),
        interfaces: INTERFACES.map(|(name, _)| name.to_owned()).to_vec(),
    }
}

/// The definition of an interface.
///
/// # Errors
/// When there is none.
pub fn description(asked: GetInterfaceDescription) -> Result<Description, Fault> {
    let known = INTERFACES.iter().find(|(name, _)| *name == asked.interface);
    match known {
        Some((_, description)) => Ok(Description {
            description: (*description).to_owned(),
        }),
        None => Err(Fault::InterfaceNotFound {
            interface: asked.interface,
        }),
    }
}

/// Why a method is not found: its interface is unknown, or has no such method.
pub fn not_found(method: &str, interface: &str) -> Fault {
    if INTERFACES.iter().any(|(name, _)| *name == interface) {
        Fault::MethodNotFound {
            method: method.to_owned(),
        }
    } else {
        Fault::InterfaceNotFound {
            interface: interface.to_owned(),
        }
    }
}
