//! Whether Postfix asks us, and in time: the restriction lists of each smtpd that takes mail.
//!
//! Looks at nothing but what postconf has shown.

use std::path::{Path, PathBuf};

use super::Installation;
use super::point::{Point, notice, ok, unknown, wrong};
use crate::postfix::configuration::{Configuration, Service};
use crate::postfix::map_type::MapType;
use crate::postfix::policy::SERVER as POLICY;
use crate::postfix::restrictions::{self, End, Policy, Step, Table};

/// Both lists are gone through for each recipient, and what one refuses is refused.
const LISTS: [&str; 2] = ["smtpd_relay_restrictions", "smtpd_recipient_restrictions"];
/// What there is for Postfix to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Offer {
    /// The type of the access map.
    kind: MapType,
    /// The access map, without the extension of its type.
    map: PathBuf,
    /// Whether clients are published in it.
    publishes_map: bool,
    /// The policy socket.
    policy: PathBuf,
    /// Whether it answers OK for them.
    publishes_policy: bool,
}

impl Offer {
    fn table(&self) -> String {
        format!("{}:{}", self.kind, self.map.display())
    }

    /// What a list should hold.
    fn restriction(&self) -> String {
        if self.publishes_map {
            format!("check_client_access {}", self.table())
        } else {
            format!("check_policy_service {POLICY}")
        }
    }
}

/// What a list makes of our clients.
#[derive(Debug, Default)]
struct Heard {
    /// The ways that let them in before the list ends.
    ways: Vec<String>,
    /// Ways that let nobody in, as the service publishes nobody there.
    idle: Vec<String>,
    /// What is wrong with the ways that there are.
    faults: Vec<String>,
    /// What to write instead: keyword, old argument, new one.
    exchanges: Vec<(&'static str, String, String)>,
    end: Option<End>,
}

/// Is the service asked, and in time, by every smtpd that others can connect to?
pub fn restrictions(host: &Installation) -> Option<Vec<Point>> {
    let postfix = host.postfix()?;
    let (Some(map), Some(publish)) = (&host.map, host.publish()) else {
        return Some(vec![unknown(
            "can't be checked without a valid configuration",
        )]);
    };
    let offer = Offer {
        kind: map.kind,
        map: map.path.clone(),
        publishes_map: publish.map,
        policy: host.policy().to_owned(),
        publishes_policy: publish.policy,
    };
    Some(judge(postfix, &offer))
}

fn judge(postfix: &Configuration, offer: &Offer) -> Vec<Point> {
    let services = postfix.services.iter();
    let services = services.filter(|service| service.program == "smtpd" && !service.is_local());
    let judged: Vec<Judged> = services.map(|s| Judged::new(postfix, s, offer)).collect();
    if judged.is_empty() {
        return vec![wrong(
            "master.cf has no smtpd that clients could send to: nothing asks who may relay",
            "# Switch on 'smtp inet ... smtpd' in /etc/postfix/master.cf (master(5)).",
        )];
    }
    let any = judged.iter().any(Judged::asks);
    // Where nobody asks, one has to: the one that other mail servers talk to.
    let is_main = |judged: &Judged| {
        let name = &*judged.service.name;
        matches!(name, "smtp/inet" | "25/inet" | "smtpd/pass")
    };
    let main = judged.iter().position(is_main).unwrap_or(0);
    let points = judged.iter().enumerate();
    points
        .map(|(number, judged)| judged.point(!any && number == main))
        .collect()
}

impl Heard {
    /// A way that lets them in; where it has faults, there is something to write instead.
    fn way(&mut self, way: &str, faults: Vec<String>, instead: (&'static str, &String, String)) {
        if faults.is_empty() {
            self.ways.push(way.to_owned());
        } else {
            let (keyword, old, new) = instead;
            self.exchanges.push((keyword, old.clone(), new));
        }
        self.faults.extend(faults);
    }
}

struct Judged<'a> {
    postfix: &'a Configuration,
    service: &'a Service,
    offer: &'a Offer,
    lists: Vec<(&'static str, Heard)>,
}

impl<'a> Judged<'a> {
    fn new(postfix: &'a Configuration, service: &'a Service, offer: &'a Offer) -> Self {
        let lists = LISTS.map(|name| {
            let list = postfix.value_for(service, name);
            (name, hear(postfix, service, offer, list))
        });
        Judged {
            postfix,
            service,
            offer,
            lists: lists.into(),
        }
    }

