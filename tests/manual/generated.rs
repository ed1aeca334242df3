//! The manual pages and the shell completions, made from the one definition of the command line and
//! from the configuration file that is shipped, and kept in `packaging/`.
//!
//! What a program can't know is prose: a file `src/cli/manual/prose/PAGE`, in man(7) macros, is added to the
//! page of that name.

mod configuration;
mod page;
mod text;
mod values;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap_complete::Shell;
use pop_before_smtp::cli::command_line;

/// Set, the files are written, not compared: that is what packaging/update-manual does.
const WRITE: &str = "POP_BEFORE_SMTP_UPDATE_MANUAL";
/// The release that the pages describe, in whose heading the date of the pages is.
const CHANGELOG: &str = include_str!("../../CHANGELOG.md");

/// The date of the newest release: that of the day on which a page was made would make it stale.
fn date() -> &'static str {
    let release = CHANGELOG.lines().find(|line| line.starts_with("## [2"));
    release.and_then(|line| line.rsplit(' ').next()).unwrap()
}

/// Where a file of the source tree is.
fn tree(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Prose for a page (`pop-before-smtp.8`), if there is any.
fn prose(page: &str) -> String {
    fs::read_to_string(tree("src/cli/manual/prose").join(page)).unwrap_or_default()
}

fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command_line(), "pop-before-smtp", &mut script);
    // clap_complete 4.6.11 writes a program's name with hyphens in two ways, so that in bash nothing
    // is offered after a command.
    let script = String::from_utf8(script)
        .unwrap()
        .replace("pop__subcmd__before__subcmd__smtp__", "pop__before__smtp__");
    values::asking(shell, &script)
}

/// Every file that is generated, by its path in the source tree.
fn generated() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for (name, shell) in [
        ("pop-before-smtp.bash", Shell::Bash),
        ("_pop-before-smtp", Shell::Zsh),
        ("pop-before-smtp.fish", Shell::Fish),
    ] {
        files.insert(format!("packaging/completions/{name}"), completions(shell));
    }
    // As it is when it parses.
    let mut command = command_line().disable_help_subcommand(true);
    command.build();
    let below = |command: &'_ clap::Command| {
        let commands = command.get_subcommands().filter(|c| !c.is_hide_set());
        commands.cloned().collect::<Vec<_>>()
    };
    let commands = below(&command);
    let of_commands = commands.iter().flat_map(below);
    for command in of_commands.chain(commands.clone()).chain([command.clone()]) {
        let page = format!(
            "{}.8",
            command.get_display_name().unwrap_or("pop-before-smtp")
        );
        let text = page::page(&command, &prose(&page), date());
        files.insert(format!("packaging/man/{page}"), text);
    }
    let page = "pop-before-smtp.toml.5";
    let text = configuration::page(&prose(page), date());
    files.insert(format!("packaging/man/{page}"), text);
    files
}

/// The files of these directories that somebody may have generated.
fn kept() -> Vec<String> {
    let mut kept = Vec::new();
    for directory in ["packaging/man", "packaging/completions"] {
        for file in fs::read_dir(tree(directory)).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            // The one page that is written by hand.
            if name != "pop-before-smtp-servers.5" {
                kept.push(format!("{directory}/{name}"));
            }
        }
    }
    kept
}

#[test]
fn pages_and_completions_are_those_of_the_command_line() {
    let generated = generated();
    let write = std::env::var_os(WRITE).is_some();
    let mut stale = Vec::new();
    for (path, text) in &generated {
        if fs::read_to_string(tree(path)).ok().as_ref() != Some(text) {
            stale.push(path.clone());
            if write {
                fs::write(tree(path), text).unwrap();
            }
        }
    }
    for path in kept() {
        if !generated.contains_key(&path) {
            if write {
                fs::remove_file(tree(&path)).unwrap();
            }
            stale.push(path);
        }
    }
    assert!(
        write || stale.is_empty(),
        "stale: {}. Run packaging/update-manual and commit what it writes",
        stale.join(", ")
    );
}

#[test]
fn the_manual_lists_every_exit_status() {
    let help = command_line().get_after_help().unwrap().to_string();
    let (_, help) = help.split_once("Exit status:").unwrap();
    let help = help.split(|c: char| !c.is_ascii_digit());
    let said: Vec<&str> = help.filter(|number| !number.is_empty()).collect();
    let prose = prose("pop-before-smtp.8");
    let chapter = prose
        .split(".SH ")
        .find(|chapter| chapter.starts_with("EXIT STATUS"));
    let lines = chapter.unwrap().lines();
    let listed: Vec<&str> = lines.filter_map(|line| line.strip_prefix(".B ")).collect();
    assert_eq!(listed, said);
}

#[test]
fn prose_belongs_to_a_page() {
    let generated = generated();
    for file in fs::read_dir(tree("src/cli/manual/prose")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(
            generated.contains_key(&format!("packaging/man/{name}")),
            "there is no page for src/cli/manual/prose/{name}"
        );
    }
}
