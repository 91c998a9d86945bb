//! How much memory a device holds for this process.

/// What the allocator of a device holds, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceMemory {
    /// What tensors take.
    pub in_use: u64,
    /// What was taken from the device, in pages that are seldom given back.
    pub reserved: u64,
}
