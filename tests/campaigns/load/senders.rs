//! People who send: many SMTP sessions at once with the live smtpd, one half let in by the map, the other by
//! the policy socket. Whoever may relay for sure must be let in, whoever may not must be refused.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use super::Stage;
use super::lines::{CLIENTS, client};
use crate::clients::{Clients, among_clients};

/// Sessions at once.
pub const SESSIONS: usize = 50;
/// An answer that takes longer says nothing of whoever may relay now.
const PROMPT: Duration = Duration::from_secs(4);
/// So long after a kill, Postfix may have got no answer from the policy socket, and then refuses.
const AWAY: Duration = Duration::from_secs(15);
/// The smtpd that asks the policy socket alone.
const BY_POLICY: u16 = 2525;

/// What the sessions came to.
#[derive(Debug, Default)]
pub struct Answers {
    relayed: AtomicUsize,
    refused: AtomicUsize,
    /// Of those who had to be let in, and of those who had to be refused.
    due: [AtomicUsize; 2],
    /// Refused by the policy while the service was away.
    away: AtomicUsize,
}

/// Sets up the second smtpd.
pub const PREPARE: &str = r"
postconf -e in_flow_delay=0
cat >>/etc/postfix/master.cf <<'END'
2525 inet n - y - - smtpd
  -o { smtpd_relay_restrictions = permit_mynetworks, check_policy_service { unix:pop-before-smtp/policy, default_action=DUNNO, timeout=5s }, reject_unauth_destination }
END
postfix reload
# All addresses of the clients are among the clients, and the way there is known.
ip -n clients route add local 198.18.0.0/15 dev lo
ip -n clients -6 route add local 2001:db8:5::/64 dev lo
ip netns exec clients bash -c 'echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind'
ip route add 198.18.0.0/15 via 192.0.2.10 dev mail
ip -6 route add 2001:db8:5::/64 via 2001:db8::10 dev mail
";

impl Answers {
    fn count(number: &AtomicUsize) {
        number.fetch_add(1, Ordering::Relaxed);
    }

    /// How many had to be let in, and how many to be refused.
    pub fn due(&self) -> [usize; 2] {
        [0, 1].map(|which| self.due[which].load(Ordering::Relaxed))
    }
}

/// One client after the other sends, until all is over.
pub fn send(stage: &Stage, number: usize, mut random: fastrand::Rng) {
    let network = stage.host.clients_network();
    among_clients(&network, |clients| {
        let is_policy = number % 2 == 1;
        while stage.goes_on() {
            session(stage, clients, is_policy, &mut random);
        }
    });
}

fn session(stage: &Stage, clients: &Clients, is_policy: bool, random: &mut fastrand::Rng) {
    let client = {
        let regulars = stage.regulars.lock().unwrap();
        match random.choice(regulars.iter()) {
            Some(regular) if random.bool() => regular.clone(),
            _ => client(random.u32(..CLIENTS)),
        }
    };
    let begun = SystemTime::now();
    let long_ago = begun - stage.pace.bound;
    let (must, may) = {
        let entitled = &stage.server().entitled;
        (
            entitled.is_long(&client, long_ago, begun + PROMPT),
            entitled.is_perhaps(&client, long_ago),
        )
    };
    let port = if is_policy { BY_POLICY } else { 25 };
    let mut line = clients.connect(client.parse().unwrap(), port);
    let mut ask = |what: &str| {
        line.say(what);
        line.reply()
    };
    let mut replies = vec![
        ask(""),
        ask("EHLO client.example.net\r\n"),
        ask("MAIL FROM:<tom@mail.example.org>\r\n"),
    ];
    let answer = ask("RCPT TO:<friend@example.com>\r\n");
    let took = begun.elapsed().unwrap_or_default();
    let answers = &stage.answers;
    match answer.get(..3) {
        Some("250") => {
            Answers::count(&answers.relayed);
            if !may {
                Answers::count(&answers.due[1]);
                // Perhaps since we asked.
                let may = stage.server().entitled.is_perhaps(&client, long_ago);
                if !may {
                    stage.fault(format!("port {port} let in {client}, which may not relay"));
                }
            }
            if random.u8(..10) == 0 {
                replies.push(ask("DATA\r\n"));
                replies.push(ask("Subject: Good morning\r\n\r\nHello.\r\n.\r\n"));
            }
        }
        Some("554") => {
            Answers::count(&answers.refused);
            if must && took < PROMPT {
                if is_policy && stage.was_killed_within(AWAY) {
                    Answers::count(&answers.away);
                } else {
                    let said = answer.trim_end();
                    stage.fault(format!("port {port} to {client}, which may relay: {said}"));
                }
            }
            if !may {
                Answers::count(&answers.due[1]);
            }
        }
        _ => stage.fault(format!("port {port} to {client}: {answer}")),
    }
    if must {
        Answers::count(&answers.due[0]);
    }
    for reply in replies {
        if !reply.starts_with(['2', '3']) {
            stage.fault(format!("port {port} to {client}: {reply}"));
        }
    }
    thread::sleep(Duration::from_millis(random.u64(1000..4000)));
    ask("QUIT\r\n");
}
