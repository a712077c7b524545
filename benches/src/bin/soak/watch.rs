//! The measurements of the server, and the judgement.

use std::time::{Duration, Instant};

use tower_clerk::Clerk;

const EVERY: Duration = Duration::from_secs(10);

/// Growth of the second half over the first that an allocator and a busy moment explain.
const MEMORY: f64 = 1.1;
const TASKS: f64 = 1.25;

pub(crate) struct Sample {
    /// In KiB.
    resident: f64,
    tasks: f64,
}

/// Looks at the server every ten seconds, and prints a line each minute.
pub(crate) async fn watch(time: Duration, engines: &[&Clerk]) -> Vec<Sample> {
    let began = Instant::now();
    let mut samples = Vec::new();
    println!("   min   memory MiB   tasks   sessions   queued   to end   requests");
    while began.elapsed() < time {
        tokio::time::sleep(EVERY).await;
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let sample = Sample { resident: resident(), tasks: tasks as f64 };
        if samples.len() % 6 == 5 {
            let stats: Vec<_> = engines.iter().map(|engine| engine.stats()).collect();
            println!(
                "{:6.1} {:12.1} {:7} {:10} {:8} {:8} {:10}",
                began.elapsed().as_secs_f64() / 60.0,
                sample.resident / 1024.0,
                tasks,
                stats.iter().map(|it| it.sessions).sum::<u64>(),
                stats.iter().map(|it| it.sign_in_queue).sum::<usize>(),
                stats.iter().map(|it| it.ending).sum::<usize>(),
                stats.iter().map(|it| it.total()).sum::<u64>(),
            );
        }
        samples.push(sample);
    }
    samples
}

/// Compares the halves of the time, without its first sixth, in which caches fill.
pub(crate) fn judge(samples: &[Sample]) -> Vec<String> {
    let settled = &samples[samples.len() / 6..];
    let (first, second) = settled.split_at(settled.len() / 2);
    let mut broken = Vec::new();
    // A leak raises the least number of tasks, too. A moment with much to do raises the others alone.
    for (name, most, growth) in [
        ("resident memory", MEMORY, median(second) / median(first)),
        ("the least number of tasks", TASKS, least_tasks(second) / least_tasks(first)),
    ] {
        println!("{name}: x{growth:.3} from the first half to the second, x{most} at most");
        if growth.is_nan() || growth > most {
            broken.push(format!("{name} stays flat"));
        }
    }
    broken
}

/// The median of the memory.
fn median(samples: &[Sample]) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(|it| it.resident).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn least_tasks(samples: &[Sample]) -> f64 {
    samples.iter().map(|it| it.tasks).fold(f64::NAN, f64::min)
}

/// In KiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(f64::NAN)
}
