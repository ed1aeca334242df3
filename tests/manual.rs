//! The manual pages, the completions and the message catalogue by the programs that read them: man,
//! mandoc, lexgrog, the shells, journalctl. They are made by `generated`, but for the catalogue, which
//! is written by hand.

#[path = "manual/catalogue.rs"]
mod catalogue;
#[path = "manual/generated.rs"]
mod generated;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The pages, by their paths.
fn pages() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/man");
    let files = fs::read_dir(directory).unwrap();
    let mut pages: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    pages.sort();
    assert!(pages.len() > 10, "{pages:?}");
    pages
}

/// Runs a program that tests/run installs.
fn run(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C.UTF-8");
    let output = command.output();
    output.unwrap_or_else(|error| panic!("can't run {program}, which tests/run installs: {error}"))
}

fn told(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn mandoc_finds_nothing_to_complain_of() {
    for page in pages() {
        let page = page.to_str().unwrap();
        let output = run("mandoc", &["-T", "lint", "-W", "warning", page]);
        assert!(output.status.success(), "{page}: {:?}", told(&output));
    }
}

#[test]
fn man_shows_every_page_without_a_warning() {
    for page in pages() {
        let page = page.to_str().unwrap();
        let output = run("man", &["--warnings", "--local-file", "-Tutf8", page]);
        let (shown, complaints) = told(&output);
        assert_eq!(
            (output.status.code(), complaints.as_str()),
            (Some(0), ""),
            "{page}"
        );
        assert!(!shown.is_empty(), "{page}");
    }
}

#[test]
fn whatis_finds_every_page() {
    for page in pages() {
        let name = page.file_stem().unwrap().to_str().unwrap();
        let (shown, _) = told(&run("lexgrog", &[page.to_str().unwrap()]));
        assert!(shown.contains(&format!(": \"{name} - ")), "{name}: {shown}");
    }
}

/// What a shell offers when `words` have been typed.
fn offered(shell: &str, script: &str) -> String {
    let output = run(shell, &["-c", script]);
    let (shown, complaints) = told(&output);
    assert_eq!(complaints, "", "{shell}: {script}");
    shown
}

#[test]
fn bash_completes() {
    let script = "\
        source packaging/completions/pop-before-smtp.bash
        COMP_WORDS=(pop-before-smtp sta) COMP_CWORD=1
        _pop__before__smtp pop-before-smtp sta pop-before-smtp
        echo \"${COMPREPLY[*]}\"
        COMP_WORDS=(pop-before-smtp list --js) COMP_CWORD=2
        _pop__before__smtp pop-before-smtp --js list
        echo \"${COMPREPLY[*]}\"";
    assert_eq!(offered("bash", script), "status\n--json\n");
}

/// Stands in the program's place, and prints what the program never would.
const HOSTILE: &str = r#"#!/bin/sh
cat <<'END'
$(touch ran)
`touch ran`
; touch ran
a b
'q' "d" \\
tom
*
END
printf 'x\033[2J\n'
"#;

/// A shell in a directory of its own, with a program in place of ours that prints hostile names; the script
/// finds the completions in `$SCRIPTS`. What it printed; and nothing was run.
fn offered_what_is_hostile(shell: &str, script: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("program");
    fs::write(&program, HOSTILE).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&program, executable).unwrap();
    let scripts = directory.path().join("scripts");
    fs::create_dir(&scripts).unwrap();
    for name in [
        "pop-before-smtp.bash",
        "_pop-before-smtp",
        "pop-before-smtp.fish",
    ] {
        let text = fs::read_to_string(Path::new("packaging/completions").join(name)).unwrap();
        let text = text.replace("/usr/bin/pop-before-smtp", program.to_str().unwrap());
        fs::write(scripts.join(name), text).unwrap();
    }
    let output = Command::new(shell)
        .args(["-c", script])
        .env("SCRIPTS", &scripts)
        .env("HOME", directory.path())
        .env("LC_ALL", "C.UTF-8")
        .current_dir(&directory)
        .output()
        .unwrap();
    let (shown, complaints) = told(&output);
    assert_eq!(complaints, "", "{shell}");
    assert!(!directory.path().join("ran").exists(), "{shell} has run it");
    shown
}

