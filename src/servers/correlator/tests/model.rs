//! The correlator against a model that keeps no state: it looks back through all the lines there were.

use super::*;

use proptest::prelude::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Connect(u8),
    Login,
    Failure,
    Logout,
    Start,
    /// A line that is cut.
    Half,
    /// What no definition knows.
    Other,
}

#[derive(Debug, Clone, Copy)]
struct Line {
    pid: u32,
    time: i64,
    says: Says,
}

impl Says {
    fn text(self) -> String {
        match self {
            Says::Connect(client) => format!("Session from 192.0.2.{client}"),
            Says::Login => "Authentication passed for al".to_owned(),
            Says::Failure => "Authentication failed for al".to_owned(),
            Says::Logout => "Premature disconnect".to_owned(),
            Says::Start => "Ready".to_owned(),
            Says::Half => format!("Authentication failed for {:a<60}", ""),
            Says::Other => "hello".to_owned(),
        }
    }
}

/// What came before a line, the latest first.
struct Before<'a>(&'a [Line]);

impl Before<'_> {
    /// Whether a line counts for nothing: its process had been cut short before it, or it is cut itself.
    fn is_half(&self, number: usize) -> bool {
        let line = self.0[number];
        let of_process = self.0[..number]
            .iter()
            .rev()
            .find(|other| other.pid == line.pid);
        line.says == Says::Half || of_process.is_some_and(|last| last.says == Says::Half)
    }

    /// What the process of the line of this number has said since the server started.
    fn said(&self, number: usize) -> impl Iterator<Item = (usize, Line)> {
        let pid = self.0[number].pid;
        let counts = |(at, line): (usize, &Line)| {
            (!self.is_half(at) && line.says != Says::Other).then_some((at, *line))
        };
        (0..number)
            .rev()
            .filter_map(move |at| counts((at, &self.0[at])))
            .take_while(|(_, line)| line.says != Says::Start)
            .filter(move |(_, line)| line.pid == pid)
    }

    /// The client that a login is of: the one that its process has just greeted.
    fn client(&self, number: usize) -> Option<u8> {
        let time = self.0[number].time;
        match self.said(number).next()?.1 {
            Line {
                says: Says::Connect(client),
                time: since,
                ..
            } if (time - since).abs() <= CONNECT_LIFETIME.as_secs() => Some(client),
            _ => None,
        }
    }

    /// Whether the process serves a session: it has let somebody in, and nothing has ended that since.
    fn serves(&self, number: usize) -> bool {
        self.said(number)
            // A login of nobody says nothing.
            .find(|(at, line)| line.says != Says::Login || self.client(*at).is_some())
            .is_some_and(|(_, line)| line.says == Says::Login)
    }

    /// What the line of this number comes to.
    fn event(&self, number: usize, unknown: Unknown) -> Option<EventKind> {
        if self.is_half(number) {
            return None;
        }
        let pid = self.0[number].pid.to_string();
        match self.0[number].says {
            Says::Login => login(&format!("192.0.2.{}", self.client(number)?), "al", &pid),
            Says::Connect(_) | Says::Failure => self.serves(number).then(|| logout(&pid)).flatten(),
            Says::Logout if self.serves(number) || unknown == Unknown::PassOn => logout(&pid),
            Says::Start => Some(EventKind::Start),
            Says::Logout | Says::Half | Says::Other => None,
        }
    }
}

/// What a process says, and how much later than what was said before; a clock may be set back.
fn line() -> impl Strategy<Value = (u32, i64, Says)> {
    let says = prop_oneof![
        4 => (1..4u8).prop_map(Says::Connect),
        4 => Just(Says::Login),
        1 => Just(Says::Failure),
        2 => Just(Says::Logout),
        1 => Just(Says::Half),
        1 => Just(Says::Other),
        1 => Just(Says::Start),
    ];
    let lifetime = CONNECT_LIFETIME.as_secs();
    let later = prop_oneof![
        6 => 0..30i64,
        1 => Just(lifetime),
        1 => Just(lifetime + 1),
        1 => -2 * lifetime..0,
    ];
    (1..4u32, later, says)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn lines_are_tied_as_the_model_says(
        said in prop::collection::vec(line(), 1..60),
        passes_on in any::<bool>(),
    ) {
        let unknown = if passes_on { Unknown::PassOn } else { Unknown::Drop };
        let mut lines = Lines::new(POPA3D, unknown);
        let mut all: Vec<Line> = Vec::new();
        let mut was_set_back = false;
        for (pid, later, says) in said {
            lines.now += later;
            all.push(Line { pid, time: lines.now, says });
            was_set_back |= later < 0;
            let expected = Before(&all).event(all.len() - 1, unknown);
            let told = lines.says(pid, &says.text());
            if was_set_back && says == Says::Login && told.is_none() && expected.is_some() {
                // By the time of a line between, the connect was too old.
                return Ok(());
            }
            prop_assert_eq!(told, expected);
        }
    }
}
