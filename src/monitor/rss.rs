//! How much memory this process has needed.

/// Largest resident memory of this process so far in MiB; `None` where the system does not tell.
///
/// Read from `VmHWM` of Linux's `/proc/self/status`; other systems answer `None`.
pub fn peak_rss_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    peak_kib(&status).map(|kib| kib / 1024.0)
}

fn peak_kib(status: &str) -> Option<f64> {
    let rest = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    rest.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read_in_kib() {
        let status = "Name:\twgrpo\nVmPeak:\t  900 kB\nVmHWM:\t  2148 kB\nVmRSS:\t  100 kB\n";
        assert_eq!(peak_kib(status), Some(2148.0));
    }

    #[test]
    fn a_system_without_the_mark_gives_none() {
        assert_eq!(peak_kib("Name:\twgrpo\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn touched_memory_raises_the_peak() {
        let block = vec![1u8; 64 << 20];
        assert!(peak_rss_mib().is_some_and(|mib| mib >= 64.0));
        assert_eq!(block[block.len() - 1], 1);
    }
}
