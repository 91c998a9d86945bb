//! The largest buffer that a device can hold, and the refusal of what is larger.

/// What a device can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The device's name.
    pub device: String,
    /// Bytes of its largest buffer; `u64::MAX` where only its memory ends it.
    pub largest_buffer: u64,
    /// Bytes of all its memory, where that is known.
    pub memory: Option<u64>,
}

/// A tensor of a run that is still to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buffer {
    /// What it is, with its shape.
    pub what: String,
    /// Its size.
    pub bytes: u64,
    /// What to change where it does not fit.
    pub mend: Mend,
}

/// How a tensor becomes smaller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mend {
    /// Not at all: the model is what it is.
    AnotherDevice,
    /// By a setting that it grows with, step by step.
    Lower {
        /// The setting.
        key: &'static str,
        /// Its value now.
        value: u64,
        /// Its least value that still has an effect.
        least: u64,
        /// By how much it changes where the tensor changes,
        step: u64,
        /// and by how many bytes.
        bytes_per_step: u64,
        /// What to change where even the least value is too much.
        otherwise: &'static str,
    },
    /// By something else.
    Change(&'static str),
}

/// A tensor that a device cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} takes {}, and {device} holds at most {} in one buffer; {mend}", mib(*bytes), mib(*limit)
)]
pub struct TooLarge {
    /// The tensor.
    pub what: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The device.
    pub device: String,
    /// Its largest buffer in bytes.
    pub limit: u64,
    /// What to do about it.
    pub mend: String,
}

impl Limits {
    /// Those of a device that only its memory ends.
    pub fn none(device: &str) -> Self {
        Self { device: device.into(), largest_buffer: u64::MAX, memory: None }
    }

    /// Refuses the first buffer that is too large.
    ///
    /// # Errors
    /// That buffer, with what to change.
    pub fn check(&self, buffers: &[Buffer]) -> Result<(), TooLarge> {
        match buffers.iter().find(|buffer| buffer.bytes > self.largest_buffer) {
            None => Ok(()),
            Some(buffer) => Err(TooLarge {
                what: buffer.what.clone(),
                bytes: buffer.bytes,
                device: self.device.clone(),
                limit: self.largest_buffer,
                mend: self.mend(buffer),
            }),
        }
    }

    fn mend(&self, buffer: &Buffer) -> String {
        const ELSEWHERE: &str = "use --device cpu or a device with larger buffers (`wgrpo devices` \
                                 lists them)";
        match buffer.mend {
            Mend::AnotherDevice => format!("{ELSEWHERE}, or a smaller model"),
            Mend::Change(change) => format!("{change}, or {ELSEWHERE}"),
            Mend::Lower { key, value, least, step, bytes_per_step, otherwise } => {
                let fits = self.largest_buffer / bytes_per_step.max(1) * step;
                match fits >= least {
                    true => format!("lower {key} from {value} to {fits} or less, or {ELSEWHERE}"),
                    false => format!("{otherwise}, or {ELSEWHERE}"),
                }
            }
        }
    }
}

/// Bytes in MiB, whole where that tells them apart.
pub fn mib(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 10.0 { format!("{mib:.2} MiB") } else { format!("{mib:.1} MiB") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(bytes: u64, mend: Mend) -> Buffer {
        Buffer { what: "the thing [1, 2]".into(), bytes, mend }
    }

    fn refusal(bytes: u64, mend: Mend) -> String {
        let limits = Limits { device: "a GPU".into(), largest_buffer: 128 << 20, memory: None };
        limits
            .check(&[buffer(128 << 20, Mend::AnotherDevice), buffer(bytes, mend)])
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_buffer_over_the_limit_is_refused_with_both_sizes_and_a_way_out() {
        let message = refusal(196 << 20, Mend::AnotherDevice);
        let said =
            "the thing [1, 2] takes 196.0 MiB, and a GPU holds at most 128.0 MiB in one buffer";
        assert!(message.contains(said), "{message}");
        assert!(message.contains("--device cpu"), "{message}");
    }

    #[test]
    fn a_setting_that_can_be_lowered_is_told_the_largest_value_that_fits() {
        let lower = |least| Mend::Lower {
            key: "device.cache_tokens",
            value: 1000,
            least,
            step: 1,
            bytes_per_step: (256 << 20) / 1000,
            otherwise: "shorten the prompts",
        };
        assert!(refusal(256 << 20, lower(1)).contains("device.cache_tokens from 1000 to 500 or"));
        let message = refusal(256 << 20, lower(501));
        assert!(message.contains("shorten the prompts"), "{message}");
    }

    #[test]
    fn a_device_that_only_memory_ends_refuses_nothing() {
        assert_eq!(Limits::none("cpu").check(&[buffer(1 << 60, Mend::AnotherDevice)]), Ok(()));
    }
}
