//! The whole program beside others, in one run, on one machine: prints a table of what was measured,
//! by what else, and whether the goals hold. `benches/run` installs what this needs and starts it.

#[path = "../journal/mod.rs"]
mod journal;
#[path = "../../tests/journal_files/mod.rs"]
mod journal_files;
#[path = "../load/mod.rs"]
mod load;

// The laboratory of the system tests: a booted host, and the service on it.
#[allow(dead_code, reason = "the tests use what is left")]
#[path = "../../tests/system/host.rs"]
mod host;
#[allow(dead_code, reason = "likewise")]
#[path = "../../tests/system/image.rs"]
mod image;
#[allow(dead_code, reason = "likewise")]
#[path = "../../tests/system/joined.rs"]
mod joined;
#[allow(dead_code, reason = "likewise")]
#[path = "../../tests/system/service.rs"]
mod service;

mod catch_up;
mod clients;
mod crowd;
mod decisions;
mod follower;
mod instructions;
mod live;
mod memory;
mod process;
mod show;
mod stores;
mod table;

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::thread;
use std::time::Instant;

use clap::Parser;
use jiff::Timestamp;

use journal::{Contents, SPAN};
use journal_files::JournalFiles;
use table::Row;

/// Measures one thing.
type Measure = fn(&Bench) -> Vec<Row>;

/// The rows, by the names that select them.
const ROWS: [(&str, Measure); 15] = [
    ("catch-up", catch_up::against_journalctl),
    ("fail2ban", catch_up::against_fail2ban),
    ("others", catch_up::among_others),
    ("test", show::test),
    ("policy", live::to_the_policy),
    ("map", live::to_the_map),
    ("publishing", live::publishing),
    ("decisions", decisions::decisions),
    ("crowd", crowd::crowd),
    ("memory", memory::anonymous),
    ("start", memory::start),
    ("both-ways", stores::both_ways),
    ("stores", stores::caught_up_at_once),
    ("idle", stores::idle),
    ("instructions", instructions::instructions),
];

/// Measures the whole program, and prints a table.
#[derive(Debug, Parser)]
pub struct Options {
    /// Only these rows.
    #[arg(value_parser = ROWS.map(|(name, _)| name))]
    rows: Vec<String>,
    /// Small sizes, one run: only that every row can be measured, whatever it says.
    #[arg(long)]
    quick: bool,
    /// How often each is measured; the median counts.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Where Debian's packages fail2ban and python3-systemd are unpacked.
    #[arg(long)]
    fail2ban: Option<PathBuf>,
    /// Write the instructions down in benches/instructions.toml.
    #[arg(long)]
    write: bool,
    /// The part of "instructions" that is counted: take entries from this journal to a store.
    #[arg(long, hide = true, requires = "entries")]
    commit: Option<PathBuf>,
    /// How many.
    #[arg(long, hide = true)]
    entries: Option<usize>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What the rows share.
pub struct Bench {
    options: Options,
    made: RefCell<Vec<(Contents, Rc<JournalFiles>)>>,
}

impl Bench {
    /// A journal with these contents, made now if there is none.
    fn journal(&self, contents: Contents) -> Rc<JournalFiles> {
        self.journals(&[contents]).remove(0)
    }

    /// Several, made side by side.
    fn journals(&self, wanted: &[Contents]) -> Vec<Rc<JournalFiles>> {
        let mut made = self.made.borrow_mut();
        let missing: Vec<Contents> = wanted
            .iter()
            .copied()
            .filter(|contents| made.iter().all(|(known, _)| known != contents))
            .collect();
        let begin = Timestamp::now() - SPAN;
        let new: Vec<JournalFiles> = thread::scope(|scope| {
            let threads: Vec<_> = missing
                .iter()
                .map(|contents| scope.spawn(move || import(*contents, begin)))
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        made.extend(missing.into_iter().zip(new.into_iter().map(Rc::new)));
        let find = |contents| made.iter().find(|(known, _)| known == contents).unwrap();
        wanted
            .iter()
            .map(|contents| find(contents).1.clone())
            .collect()
    }
}

fn import(contents: Contents, begin: Timestamp) -> JournalFiles {
    let files = JournalFiles::none();
    files.add_written("mail.journal", |to| contents.export(begin, SPAN, to));
    files
}

fn main() {
    let mut options = Options::parse();
    if let (Some(journal), Some(entries)) = (&options.commit, options.entries) {
        return instructions::commit(journal.clone(), entries);
    }
    let Some(_) = options.fail2ban else {
        // By a plain `cargo bench`.
        println!("the whole program is measured by benches/run, as root");
        return;
    };
    if options.quick {
        options.runs = 1;
    }
    let selected = |name: &str| options.rows.is_empty() || options.rows.iter().any(|r| r == name);
    let selected = ROWS.map(|(name, _)| selected(name));
    let bench = Bench {
        options,
        made: RefCell::default(),
    };
    let start = Instant::now();
    let mut rows = Vec::new();
    for ((name, measure), _) in ROWS.iter().zip(selected).filter(|(_, wanted)| *wanted) {
        eprintln!("{name} ({} s)", start.elapsed().as_secs());
        let mut measured = measure(&bench);
        if bench.options.quick {
            // Small sizes and a program that is not optimised say nothing of the goals.
            measured.iter_mut().for_each(|row| row.holds = None);
        }
        measured.iter().for_each(|row| eprintln!("  {row:?}"));
        rows.extend(measured);
    }
    table::print(&rows);
}