#[test]
fn bash_asks_the_program_and_runs_nothing_of_what_it_says() {
    let script = r#"
        source "$SCRIPTS/pop-before-smtp.bash"
        for COMP_LINE in "pop-before-smtp history --user " "pop-before-smtp history --user to" \
            "pop-before-smtp history --user=to" "pop-before-smtp history --us"; do
            COMP_POINT=${#COMP_LINE} COMPREPLY=()
            read -ra COMP_WORDS <<<"$COMP_LINE"
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _pop_before_smtp pop-before-smtp "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
            printf '<%s>' "${COMPREPLY[@]}"
            echo
        done"#;
    let shown = offered_what_is_hostile("bash", script);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(
        lines[0].starts_with("<$(touch ran)><`touch ran`><; touch ran>"),
        "{shown}"
    );
    assert_eq!(lines[1..], ["<tom>", "<tom>", "<--user>"], "{shown}");
}

#[test]
fn bash_replaces_what_comes_after_the_last_colon() {
    let script = r#"
        source "$SCRIPTS/pop-before-smtp.bash"
        mapfile() { values=(2001:db8::10 2001:db8::11); }
        COMP_LINE="pop-before-smtp check 2001:db8::" COMP_POINT=32
        _pop_before_smtp pop-before-smtp "" ""
        echo "${COMPREPLY[@]}""#;
    assert_eq!(offered_what_is_hostile("bash", script), "10 11\n");
}

#[test]
fn fish_asks_the_program_and_runs_nothing_of_what_it_says() {
    let script = r#"
        source "$SCRIPTS/pop-before-smtp.fish"
        complete --do-complete 'pop-before-smtp history --user to'
        complete --do-complete 'pop-before-smtp history --user=to'
        complete --do-complete 'pop-before-smtp check '"#;
    let shown = offered_what_is_hostile("fish", script);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[..2], ["tom", "--user=tom"], "{shown}");
    assert!(shown.contains("$(touch ran)"), "{shown}");
}

#[test]
fn zsh_asks_the_program_and_runs_nothing_of_what_it_says() {
    // Its completion needs a terminal of its own, which zsh's module zpty gives it.
    let script = r#"
        zmodload zsh/zpty
        zpty z zsh -f -i
        zpty -w z "PS1= fpath=($SCRIPTS \$fpath); autoload -U compinit; compinit -u -D; zstyle ':completion:*' list-colors; compadd() { builtin compadd -O offered \"\$@\"; print -rl -- \$offered >>offered; builtin compadd \"\$@\" }; touch ready"
        repeat 300 { [[ -e ready ]] && break; sleep 0.1 }
        zpty -w -n z "pop-before-smtp history --user to"$'\t'
        repeat 300 { [[ -s offered ]] && break; sleep 0.1 }
        sleep 0.3
        zpty -d z
        sort -u offered"#;
    let shown = offered_what_is_hostile("zsh", script);
    assert_eq!(shown.trim(), "tom", "{shown}");
}

#[test]
fn fish_completes() {
    let script = "\
        source packaging/completions/pop-before-smtp.fish
        complete --do-complete 'pop-before-smtp stat'
        complete --do-complete 'pop-before-smtp list --js'";
    let offered = offered("fish", script);
    let words: Vec<&str> = offered
        .lines()
        .filter_map(|line| line.split('\t').next())
        .collect();
    assert_eq!(words, ["status", "--json"], "{offered}");
}

#[test]
fn zsh_takes_the_completions() {
    // Its completion needs a terminal; that the function is there and whole does not.
    let script = "\
        fpath=($PWD/packaging/completions $fpath)
        autoload -U compinit && compinit -u -D
        autoload +X _pop-before-smtp
        echo $_comps[pop-before-smtp]";
    assert_eq!(offered("zsh", script), "_pop-before-smtp\n");
}

#[test]
fn journalctl_takes_the_catalogue() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("usr/lib/systemd/catalog");
    fs::create_dir_all(&directory).unwrap();
    fs::create_dir_all(root.path().join("var/lib/systemd/catalog")).unwrap();
    let name = "pop-before-smtp.catalog";
    fs::copy(
        Path::new("packaging/catalog").join(name),
        directory.join(name),
    )
    .unwrap();
    let catalogue = fs::read_to_string(directory.join(name)).unwrap();
    let root = format!("--root={}", root.path().display());
    let (_, complaints) = told(&run("journalctl", &[&root, "--update-catalog"]));
    assert_eq!(complaints, "");
    let (listed, _) = told(&run("journalctl", &[&root, "--list-catalog"]));
    let ids = catalogue
        .lines()
        .filter_map(|line| line.strip_prefix("-- "));
    for id in ids {
        assert!(
            listed.contains(&format!("{id} pop-before-smtp: ")),
            "{id}: {listed}"
        );
    }
}
