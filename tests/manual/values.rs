//! Completion of what only the program knows: servers, stores, listed clients and users. clap's scripts,
//! which offer commands and options, are made to ask it, by its hidden command `complete`.
//!
//! They call it by its whole path, as the units do: a Perl daemon in /usr/sbin has the same name.

use clap_complete::Shell;

/// Where a value stands: the command, the option or (without hyphens) the argument, and what it is.
const VALUES: [(&str, &str, &str); 16] = [
    ("list", "--client", "clients"),
    ("list", "--user", "users"),
    ("list", "--server", "servers"),
    ("list", "--source", "sources"),
    ("check", "client", "clients"),
    ("allow", "client", "clients"),
    ("revoke", "network", "clients"),
    ("revoke", "--user", "users"),
    ("revoke", "--server", "servers"),
    ("history", "client", "clients"),
    ("history", "--user", "users"),
    ("servers", "--show", "servers"),
    ("test", "--server", "servers"),
    ("store show", "name", "stores"),
    ("store remove", "name", "stores"),
    ("store carry", "name", "stores"),
];

const BASH: &str = r#"
# What only the program knows, it is asked for. What it prints are plain words; they are never evaluated.
_pop_before_smtp() {
    local line=${COMP_LINE:0:COMP_POINT} word command last kind='' value values
    local -a before
    word=${line##*[[:space:]]}
    read -ra before <<<"${line%"$word"}"
    command=${before[1]-}
    [[ $command != store ]] || command="store ${before[2]-}"
    last=${before[${#before[@]} - 1]-}
    if [[ $word == --*=* ]]; then
        last=${word%%=*}
        word=${word#*=}
    fi
    case "$command:$last" in
@CASES@
    esac
    if [[ -z $kind || $word == -* ]]; then
        _pop__before__smtp "$@"
        return
    fi
    COMPREPLY=()
    mapfile -t values < <(/usr/bin/pop-before-smtp complete "$kind" -- "$word" 2>/dev/null)
    for value in "${values[@]}"; do
        # bash replaces only what comes after the last colon.
        [[ $value != "$word"* ]] || COMPREPLY+=("${value#"${word%"${word##*:}"}"}")
    done
}
complete -F _pop_before_smtp -o bashdefault -o default pop-before-smtp
"#;

const ZSH: &str = r#"
# What only the program knows, it is asked for. What it prints are plain words; they are never evaluated.
(( $+functions[_pop_before_smtp_ask] )) ||
_pop_before_smtp_ask() {
    local -a values
    values=("${(@f)$(/usr/bin/pop-before-smtp complete $1 -- "$PREFIX" 2>/dev/null)}")
    values=(${values:#})
    compadd -a values
}

"#;

const FISH: &str = r#"
# What only the program knows, it is asked for. What it prints are plain words; they are never evaluated.
function __fish_pop_before_smtp_ask
    /usr/bin/pop-before-smtp complete $argv -- (string replace --regex -- '^--[^=]*=' '' (commandline -ct)) 2>/dev/null
end
"#;

/// clap's script for a shell, made to ask.
pub fn asking(shell: Shell, script: &str) -> String {
    match shell {
        Shell::Bash => bash(script),
        Shell::Zsh => zsh(script),
        Shell::Fish => fish(script),
        _ => script.to_owned(),
    }
}

fn bash(script: &str) -> String {
    let case = |(command, place, kind): &(&str, &str, &str)| {
        // An argument comes directly after its command.
        let last = match place.starts_with('-') {
            true => place,
            false => command.rsplit(' ').next().unwrap(),
        };
        format!("        \"{command}:{last}\") kind={kind} ;;")
    };
    let cases: Vec<String> = VALUES.iter().map(case).collect();
    // Its own registration goes: there is one for both.
    let (script, _) = script.rsplit_once("\nif [[ \"${BASH_VERSINFO").unwrap();
    format!("{script}\n{}", BASH.replace("@CASES@", &cases.join("\n")))
}

fn zsh(script: &str) -> String {
    let mut text = String::new();
    let (mut command, mut asked, mut is_store) = (String::new(), 0, false);
    for line in script.lines() {
        if line == "_pop-before-smtp() {" {
            text += ZSH.trim_start();
        }
        if let Some(name) = line
            .strip_prefix('(')
            .and_then(|line| line.strip_suffix(')'))
            && name.chars().all(|c| c.is_ascii_lowercase() || c == '-')
        {
            // The commands below "store" come after it, up to their help.
            let below = is_store && ["add", "list", "show", "remove", "carry"].contains(&name);
            is_store = name == "store" || below;
            command = match below {
                true => format!("store {name}"),
                false => name.to_owned(),
            };
        }
        let stands = |(of, place, _): &&(&str, &str, &str)| {
            let begin = match place.starts_with('-') {
                true => format!("{place}=["),
                false => format!(":{place} -- "),
            };
            *of == command && line.contains(&begin) && line.contains(":_default' \\")
        };
        match VALUES.iter().find(stands) {
            Some((_, _, kind)) => {
                asked += 1;
                text += &line.replace(
                    ":_default' \\",
                    &format!(":_pop_before_smtp_ask {kind}' \\"),
                );
            }
            _ => text += line,
        }
        text.push('\n');
    }
    // One more or less means that clap writes it otherwise than it did.
    assert_eq!(asked, VALUES.len());
    text
}

fn fish(script: &str) -> String {
    let line = |(command, place, kind): &(&str, &str, &str)| {
        let (first, second) = command.split_once(' ').unwrap_or((command, ""));
        let mut when = format!("__fish_pop_before_smtp_using_subcommand {first}");
        if !second.is_empty() {
            when += &format!("; and __fish_seen_subcommand_from {second}");
        }
        let option = match place.strip_prefix("--") {
            Some(option) => format!("-l {option} -x"),
            None => "-f".to_owned(),
        };
        format!(
            "complete -c pop-before-smtp -n \"{when}\" {option} -a \"(__fish_pop_before_smtp_ask {kind})\"\n"
        )
    };
    let lines: String = VALUES.iter().map(line).collect();
    format!("{script}{FISH}{lines}")
}
