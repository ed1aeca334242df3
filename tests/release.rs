//! The release: whoever makes it once more, from a clone or from the tarball itself, gets the same bytes.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Runs a script in a tree, which is to end well, and gives what it prints.
fn run(tree: &Path, script: &str) -> String {
    let done = Command::new("bash")
        .args(["-euc", script])
        .current_dir(tree)
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("SOURCE_DATE_EPOCH")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{script}: {said}");
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_release_is_the_same_wherever_it_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let name = concat!("pop-before-smtp-", env!("CARGO_PKG_VERSION"));
    let file = format!("{name}.tar.xz");
    let tarball = run(
        Path::new(env!("CARGO_MANIFEST_DIR")),
        &format!(
            "CARGO_TARGET_DIR={}/first packaging/tarball",
            here.display()
        ),
    );
    assert_eq!(Path::new(&tarball), here.join("first/tarball").join(&file));

    // From the tarball, elsewhere and otherwise.
    run(here, &format!("tar --extract --file {tarball}"));
    let tree = here.join(name);
    let again = run(&tree, "umask 077; TZ=Asia/Tokyo LC_ALL=C packaging/release");
    assert!(fs::read(&tarball).unwrap() == fs::read(&again).unwrap());
    let sums = Path::new(&again).parent().unwrap().to_owned();
    run(&sums, &format!("sha256sum --check {file}.sha256"));

    // From a repository, with its tag; and what is not committed is in no release.
    run(
        &tree,
        "git init --quiet && git config user.name a && git config user.email a@example.org &&
         git add --all && git commit --quiet --message all",
    );
    let tagged = run(&tree, "rm -r target; packaging/release --tag");
    assert!(fs::read(&tarball).unwrap() == fs::read(&tagged).unwrap());
    let tag = format!("v{}", env!("CARGO_PKG_VERSION"));
    let object = run(&tree, &format!("git rev-parse {tag}"));
    run(
        &tree,
        &format!("packaging/release --tag; git tag --delete {tag}; packaging/release --tag"),
    );
    assert_eq!(run(&tree, &format!("git rev-parse {tag}")), object);
    run(&tree, "echo >>README.md; ! packaging/release");
    run(
        &tree,
        "git commit --quiet --all --message more; ! packaging/release --tag",
    );
    // A section that is still open is no release's.
    run(
        &tree,
        "sed -i '0,/^## .*/s//## [Unreleased]/' CHANGELOG.md
         git commit --quiet --all --message next; ! packaging/release",
    );
}
