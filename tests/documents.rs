//! What CONTRIBUTING and SECURITY say, held to it: the tests that are named exist, the paths too, and
//! the way to a new server leads there. The README is played by the system tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SECURITY: &str = include_str!("../SECURITY.md");
const CONTRIBUTING: &str = include_str!("../CONTRIBUTING.md");

fn tree(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What a table of SECURITY names, as `FILE: TEST, TEST; FILE: TEST`, in backticks but for the file.
fn named_tests() -> Vec<(String, String)> {
    let mut named = Vec::new();
    for row in SECURITY.lines().filter(|line| line.starts_with("| ")) {
        let shown_by = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for group in shown_by.split("; ") {
            let Some((file, tests)) = group.split_once(".rs: ") else {
                continue;
            };
            let tests = tests
                .split(", ")
                .map(|test| test.trim_matches('`').to_owned());
            named.extend(tests.map(|test| (format!("{file}.rs"), test)));
        }
    }
    named
}

#[test]
fn every_test_that_security_names_exists() {
    let named = named_tests();
    assert!(named.len() > 40, "{named:?}");
    for (file, test) in named {
        let text =
            fs::read_to_string(tree(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        // Those of proptest! stand in one block with one attribute each.
        let found = text.find(&format!("fn {test}("));
        let is_test = found.is_some_and(|at| {
            let before: Vec<&str> = text[..at].lines().rev().take(4).collect();
            before
                .iter()
                .any(|line| line.trim_start().starts_with("#[") && line.contains("test"))
                || text.contains("proptest! {")
        });
        assert!(
            is_test,
            "SECURITY.md names a test that is not there: {file}: {test}"
        );
    }
}

#[test]
fn every_statement_of_security_names_its_test() {
    let statements: BTreeSet<&str> = SECURITY
        .split("\n## ")
        .filter(|section| section.contains("| shown by |"))
        .flat_map(|section| {
            section
                .lines()
                .skip_while(|line| !line.starts_with("|---"))
                .skip(1)
        })
        .filter(|line| line.starts_with("| "))
        .collect();
    assert!(statements.len() > 20);
    for statement in statements {
        // What can be done against us, and that we say so.
        let admitted = [
            "this is what POP-before-SMTP is",
            "this is what it is trusted with",
        ]
        .iter()
        .any(|admission| statement.contains(admission));
        assert!(admitted || statement.contains(".rs: `"), "{statement}");
    }
}

#[test]
fn every_path_that_is_named_is_there() {
    for document in [CONTRIBUTING, SECURITY] {
        for piece in document.split('`').skip(1).step_by(2) {
            let is_ours = [
                "src/",
                "tests/",
                "units/",
                "packaging/",
                "benches/",
                "fuzz/",
            ]
            .iter()
            .any(|room| piece.starts_with(room));
            if is_ours {
                assert!(tree(piece).exists(), "{piece}");
            }
        }
    }
}

/// What is missing on a bare machine, Rust too, is installed in one place, so that no command that the
/// documents promise can lack what another has.
#[test]
fn every_command_installs_what_it_needs_in_one_place() {
    let commands = [
        "tests/run",
        "packaging/try",
        "packaging/build-deb",
        "packaging/build-rpm",
        "benches/run",
    ];
    for command in commands {
        let script = fs::read_to_string(tree(command)).unwrap();
        assert!(script.contains("packaging/requirements"), "{command}");
        for installer in ["apt-get install", "tests/packages.sh"] {
            assert!(!script.contains(installer), "{command}: {installer}");
        }
    }
}

/// All that tells the version tells the same one, whatever a package is built from.
#[test]
fn every_version_is_that_of_the_crate() {
    let version = env!("CARGO_PKG_VERSION");
    let told = |path: &str, before: &str, after: &str| {
        let text = fs::read_to_string(tree(path)).unwrap();
        let found = text
            .lines()
            .find_map(|line| line.trim().strip_prefix(before))
            .unwrap_or_else(|| panic!("{path} has no line with {before}"));
        let (found, _) = found.split_once(after).unwrap_or((found, ""));
        assert_eq!(found.trim(), version, "{path}: {before}");
    };
    told("packaging/debian/changelog", "pop-before-smtp (", "-");
    told("packaging/rpm/pop-before-smtp.spec", "Version:", " #");
    told("CHANGELOG.md", "## [", "]");
    told("README.md", "Version: ", " ");
    // Files in the package are dated no later than that; a time to come would leave them their own.
    let changes = fs::read_to_string(tree("packaging/debian/changelog")).unwrap();
    let dated = changes
        .lines()
        .find(|line| line.starts_with(" -- "))
        .unwrap();
    assert!(dated.ends_with(" 00:00:00 +0000"), "{dated}");
    let spec = fs::read_to_string(tree("packaging/rpm/pop-before-smtp.spec")).unwrap();
    let (_, changes) = spec.split_once("%changelog\n").unwrap();
    let newest = changes.lines().next().unwrap();
    assert!(newest.contains(&format!(" - {version}-")), "{newest}");
}

/// The blocks of one language below a heading, without their indentation.
fn blocks(heading: &str, language: &str) -> Vec<String> {
    let section = CONTRIBUTING
        .split("\n## ")
        .find(|section| section.starts_with(heading));
    let fence = format!("   ```{language}\n");
    let blocks = section.unwrap().split(&fence).skip(1);
    let blocks = blocks.map(|rest| {
        let block = rest.split("   ```").next().unwrap();
        block
            .lines()
            .map(|line| line.strip_prefix("   ").unwrap_or(line).to_owned() + "\n")
            .collect()
    });
    blocks.collect()
}

/// tests/run leaves these out by their names, where the package is too new for bookworm.
#[test]
fn what_takes_bookworm_says_so_in_its_name() {
    let mut found = 0;
    for file in fs::read_dir(tree("tests/system")).unwrap() {
        let path = file.unwrap().path();
        // One is about the hosts alone, the other is the table of releases.
        let is_apart = path.ends_with("laboratory.rs") || path.ends_with("image.rs");
        if is_apart || path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let mut function = String::new();
        for line in fs::read_to_string(&path).unwrap().lines() {
            if let Some((_, rest)) = line.split_once("fn ") {
                function = rest.split('(').next().unwrap().to_owned();
            }
            if line.contains("Release::Bookworm") {
                found += 1;
                let path = path.display();
                assert!(function.ends_with("_on_bookworm"), "{path}: {function}");
            }
        }
    }
    assert!(found > 20, "{found}");
}

#[test]
fn the_way_to_a_new_server_leads_there() {
    let directory = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_pop-before-smtp");
    let shell = |script: &str| {
        let script = script.replace("cargo run --quiet --", program);
        let mut command = Command::new("sh");
        let output = command
            .args(["-euc", &script])
            .current_dir(&directory)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{script}\n{out}{err}");
        out
    };
    let steps = blocks("Adding a server", "sh");
    let [prepare, check] = &steps[..] else {
        panic!("{steps:?}")
    };
    let definitions = blocks("Adding a server", "toml");
    let [definition] = &definitions[..] else {
        panic!("{definitions:?}")
    };
    shell(prepare);
    let file = directory.path().join("try/servers.d/minepop.toml");
    fs::write(&file, definition).unwrap();
    let told = shell(check);
    assert!(
        told.contains("2001:db8::10") && told.contains("bob"),
        "{told}"
    );
    // The examples are what is checked: a wrong one is found.
    fs::write(
        &file,
        definition.replace("user = \"alice\"", "user = \"bob\""),
    )
    .unwrap();
    let mut again = Command::new(program);
    again
        .args(["--config", "try/config.toml", "check-config"])
        .current_dir(&directory);
    assert_eq!(again.output().unwrap().status.code(), Some(78));
}
