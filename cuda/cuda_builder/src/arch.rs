//! The architectures PTX can be built for.

use std::fmt;
use std::str::FromStr;

/// The least capable chip that the PTX runs on. The driver compiles PTX for the
/// chip it finds, so every later one runs it too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum NvvmArch {
    /// Turing, and the portable baseline.
    #[default]
    Compute75,
    /// Ampere (A100).
    Compute80,
    /// Ampere (RTX 30).
    Compute86,
    /// Ada Lovelace.
    Compute89,
    /// Hopper.
    Compute90,
    /// Blackwell (B200).
    Compute100,
    /// Blackwell (RTX 50).
    Compute120,
}

impl NvvmArch {
    /// All of them, oldest first.
    pub const ALL: [Self; 7] = [
        Self::Compute75,
        Self::Compute80,
        Self::Compute86,
        Self::Compute89,
        Self::Compute90,
        Self::Compute100,
        Self::Compute120,
    ];

    /// Compute capability as one number: 90 is 9.0, 120 is 12.0.
    pub const fn capability(self) -> u32 {
        match self {
            Self::Compute75 => 75,
            Self::Compute80 => 80,
            Self::Compute86 => 86,
            Self::Compute89 => 89,
            Self::Compute90 => 90,
            Self::Compute100 => 100,
            Self::Compute120 => 120,
        }
    }

    /// The version of the PTX language, times ten: the lowest that knows the chip
    /// and what the kernels use of it, so that the oldest possible driver takes
    /// it. 7.4 (driver 470) has the cache hints of `ld.global.nc`; 8.0 (driver
    /// 525) has what is new on Hopper.
    pub const fn ptx_version(self) -> u32 {
        match self {
            Self::Compute75 | Self::Compute80 | Self::Compute86 => 74,
            Self::Compute89 => 78,
            Self::Compute90 => 80,
            Self::Compute100 => 86,
            Self::Compute120 => 87,
        }
    }
}

/// `sm_90`, as ptxas and rustc call it.
impl fmt::Display for NvvmArch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sm_{}", self.capability())
    }
}

/// Takes `sm_90`, `compute_90` and `90`.
impl FromStr for NvvmArch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text
            .strip_prefix("sm_")
            .or_else(|| text.strip_prefix("compute_"))
            .unwrap_or(text);
        Self::ALL
            .into_iter()
            .find(|arch| arch.capability().to_string() == number)
            .ok_or_else(|| {
                let known = Self::ALL.map(|arch| arch.to_string()).join(", ");
                format!("unknown architecture `{text}`; known are {known}")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for arch in NvvmArch::ALL {
            assert_eq!(arch.to_string().parse(), Ok(arch));
            assert_eq!(format!("compute_{}", arch.capability()).parse(), Ok(arch));
        }
        let error = "sm_91".parse::<NvvmArch>().unwrap_err();
        assert!(error.contains("`sm_91`") && error.contains("sm_90"));
    }
}
