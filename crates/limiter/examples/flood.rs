//! A flood of distinct keys against a bounded store: its bound, its memory, and who is forgiven.
//!
//! `cargo run --release -p tidegate-limiter --example flood -- [capacity] [keys]`

use std::process::ExitCode;
use std::time::Instant;

use tidegate_limiter::{Bucket, Entry, Key, KeyHasher, Store, Timestamp};

/// As large as a client's whole profile.
#[repr(C)]
struct Client {
    bucket: Bucket,
    banned_until: Timestamp,
    _profile: [u64; 35],
}

impl Entry for Client {
    type Residue = Timestamp;

    fn fresh(_: Key, _: Timestamp, residue: Option<Timestamp>) -> Self {
        let banned_until = residue.unwrap_or_default();
        Self { bucket: Bucket::default(), banned_until, _profile: [0; 35] }
    }

    fn residue(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        (self.banned_until > now).then_some((self.banned_until, self.banned_until))
    }
}

/// Resident memory in bytes, where the system tells it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).map(|arg| arg.replace('_', "").parse::<u64>());
    let (capacity, keys) = match (args.next(), args.next()) {
        (None, _) => (1_000_000, 50_000_000),
        (Some(Ok(capacity)), None) => (capacity, 50 * capacity),
        (Some(Ok(capacity)), Some(Ok(keys))) => (capacity, keys),
        _ => {
            eprintln!("give two whole numbers: flood [capacity] [keys]");
            return ExitCode::FAILURE;
        }
    };
    let store = Store::<Client>::new(capacity as usize);
    let hasher = KeyHasher::new(1, 2);
    let (now, until) = (Timestamp::from_secs(1_000), Timestamp::from_secs(2_000));
    let key = |n: u64| hasher.key(0, &n.to_le_bytes());

    let penalised = capacity / 2;
    for n in 0..penalised {
        store.with(key(n), now, |client| client.banned_until = until);
    }
    let mut peak = store.len();
    let start = Instant::now();
    let quota = tidegate_limiter::Quota::per_minute(std::num::NonZeroU32::MIN);
    for n in 0..keys {
        store.with(key(penalised + n), now, |client| {
            client.bucket.check(&quota, tidegate_limiter::Cost::ONE, now)
        });
        if n % 65_536 == 0 {
            peak = peak.max(store.len());
        }
    }
    let took = start.elapsed();
    peak = peak.max(store.len());
    let memory = resident();
    let stats = store.stats();
    let kept = (0..penalised)
        .filter(|n| store.with(key(*n), now, |client| client.banned_until == until))
        .count();

    println!("capacity            {}", store.capacity());
    println!("distinct keys       {keys}");
    println!("peak entries        {peak}");
    println!("residues in ledger  {}", stats.residues);
    println!("penalised kept      {kept} of {penalised}");
    println!("per new key         {:.0} ns", took.as_nanos() as f64 / keys.max(1) as f64);
    if let Some(bytes) = memory {
        println!("resident            {bytes} bytes, {} per entry", bytes / peak.max(1) as u64);
    }
    if peak <= store.capacity() && kept as u64 == penalised {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
