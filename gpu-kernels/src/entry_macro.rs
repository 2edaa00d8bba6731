//! The macro that makes an entry point, and those of the words in its line.

/// One entry point: the kernel, the counts and bytes that its PTX states of it, and the [`Entry`]
/// of its name by which hosts launch it.
///
/// The list of parameters is what both are made from. A field that is a structure is written with
/// its parts; behind a semicolon stands a field that has no parameters.
macro_rules! entry {
    (always $($rest:tt)*) => { entry! { [] false $($rest)* } };
    (recent $($rest:tt)*) => {
        entry! { [any(not(target_os = "cuda"), target_feature = "sm_90")] true $($rest)* }
    };
    (swept $($rest:tt)*) => { entry! { [all(target_os = "cuda", sweep)] false $($rest)* } };
    (swept_recent $($rest:tt)*) => {
        entry! { [all(target_os = "cuda", sweep, target_feature = "sm_90")] true $($rest)* }
    };
    (
        [$($cfg:meta)?] $recent:literal $name:ident: $arguments:ident $(<$key:ident>)? {
            $(
                $field:ident
                $({ $group:ident: $($part:ident = $parameter:ident: $of:ty),* })?
                $(: $type:ty)?
            ),*
            $(; $($absent:ident = $value:expr),+)?
        }
        $shape:expr; paired: $paired:expr, atomic: $atomic:expr, shared_bytes: $shared_bytes:expr,
        synchronises: $counts:expr, kernel: $kernel:expr
    ) => {
        $(#[cfg($cfg)])?
        #[cfg(target_os = "cuda")]
        core::arch::global_asm!(
            concat!("// .synchronisation ", stringify!($name), " {} {}"),
            const $counts.votes,
            const $counts.barriers,
        );

        // Where a chip has fewer, nobody launches it, and `cargo xtask ptx --check` lets it
        // spill.
        $(#[cfg($cfg)])?
        #[cfg(target_os = "cuda")]
        core::arch::global_asm!(
            concat!("// .shared_bytes ", stringify!($name), " {}"),
            const $shared_bytes,
        );

        /// The kernel of this name.
        $(#[cfg($cfg)])?
        #[kernel]
        #[launch_bounds($shape.threads, $shape.blocks)]
        #[allow(clippy::too_many_arguments, clippy::redundant_field_names)]
        pub unsafe fn $name($($($($parameter: $of,)*)? $($field: $type,)?)*) {
            let arguments = $arguments {
                $($field $(: $group { $($part: $parameter),* })?,)*
                $($($absent: $value,)+)?
            };
            unsafe { $kernel(arguments) }
        }

        /// The entry point of this name.
        #[cfg(not(target_os = "cuda"))]
        #[allow(non_camel_case_types)]
        pub enum $name {}

        #[cfg(not(target_os = "cuda"))]
        #[allow(clippy::missing_safety_doc)]
        impl $name {
            /// Calls the kernel: a thread of it, in the emulator. Compiled where it is called, as
            /// the kernel is: a minute of optimising, and no program but the tests calls all.
            $(#[cfg($cfg)])?
            #[inline]
            pub unsafe fn run(arguments: $arguments $(<$key>)?) {
                unsafe { $name($(
                    $($(arguments.$field.$part,)*)?
                    $({ let argument: $type = arguments.$field; argument },)?
                )*) }
            }

            /// The entry, as a host sees it.
            pub const ENTRY: Entry<$arguments $(<$key>)?> = Entry {
                name: stringify!($name),
                shape: $shape,
                paired: $paired,
                atomic: $atomic,
                recent: $recent,
                shared_bytes: $shared_bytes,
                count: 0 $($(+ count!($($part)*))? $(+ count!($type))?)*,
                parameters: |arguments| vec![$(
                    $($(parameter::<$of>(&arguments.$field.$part),)*)?
                    $(parameter::<$type>(&arguments.$field),)?
                )*],
            };
        }
    };
}

#[cfg(not(target_os = "cuda"))]
macro_rules! count {
    ($($token:tt)*) => { <[&str]>::len(&[$(stringify!($token)),*]) };
}

macro_rules! paired {
    (keys) => {
        false
    };
    (pairs) => {
        true
    };
}

/// The word of a key where its place is sorted along.
macro_rules! word {
    (keys $key:ident) => {
        $key
    };
    (pairs $key:ident) => {
        u64
    };
}
