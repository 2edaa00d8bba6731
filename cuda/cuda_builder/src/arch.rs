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
//! - `-Cpanic=immediate-abort`: a panic is one `trap`. With a message, each brings
//!   the code that formats it, which calls functions by address.
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
    ($($(#[$doc:meta])* $name:ident = $text:literal, $capability:literal, $ptx_version:literal;)*) => {
        /// The least capable chip that the PTX runs on. The driver compiles PTX for the
        /// chip it finds, so every later one runs it too; but code for a name that ends in `a`
        /// runs on that chip alone, and in `f` on chips of its family.
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

            /// The capability and the letter behind it.
            const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

architectures! {
    /// Maxwell. It and others before Turing are names alone: a build for them is refused.
    Compute50 = "50", 50, 74;
    /// Maxwell.
    Compute52 = "52", 52, 74;
    /// Maxwell (Jetson TX1).
    Compute53 = "53", 53, 74;
    /// Pascal (P100).
    Compute60 = "60", 60, 74;
    /// Pascal.
    Compute61 = "61", 61, 74;
    /// Pascal (Jetson TX2).
    Compute62 = "62", 62, 74;
    /// Volta.
    Compute70 = "70", 70, 74;
    /// Volta (Jetson Xavier).
    Compute72 = "72", 72, 74;
    /// Volta.
    Compute73 = "73", 73, 74;
    /// Turing, and the portable baseline.
    #[default]
    Compute75 = "75", 75, 74;
    /// Ampere (A100).
    Compute80 = "80", 80, 74;
    /// Ampere (RTX 30).
    Compute86 = "86", 86, 74;
    /// Ampere (Jetson Orin).
    Compute87 = "87", 87, 74;
    /// Ampere.
    Compute88 = "88", 88, 90;
    /// Ada Lovelace.
    Compute89 = "89", 89, 78;
    /// Hopper.
    Compute90 = "90", 90, 80;
    /// Hopper alone.
    Compute90a = "90a", 90, 80;
    /// Blackwell (B200).
    Compute100 = "100", 100, 86;
    /// Blackwell (B200), its family.
    Compute100f = "100f", 100, 88;
    /// Blackwell (B200) alone.
    Compute100a = "100a", 100, 86;
    /// Blackwell (Jetson Thor), in CUDA 12.
    Compute101 = "101", 101, 86;
    /// The same, its family.
    Compute101f = "101f", 101, 88;
    /// The same alone.
    Compute101a = "101a", 101, 86;
    /// Blackwell (B300).
    Compute103 = "103", 103, 88;
    /// Blackwell (B300), its family.
    Compute103f = "103f", 103, 88;
    /// Blackwell (B300) alone.
    Compute103a = "103a", 103, 88;
    /// Blackwell (Jetson Thor), from CUDA 13 on.
    Compute110 = "110", 110, 90;
    /// The same, its family.
    Compute110f = "110f", 110, 90;
    /// The same alone.
    Compute110a = "110a", 110, 90;
    /// Blackwell (RTX 50).
    Compute120 = "120", 120, 87;
    /// Blackwell (RTX 50), its family.
    Compute120f = "120f", 120, 88;
    /// Blackwell (RTX 50) alone.
    Compute120a = "120a", 120, 87;
    /// Blackwell (GB10).
    Compute121 = "121", 121, 88;
    /// Blackwell (GB10), its family.
    Compute121f = "121f", 121, 88;
    /// Blackwell (GB10) alone.
    Compute121a = "121a", 121, 88;
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
    /// capability up to this one, and for the letter behind it.
    pub(crate) fn capability_cfgs(self) -> Vec<String> {
        let reached = Self::ALL.into_iter().filter(|&other| self.reaches(other));
        let names = ["35", "37"].into_iter().chain(reached.map(Self::text));
        let cfgs = names.map(|name| format!("--cfg=target_feature=\"compute_{name}\""));
        ["-Aexplicit_builtin_cfgs_in_flags".to_owned()].into_iter().chain(cfgs).collect()
    }

    /// Returns true if code for this one may use what `other` has: a chip's own code what its
    /// family has.
    fn reaches(self, other: Self) -> bool {
        let letter = |arch: Self| arch.text().trim_start_matches(|c: char| c.is_ascii_digit());
        match letter(other) {
            "" => other.capability() <= self.capability(),
            "f" => other.capability() == self.capability() && !letter(self).is_empty(),
            _ => other == self,
        }
    }
}

/// `sm_90`, as ptxas and rustc call it.
impl fmt::Display for NvvmArch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sm_{}", self.text())
    }
}

/// Takes `sm_90`, `compute_90` and `90`.
impl FromStr for NvvmArch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name =
            text.strip_prefix("sm_").or_else(|| text.strip_prefix("compute_")).unwrap_or(text);
        Self::ALL.into_iter().find(|arch| arch.text() == name).ok_or_else(|| {
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
            assert_eq!(arch.to_string().replace("sm_", "compute_").parse(), Ok(arch));
        }
        let error = "sm_91".parse::<NvvmArch>().unwrap_err();
        assert!(error.contains("`sm_91`") && error.contains("sm_90"));
    }
}
