//! What a program and its children have done to the files below a directory, in the words of strace(1).
//! Must leave out nothing that changes a file: a call that is not understood fails the campaign.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// What was done to a file or to a directory.
#[derive(Clone, Debug)]
pub enum Act {
    /// It was made, if it was not there.
    Make(PathBuf),
    MakeDirectory(PathBuf),
    Write(PathBuf, u64, Vec<u8>),
    Truncate(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    /// It was forced to the disk: a file's content, or a directory's names.
    Sync(PathBuf),
}

/// The calls that change files, and those that say where the next change is.
const CALLS: &str = "openat,creat,write,writev,pwrite64,pwritev,pwritev2,lseek,ftruncate,truncate,\
    fallocate,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat,symlink,\
    symlinkat,fsync,fdatasync,copy_file_range,sendfile,msync";

/// strace, which will record what the program that it starts does.
pub fn strace(to: &Path, program: Command) -> Command {
    let mut strace = Command::new("strace");
    strace
        .args([
            "--follow-forks",
            "--decode-fds=path",
            "--quiet=attach,personality,thread-execve",
            "--strings-in-hex=all",
            // The program is the one that is started; strace is beside it.
            "--daemonize",
        ])
        .args(["--string-limit=33554432", "--seccomp-bpf"])
        .arg(format!("--trace={CALLS}"))
        .arg("--output")
        .arg(to)
        .arg(program.get_program());
    strace
}

/// Reads what strace has recorded below this directory, when the program has ended; paths are those below
/// it.
pub fn read(log: &Path, below: &Path) -> Vec<Act> {
    let begin = Instant::now();
    let text = loop {
        let text = fs::read_to_string(log).unwrap();
        let first = text.split(' ').next().unwrap_or_default();
        // "PID +++ exited with 0 +++"; a short number has two spaces after it.
        let is_end = |line: &str| line.split_whitespace().take(2).eq([first, "+++"]);
        if text.lines().any(is_end) {
            break text;
        }
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "{} has no end: {:.300}",
            log.display(),
            text.lines().last().unwrap_or_default()
        );
        std::thread::sleep(Duration::from_millis(50));
    };
    let mut begun: HashMap<&str, String> = HashMap::new();
    let mut reader = Reader {
        below: below.to_owned(),
        acts: Vec::new(),
        offsets: HashMap::new(),
    };
    for line in text.lines() {
        let (process, rest) = line.split_once(' ').unwrap();
        let rest = rest.trim_start();
        if let Some(beginning) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(process, beginning.to_owned());
        } else if let Some(resumed) = rest.strip_prefix("<... ") {
            let (_, end) = resumed.split_once("resumed>").unwrap();
            let beginning = begun.remove(process).unwrap_or_default();
            reader.call(&format!("{beginning}{end}"));
        } else {
            reader.call(rest);
        }
    }
    reader.acts
}

struct Reader {
    below: PathBuf,
    acts: Vec<Act>,
    /// Where the next write(2) goes, by the process's file descriptor and its path.
    offsets: HashMap<String, u64>,
}

impl Reader {
    /// `name(arguments) = result`.
    fn call(&mut self, line: &str) {
        let Some((name, rest)) = line.split_once('(') else {
            return;
        };
        let Some((arguments, result)) = rest.rsplit_once(" = ") else {
            return;
        };
        let arguments = arguments.trim_end().trim_end_matches(')');
        if result.starts_with(['-', '?']) {
            return;
        }
        let arguments: Vec<&str> = arguments.split(", ").collect();
        let number = |text: &str| {
            text.split(['<', ' '])
                .next()
                .unwrap()
                .parse::<u64>()
                .unwrap()
        };
        let acts: Vec<Option<Act>> = match (name, arguments.as_slice()) {
            ("openat", [_, _, flags, ..]) => {
                let Some(path) = self.of_descriptor(result) else {
                    return;
                };
                self.offsets.insert(result.to_owned(), 0);
                let made = flags.contains("O_CREAT").then(|| Act::Make(path.clone()));
                let emptied = flags.contains("O_TRUNC").then_some(Act::Truncate(path, 0));
                assert!(!flags.contains("O_APPEND"), "{line}");
                vec![made, emptied]
            }
            ("write", [to, data, _]) => {
                let Some(path) = self.of_descriptor(to) else {
                    return;
                };
                let data = bytes(data);
                let offset = self.offsets.entry((*to).to_owned()).or_default();
                let at = *offset;
                *offset += number(result);
                vec![Some(Act::Write(
                    path,
                    at,
                    data[..number(result) as usize].to_vec(),
                ))]
            }
            ("lseek", [to, ..]) => {
                self.offsets.insert((*to).to_owned(), number(result));
                return;
            }
            ("pwrite64", [to, data, _, offset]) => {
                let data = bytes(data)[..number(result) as usize].to_vec();
                let path = self.of_descriptor(to);
                vec![path.map(|path| Act::Write(path, number(offset), data))]
            }
            ("ftruncate", [to, length]) => {
                vec![
                    self.of_descriptor(to)
                        .map(|path| Act::Truncate(path, number(length))),
                ]
            }
            ("fsync" | "fdatasync", [to]) => vec![self.of_descriptor(to).map(Act::Sync)],
            ("rename", [from, to]) | ("renameat" | "renameat2", [_, from, _, to, ..]) => {
                let (from, to) = (self.of_name(from), self.of_name(to));
                vec![from.zip(to).map(|(from, to)| Act::Rename(from, to))]
            }
            ("unlink" | "rmdir", [path]) | ("unlinkat", [_, path, _]) => {
                vec![self.of_name(path).map(Act::Remove)]
            }
            ("mkdir", [path, _]) | ("mkdirat", [_, path, _]) => {
                vec![self.of_name(path).map(Act::MakeDirectory)]
            }
            _ => {
                let below: String = hex(self.below.to_str().unwrap());
                assert!(!line.contains(&below), "not understood: {line:.300}");
                return;
            }
        };
        self.acts.extend(acts.into_iter().flatten());
    }

    /// `7<\x2f…>`, where it is below the directory.
    fn of_descriptor(&self, text: &str) -> Option<PathBuf> {
        let (_, path) = text.split_once('<')?;
        self.below(&path[..path.rfind('>')?])
    }

    /// `"\x2f…"`, a whole path.
    fn of_name(&self, text: &str) -> Option<PathBuf> {
        self.below(text.trim_matches('"'))
    }

    fn below(&self, path: &str) -> Option<PathBuf> {
        let path = PathBuf::from(String::from_utf8(bytes(path)).unwrap());
        path.strip_prefix(&self.below).ok().map(Path::to_owned)
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
}

/// `"\x2f\x76"`, with or without its quotes.
fn bytes(text: &str) -> Vec<u8> {
    let digits = text.trim_matches('"').split("\\x").skip(1);
    let byte = |digits| u8::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("{text:.300}"));
    digits.map(byte).collect()
}
