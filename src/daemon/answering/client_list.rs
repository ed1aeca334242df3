//! Who is listed, told a page at a time: the loop has other things to do as well.

use crate::client::Client;
use crate::control::Page;
use crate::control::protocol::{ClientInfo, Filter};
use crate::diagnostics::SourceNames;
use crate::whitelist::{Listed, Whitelist};

/// How many clients are looked at for one page.
const LOOKED_AT: usize = 1000;
/// How many clients a page has, at most.
const PAGE: usize = 100;

/// What is told of clients.
#[derive(Debug, Clone, Copy)]
pub struct ClientList<'a> {
    /// Who is listed.
    pub whitelist: &'a Whitelist,
    /// What the sources are called that tell of their logins.
    pub sources: &'a SourceNames,
}

impl ClientList<'_> {
    /// The clients behind `after` that `filter` selects, some of them.
    pub fn page(self, filter: &Filter, after: Option<Client>) -> Page {
        let selects = |listed: &Listed<'_>| {
            let source = self.source_of(listed);
            filter.selects(listed.client, listed.user(), listed.server(), source)
        };
        let mut page = Page::default();
        if let Some(client) = filter.client {
            let found = self.whitelist.listed(client).filter(selects);
            page.clients.extend(found.map(|listed| self.info(&listed)));
            return page;
        }
        for (looked_at, listed) in self.whitelist.listed_after(after).enumerate() {
            if looked_at == LOOKED_AT || page.clients.len() == PAGE {
                return page;
            }
            if selects(&listed) {
                page.clients.push(self.info(&listed));
            }
            page.last = Some(listed.client);
        }
        page.last = None;
        page
    }

    /// What is told of a listed client.
    pub fn info(self, listed: &Listed<'_>) -> ClientInfo {
        ClientInfo {
            client: listed.client,
            user: listed.user().map(str::to_owned),
            server: listed.server().to_owned(),
            since: listed.since(),
            last_login: listed.login.as_ref().map(|login| login.last_login),
            until: self.whitelist.listed_until(listed),
            sessions: listed.sessions(),
            source: self.source_of(listed).map(str::to_owned),
        }
    }

    /// The source that tells of its last login, where there are several.
    fn source_of(&self, listed: &Listed<'_>) -> Option<&str> {
        self.sources.name(listed.login.as_ref()?.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::event::{Event, EventKind};
    use crate::networks::Networks;
    use crate::origin::Origin;
    use crate::whitelist::Rules;
    use jiff::{SignedDuration, Timestamp};

    fn whitelist(clients: u32) -> Whitelist {
        let rules = Rules {
            grace: SignedDuration::from_mins(30),
            max_session: SignedDuration::from_hours(24),
            limits: Limits::NONE,
            permitted: Networks::default(),
            never: Networks::default(),
        };
        let mut whitelist = Whitelist::new(rules);
        let now = Timestamp::now();
        for n in 0..clients {
            let address = std::net::Ipv4Addr::from(0xC612_0000 + n);
            let event = Event::new(
                now,
                Origin::OF_LINES,
                "dovecot",
                EventKind::Login {
                    client: std::net::IpAddr::from(address).into(),
                    user: Some(format!("user{}", n % 1000)),
                    session: None,
                },
            );
            whitelist.apply(&event, now);
        }
        whitelist
    }

    /// All pages, as a peer's task asks for them.
    fn pages(whitelist: &Whitelist, filter: &Filter) -> Vec<Page> {
        let sources = &SourceNames::default();
        let list = ClientList { whitelist, sources };
        let mut pages = Vec::new();
        let mut after = None;
        loop {
            let next = list.page(filter, after);
            after = next.last;
            pages.push(next);
            if after.is_none() {
                return pages;
            }
        }
    }

    #[test]
    fn pages_show_each_client_once_and_in_order() {
        for number in [0, 1, 99, 100, 101, 3456] {
            let whitelist = whitelist(number);
            let pages = pages(&whitelist, &Filter::default());
            assert!(pages.iter().all(|page| page.clients.len() <= PAGE));
            let shown = pages.iter().flat_map(|page| &page.clients);
            let shown: Vec<Client> = shown.map(|info| info.client).collect();
            let all: Vec<Client> = whitelist.listed_after(None).map(|l| l.client).collect();
            assert_eq!(shown, all);
        }
    }

    #[test]
    fn a_rare_client_is_looked_for_in_steps() {
        let whitelist = whitelist(5000);
        let filter = Filter {
            user: Some("user7".to_owned()),
            ..Filter::default()
        };
        let found = pages(&whitelist, &filter);
        // Each looks at a thousand, and no more.
        assert_eq!(found.len(), 5000 / LOOKED_AT);
        assert_eq!(
            found.iter().map(|page| page.clients.len()).sum::<usize>(),
            5
        );
        let one = Filter {
            client: Some("198.18.0.7".parse().unwrap()),
            ..Filter::default()
        };
        assert_eq!(pages(&whitelist, &one).len(), 1);
        let of_another = Filter {
            user: Some("user8".to_owned()),
            ..one
        };
        assert!(pages(&whitelist, &of_another)[0].clients.is_empty());
    }
}
