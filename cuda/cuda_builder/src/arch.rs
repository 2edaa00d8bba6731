//! The architectures PTX can be built for, and the compiler's flags for them.
//!
//! # The flags
//!
//! Each of [`NvvmArch::flags`] is there because the PTX is wrong or slow without it:
//!
//! - `-Zmir-enable-passes=-JumpThreading`: that pass copies code into the branches
//!   around it, barriers and shuffles included, because MIR does not know that
//!   they must be reached together. A copied barrier is a hang or wrong data.
//! - `-Cllvm-args=-unroll-threshold=5000`: arrays live in registers only where
//!   every loop over them is unrolled in full; by default LLVM stops early and
//!   puts them into local memory.
//! - `-Cpanic=immediate-abort`: a panic is one `trap`. With messages, ptxas
//!   refuses the file, because formatting takes addresses of functions.
//! - `-Clto=fat -Ccodegen-units=1`: all code in one module, so that everything can
//!   be inlined; PTX has no linker.
//!
//! They are unstable, hence `RUSTC_BOOTSTRAP=1`; which is why a crate pins the
//! release that its kernels are tested with.

use std::fmt;
use std::str::FromStr;

/// The target that kernels are compiled for.
pub(crate) const DEVICE: &str = "nvptx64-nvidia-cuda";

macro_rules! architectures {
    ($($(#[$doc:meta])* $name:ident = $capability:literal, $ptx_version:literal;)*) => {
        /// The least capable chip that the PTX runs on. The driver compiles PTX for the
        /// chip it finds, so every later one runs it too.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub enum NvvmArch { $($(#[$doc])* $name),* }

        impl NvvmArch {
            /// All of them, oldest first.
            pub const ALL: [Self; [$($capability),*].len()] = [$(Self::$name),*];

            /// Compute capability as one number: 90 is 9.0, 120 is 12.0.
            pub const fn capability(self) -> u32 {
                match self { $(Self::$name => $capability),* }
            }

            /// The version of the PTX language, times ten: the lowest that knows the chip and what
            /// the kernels use of it, so that the oldest possible driver takes it. 7.4 (driver 470)
            /// has the cache hints of `ld.global.nc`; 8.0 (driver 525) has what is new on Hopper.
            pub const fn ptx_version(self) -> u32 {
                match self { $(Self::$name => $ptx_version),* }
            }
        }
    };
}

architectures! {
    /// Turing, and the portable baseline.
    #[default]
    Compute75 = 75, 74;
    /// Ampere (A100).
    Compute80 = 80, 74;
    /// Ampere (RTX 30).
    Compute86 = 86, 74;
    /// Ampere (Jetson Orin).
    Compute87 = 87, 74;
    /// Ada Lovelace.
    Compute89 = 89, 78;
    /// Hopper.
    Compute90 = 90, 80;
    /// Blackwell (B200).
    Compute100 = 100, 86;
    /// Blackwell (B300).
    Compute103 = 103, 88;
    /// Blackwell (RTX 50).
    Compute120 = 120, 87;
    /// Blackwell (GB10).
    Compute121 = 121, 88;
}

impl NvvmArch {
    /// The flags of everything compiled for the device.
    pub(crate) fn flags(self) -> Vec<String> {
        [
            &format!("--target={DEVICE}"),
            &format!("-Ctarget-cpu={self}"),
            &format!("-Ctarget-feature=+ptx{}", self.ptx_version()),
            "-Zunstable-options",
            "-Copt-level=3",
            "-Cpanic=immediate-abort",
            "-Ccodegen-units=1",
            "-Zmir-enable-passes=-JumpThreading",
            "-Cllvm-args=-unroll-threshold=5000",
        ]
        .map(str::to_owned)
        .into()
    }

    /// The flags that set `cfg(target_feature = "compute_NN")`, Rust-CUDA's name for every
    /// capability up to this one.
    pub(crate) fn capability_cfgs(self) -> Vec<String> {
        /// Capabilities before the oldest that there is code for.
        const EARLIER: [u32; 12] = [35, 37, 50, 52, 53, 60, 61, 62, 70, 72, 75, 80];
        let mut known: Vec<u32> =
            EARLIER.into_iter().chain(Self::ALL.map(Self::capability)).collect();
        known.sort_unstable();
        known.dedup();
        let mut flags = vec!["-Aexplicit_builtin_cfgs_in_flags".to_owned()];
        let reached = known.iter().filter(|&&capability| capability <= self.capability());
        flags.extend(reached.map(|cc| format!("--cfg=target_feature=\"compute_{cc}\"")));
        flags
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
        let number =
            text.strip_prefix("sm_").or_else(|| text.strip_prefix("compute_")).unwrap_or(text);
        Self::ALL.into_iter().find(|arch| arch.capability().to_string() == number).ok_or_else(
            || {
                let known = Self::ALL.map(|arch| arch.to_string()).join(", ");
                format!("unknown architecture `{text}`; known are {known}")
            },
        )
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
