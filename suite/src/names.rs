//! Enums whose variants have names, which command lines, records and errors share.

/// Declares an enum whose variants have names: `ALL`, `name`, `Display`, a `FromStr` whose error
/// lists all names, and clap's `ValueEnum`, which shows the documentation of each.
macro_rules! named {
    (
        $(#[$meta:meta])*
        pub enum $type:ident as $what:literal {
            $(
                $(#[default $($is_default:tt)?])?
                $(#[doc = $doc:literal])+
                $variant:ident = $name:literal,
            )+
        }
    ) => {
        $(#[$meta])*
        pub enum $type {
            $($(#[doc = $doc])+ $(#[default $($is_default)?])? $variant,)+
        }

        impl $type {
            /// All of them, in the order in which they are shown.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::error::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let found = Self::ALL.into_iter().find(|one| one.name() == text.trim());
                found.ok_or_else(|| {
                    $crate::error::unknown($what, text, &Self::ALL.map(Self::name))
                })
            }
        }

        impl clap::ValueEnum for $type {
            fn value_variants<'a>() -> &'a [Self] {
                &Self::ALL
            }

            fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
                let help = match self {
                    $(Self::$variant => concat!($($doc),+),)+
                };
                let help = help.trim().trim_end_matches('.');
                Some(clap::builder::PossibleValue::new(self.name()).help(help))
            }
        }
    };
}
pub(crate) use named;
