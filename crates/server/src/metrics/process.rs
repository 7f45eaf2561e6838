//! What the process takes of the machine, under the names that every Prometheus client has for it.
//!
//! Read from `/proc` when it is asked for, so there is nothing of it but on Linux, and of what can't be
//! read there is nothing either.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;

/// Ticks of a second in which Linux tells times to programs (`USER_HZ`): 100 on every architecture
/// that Rust knows.
const TICKS: f64 = 100.0;

/// Reads the process's own files when asked.
#[derive(Debug)]
pub(super) struct Process;

/// What is known of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Usage {
    cpu_seconds: Option<f64>,
    start_time_seconds: Option<f64>,
    resident_bytes: Option<f64>,
    virtual_bytes: Option<f64>,
    threads: Option<f64>,
    open_fds: Option<f64>,
    max_fds: Option<f64>,
}

/// The files that it is known from.
#[derive(Clone, Copy, Debug, Default)]
struct Files<'a> {
    /// `/proc/self/stat`
    stat: &'a str,
    /// `/proc/self/status`
    status: &'a str,
    /// `/proc/self/limits`
    limits: &'a str,
    /// `/proc/stat`
    system: &'a str,
}

/// The first word after this name at the beginning of a line, as a number.
fn after(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

impl Usage {
    fn of(files: Files<'_>) -> Self {
        // The name of the program, in parentheses, may hold anything.
        let rest = files.stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let field = |number: usize| rest.split_whitespace().nth(number - 3)?.parse::<f64>().ok();
        let kilobytes = |name| after(files.status, name).map(|kilobytes| kilobytes * 1024.0);
        let booted = after(files.system, "btime");
        Self {
            cpu_seconds: field(14).zip(field(15)).map(|(user, system)| (user + system) / TICKS),
            start_time_seconds: booted.zip(field(22)).map(|(at, ticks)| at + ticks / TICKS),
            resident_bytes: kilobytes("VmRSS:"),
            virtual_bytes: kilobytes("VmSize:"),
            threads: after(files.status, "Threads:"),
            open_fds: None,
            max_fds: after(files.limits, "Max open files"),
        }
    }

    #[cfg(target_os = "linux")]
    fn now() -> Self {
        let text = |path| std::fs::read_to_string(path).unwrap_or_default();
        let (stat, status) = (text("/proc/self/stat"), text("/proc/self/status"));
        let (limits, system) = (text("/proc/self/limits"), text("/proc/stat"));
        let files = Files { stat: &stat, status: &status, limits: &limits, system: &system };
        #[allow(clippy::cast_precision_loss)]
        let open_fds = std::fs::read_dir("/proc/self/fd").map(|entries| entries.count() as f64);
        Self { open_fds: open_fds.ok(), ..Self::of(files) }
    }

    #[cfg(not(target_os = "linux"))]
    fn now() -> Self {
        Self::of(Files::default())
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let usage = Usage::now();
        if let Some(seconds) = usage.cpu_seconds {
            let help = "Time that the process had of the processors, as user and in the system";
            let name = "process_cpu_seconds";
            let counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(seconds).encode(counter)?;
        }
        for (name, help, value) in [
            (
                "process_start_time_seconds",
                "When the process was started, in seconds since 1970",
                usage.start_time_seconds,
            ),
            (
                "process_resident_memory_bytes",
                "Memory that the process holds",
                usage.resident_bytes,
            ),
            (
                "process_virtual_memory_bytes",
                "Address space that the process has reserved",
                usage.virtual_bytes,
            ),
            ("process_threads", "Threads of the process", usage.threads),
            ("process_open_fds", "File descriptors that are open", usage.open_fds),
            ("process_max_fds", "File descriptors that may be open at most", usage.max_fds),
        ] {
            if let Some(value) = value {
                let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
                ConstGauge::new(value).encode(gauge)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_writes_is_read_whatever_the_program_is_called() {
        let usage = Usage::of(Files {
            stat: "7 (a) b (c) S 1 7 7 0 -1 4194560 9000 0 3 0 250 50 0 0 20 0 12 0 12345 1 2 3\n",
            status: "Name:\ta\nVmSize:\t  2048 kB\nVmRSS:\t  1024 kB\nThreads:\t12\n",
            limits: "Limit    Soft Limit  Hard Limit  Units\nMax open files   1024   4096   files\n",
            system: "cpu  1 2 3\nbtime 1700000000\nprocesses 5\n",
        });
        let expected = Usage {
            cpu_seconds: Some(3.0),
            start_time_seconds: Some(1_700_000_123.45),
            resident_bytes: Some(1_048_576.0),
            virtual_bytes: Some(2_097_152.0),
            threads: Some(12.0),
            open_fds: None,
            max_fds: Some(1024.0),
        };
        assert_eq!(usage, expected);
        assert_eq!(Usage::of(Files::default()), Usage::default());
        let unlimited =
            Files { limits: "Max open files  unlimited  unlimited files", ..Files::default() };
        assert_eq!(Usage::of(unlimited).max_fds, None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_knows_itself() {
        let usage = Usage::now();
        assert!(usage.resident_bytes.unwrap() > 1e6, "{usage:?}");
        assert!(usage.open_fds.unwrap() >= 3.0 && usage.threads.unwrap() >= 1.0, "{usage:?}");
        assert!(usage.start_time_seconds.unwrap() > 1.7e9, "{usage:?}");
    }
}