    /// The lists that refuse mail to elsewhere.
    fn refusing(&self) -> impl Iterator<Item = &(&'static str, Heard)> {
        (self.lists.iter()).filter(|(_, heard)| heard.end == Some(End::Refuses))
    }

    /// Whether it asks us anywhere, rightly or not.
    fn asks(&self) -> bool {
        let asks = |heard: &Heard| heard.ways.len() + heard.faults.len() + heard.idle.len() > 0;
        self.lists.iter().any(|(_, heard)| asks(heard))
    }

    fn point(&self, has_to: bool) -> Point {
        let name = &self.service.name;
        if self.refusing().next().is_none() {
            let [relay, recipient] = LISTS;
            return wrong(
                format!(
                    "{name}: neither {relay} nor {recipient} refuses mail to elsewhere: everybody \
                     may relay, or Postfix does not start; logins make no difference"
                ),
                format!(
                    "postconf -e '{relay} = permit_mynetworks, permit_sasl_authenticated, {}, \
                     reject_unauth_destination'\npostfix reload",
                    self.offer.restriction()
                ),
            );
        }
        let faults = self.lists.iter().flat_map(|(_, heard)| &heard.faults);
        let faults: Vec<String> = faults.cloned().collect();
        let deaf = self.refusing().filter(|(_, heard)| heard.ways.is_empty());
        let deaf: Vec<String> = deaf
            .map(|(list, heard)| self.deafness(list, heard))
            .collect();
        if faults.is_empty() && deaf.is_empty() {
            let ways = self.refusing();
            let ways = ways.map(|(list, heard)| format!("{} in {list}", heard.ways.join(" and ")));
            return ok(format!(
                "{name}: {}, before mail to elsewhere is refused",
                ways.collect::<Vec<_>>().join("; ")
            ));
        }
        if !self.asks() && !has_to {
            return notice(format!(
                "{name}: does not ask this service; its clients need another permission"
            ));
        }
        let asks_rightly = self.lists.iter().any(|(_, heard)| !heard.ways.is_empty());
        let said = match faults.is_empty() || asks_rightly {
            true => [faults, deaf].concat(),
            false => faults,
        };
        wrong(format!("{name}: {}", said.join("; ")), self.mend())
    }

    /// Why a list does not hear of our clients.
    fn deafness(&self, list: &str, heard: &Heard) -> String {
        if !heard.idle.is_empty() {
            return format!("in {list}, {}", heard.idle.join("; "));
        }
        let value = self.postfix.value_for(self.service, list);
        let late = [self.offer.table(), "pop-before-smtp/policy".to_owned()];
        match late.iter().find(|text| value.contains(text.as_str())) {
            Some(text) => format!(
                "in {list}, {text} comes after what refuses mail to elsewhere, and is never asked"
            ),
            None => format!("{list} refuses mail to elsewhere without asking this service first"),
        }
    }

    /// The commands that put the lists right.
    fn mend(&self) -> String {
        let mut commands = Vec::new();
        for (list, heard) in &self.lists {
            let setting = self.postfix.setting(self.service, list);
            let expanded = self.postfix.value_for(self.service, list);
            let deaf = heard.ways.is_empty() && heard.end == Some(End::Refuses);
            if !deaf && heard.exchanges.is_empty() {
                continue;
            }
            let new = self.put_right(&setting.raw, heard);
            let new = new.or_else(|| self.put_right(expanded, heard));
            commands.extend(new.map(|new| setting.command(&new)));
        }
        commands.push("postfix reload".to_owned());
        commands.join("\n")
    }

