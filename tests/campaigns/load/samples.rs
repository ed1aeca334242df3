//! What the service takes, once a second: memory, threads, descriptors, and its store on the disk. Grows
//! nothing, so must not it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::Stage;
use crate::host::Host;
use crate::service::STATE;

/// How much more the last quarter may take than the second did.
const GROWTH: f64 = 1.3;
/// What is sampled; by how much it may differ for no reason; and the most that it may ever be. What has been
/// used takes some minutes to be used again, above all in the store: in the short form, only the most counts.
pub const KINDS: [(&str, f64, f64); 5] = [
    ("memory of its own, MB", 12.0, 60.0),
    ("resident memory, with the journal's files, MB", 50.0, 400.0),
    ("store on the disk, MB", 0.0, 250.0),
    ("descriptors", 20.0, 150.0),
    ("threads", 4.0, 30.0),
];

/// Seconds since the campaign began, and each of these.
pub type Sample = (f64, [f64; 5]);

/// Samples until all is over.
pub fn sample(stage: &Stage) -> Vec<Sample> {
    let mut samples = Vec::new();
    while stage.goes_on() {
        if let Some(sample) = look(&stage.host) {
            samples.push((stage.seconds(), sample));
        }
        thread::sleep(Duration::from_secs(1));
    }
    samples
}

/// None while the service does not run.
fn look(host: &Host) -> Option<[f64; 5]> {
    let process = main_process(host)?;
    let process = Path::new("/proc").join(process);
    let status = fs::read_to_string(process.join("status")).ok()?;
    let number = |name: &str| -> Option<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some([
        number("RssAnon:")? / 1024.0,
        number("VmRSS:")? / 1024.0,
        size(&host.path(&format!("{STATE}/store"))) as f64 / (1 << 20) as f64,
        fs::read_dir(process.join("fd")).ok()?.count() as f64,
        number("Threads:")?,
    ])
}

/// The service itself, in our own numbering; not its postmap.
fn main_process(host: &Host) -> Option<String> {
    let group = "/sys/fs/cgroup/system.slice/pop-before-smtp.service/cgroup.procs";
    let processes = fs::read_to_string(host.path(group)).ok()?;
    let is_main = |process: &&str| {
        let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        line.starts_with(b"/usr/bin/pop-before-smtp\0run")
    };
    processes.lines().find(is_main).map(str::to_owned)
}

/// The bytes that a directory takes on the disk.
fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(file) if file.is_dir() => size(&entry.path()),
            Ok(file) => file.blocks() * 512,
            // It has gone meanwhile.
            Err(_) => 0,
        })
        .sum()
}

/// The most of each kind in each quarter of the campaign, and what is too much.
pub fn growth(samples: &[Sample], lasted: f64, is_long: bool) -> (Vec<String>, Vec<String>) {
    let (mut told, mut grown) = (Vec::new(), Vec::new());
    for (kind, (name, slack, limit)) in KINDS.iter().enumerate() {
        let most = [0, 1, 2, 3].map(|quarter| {
            let quarter = f64::from(quarter) * lasted / 4.0..f64::from(quarter + 1) * lasted / 4.0;
            let of_quarter = samples.iter().filter(|(at, _)| quarter.contains(at));
            of_quarter
                .map(|(_, values)| values[kind])
                .fold(0.0, f64::max)
        });
        let line = format!("{name}: {most:.1?}");
        let has_grown = most[3] > (most[1] * GROWTH).max(most[1] + slack);
        let is_sampled = most.iter().all(|most| *most > 0.0);
        if !is_sampled || most.iter().any(|most| most > limit) || is_long && has_grown {
            grown.push(line.clone());
        }
        told.push(line);
    }
    (told, grown)
}
