//! How much memory this machine has.

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// Bytes of memory that this process may use: the machine's, or what its container leaves it; `None` where the system
/// does not tell.
pub(super) fn memory() -> Option<u64> {
    let asked = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(asked);
    let of_container = system.cgroup_limits().map(|limits| limits.total_memory);
    let all = [Some(system.total_memory()), of_container];
    all.into_iter().flatten().filter(|bytes| *bytes > 0).min()
}

#[cfg(test)]
mod tests {
    use super::memory;

    #[test]
    fn a_machine_has_more_memory_than_this_process_takes_and_less_than_a_warehouse() {
        let bytes = memory().unwrap();
        assert!((64 << 20..1 << 50).contains(&bytes), "{bytes}");
    }
}