    /// The list as it should be; `None` where it holds nothing that could be changed.
    fn put_right(&self, list: &str, heard: &Heard) -> Option<String> {
        let mut new = list.to_owned();
        for (keyword, old, exchange) in &heard.exchanges {
            new = restrictions::exchanged(&new, keyword, old, exchange)?;
        }
        let steps = restrictions::steps(&new, &|name| self.postfix.class(name));
        let hears_now = steps.iter().any(|step| match step {
            Step::Table(table) => self.offer.publishes_map && table.text == self.offer.table(),
            Step::Policy(policy) => self.offer.publishes_policy && is_ours(policy, self.offer),
            Step::End(_) => false,
        });
        if heard.end == Some(End::Refuses) && heard.ways.is_empty() && !hears_now {
            new = restrictions::without(&new, "check_client_access", &self.offer.table());
            new = restrictions::with(&new, &self.offer.restriction())?;
        }
        (new != list).then_some(new)
    }
}

/// Goes through a list.
fn hear(postfix: &Configuration, service: &Service, offer: &Offer, list: &str) -> Heard {
    let mut heard = Heard::default();
    for step in restrictions::steps(list, &|name| postfix.class(name)) {
        match step {
            Step::Table(table) => hear_table(offer, &table, &mut heard),
            Step::Policy(policy) if is_ours(&policy, offer) => {
                hear_policy(postfix, service, offer, &policy, &mut heard);
            }
            Step::Policy(_) => {}
            Step::End(end) => heard.end = Some(end),
        }
    }
    heard
}

fn hear_table(offer: &Offer, table: &Table, heard: &mut Heard) {
    let ours = offer.map.to_string_lossy();
    let index = offer.kind.index(&offer.map);
    let is_index = Path::new(&table.name) == index;
    if table.name != ours && !is_index {
        return;
    }
    if !offer.publishes_map {
        heard.idle.push(format!(
            "{} lists nobody, as publish in the configuration does not include \"map\"",
            table.text
        ));
        return;
    }
    let mut faults = Vec::new();
    if is_index {
        faults.push(format!(
            "{}: main.cf names a map without the extension of its type",
            table.text
        ));
    }
    if table.kind != offer.kind.name() {
        faults.push(format!(
            "{}: the service makes a map of type {}; where there is none of this type, Postfix defers \
             all mail, and in an old one it finds nobody",
            table.text, offer.kind
        ));
    }
    if table.proxied {
        faults.push(format!(
            "{}: proxymap(8) keeps using an old map for minutes, so clients are listed late and \
             stay too long",
            table.text
        ));
    }
    let exchange = ("check_client_access", &table.text, offer.table());
    heard.way(&table.text, faults, exchange);
}

/// Whether it asks our socket, by whatever path.
fn is_ours(policy: &Policy, offer: &Offer) -> bool {
    let Some(path) = policy.server.strip_prefix("unix:") else {
        return false;
    };
    Path::new(path) == offer.policy || path.ends_with("pop-before-smtp/policy")
}

fn hear_policy(
    postfix: &Configuration,
    service: &Service,
    offer: &Offer,
    policy: &Policy,
    heard: &mut Heard,
) {
    let server = &policy.server;
    let path = server.strip_prefix("unix:").unwrap_or(server);
    let queue = postfix.value("queue_directory");
    let mut faults = Vec::new();
    if !offer.publishes_policy {
        heard.idle.push(format!(
            "{server} never says OK, as publish in the configuration does not include \"policy\""
        ));
        return;
    }
    if path.starts_with('/') && service.chrooted {
        faults.push(format!(
            "{server}: a chrooted smtpd can't reach it by this path; from {queue}, where smtpd \
             always works, it is unix:pop-before-smtp/policy"
        ));
    } else if Path::new(queue).join(path) != offer.policy {
        faults.push(format!(
            "{server}: the service's socket is {}",
            offer.policy.display()
        ));
    }
    let default = (policy.default_action.as_deref())
        .unwrap_or(postfix.value_for(service, "smtpd_policy_service_default_action"));
    if !default.trim().eq_ignore_ascii_case("DUNNO") {
        faults.push(format!(
            "{server}: without default_action=DUNNO, all mail is deferred when the service does \
             not answer ({default})"
        ));
    }
    let right = match Path::new(queue).join("pop-before-smtp/policy") == offer.policy {
        true => POLICY.to_owned(),
        false => POLICY.replace("pop-before-smtp/policy", &offer.policy.to_string_lossy()),
    };
    heard.way(
        server,
        faults,
        ("check_policy_service", &policy.text, right),
    );
}

#[cfg(test)]
mod tests;
