//! What a process takes, as Linux tells it.

use std::fs;
use std::time::Duration;

/// Linux tells CPU time to programs in hundredths of a second, whatever the kernel counts in.
const TICKS_PER_SECOND: u64 = 100;

/// Memory of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// What it holds now.
    Held,
    /// The most that it ever held.
    Peak,
}

/// CPU time of a running process since its start.
pub fn cpu(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("the process runs");
    // The name stands in brackets and may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').collect();
    let ticks: u64 = fields[11..=12].iter().map(|field| field.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

/// Memory of a running process, in MiB.
pub fn mebibytes(process: u32, memory: Memory) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let field = match memory {
        Memory::Held => "VmRSS:",
        Memory::Peak => "VmHWM:",
    };
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("Linux tells it");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_something() {
        let own = std::process::id();
        let before = cpu(own);
        while cpu(own) == before {
            std::hint::spin_loop();
        }
        let held = mebibytes(own, Memory::Held);
        assert!(held > 0.0 && mebibytes(own, Memory::Peak) >= held);
    }
}
