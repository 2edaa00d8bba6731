//! The instructions behind the accessors of memory, as macros: a further level of
//! functions changes the order in which LLVM works, and so the kernels.

/// The element at `$p`, past the first-level cache.
macro_rules! load_streamed {
    ($t:ty, $p:expr) => {{
        let p = $p;
        match size_of::<$t>() {
            4 => {
                let v: u32;
                asm!("ld.global.cg.u32 {}, [{}];", out(reg32) v, in(reg64) p,
                     options(pure, readonly, nostack, preserves_flags));
                <$t>::from_u64(v as u64)
            }
            8 => {
                let v: u64;
                asm!("ld.global.cg.u64 {}, [{}];", out(reg64) v, in(reg64) p,
                     options(pure, readonly, nostack, preserves_flags));
                <$t>::from_u64(v)
            }
            _ => *p,
        }
    }};
}

/// Tells LLVM that a pointer is to global memory. The comment keeps the test alive
/// until LLVM has used it.
macro_rules! assume_global {
    ($p:expr) => {{
        let global = nv::is_global($p as *const u8);
        asm!("// {0}", in(reg32) global as u32, options(nomem, nostack, preserves_flags));
        core::hint::assert_unchecked(global);
    }};
}

/// `asm!` with the suffix that `$scope` has in PTX.
macro_rules! scoped {
    ($scope:expr, $before:literal, $after:expr, $($operand:tt)*) => {
        match $scope {
            Scope::Block => asm!(concat!($before, ".cta", $after), $($operand)*),
            Scope::Device => asm!(concat!($before, ".gpu", $after), $($operand)*),
            Scope::System => asm!(concat!($before, ".sys", $after), $($operand)*),
        }
    };
}

/// [`scoped`], with the suffix that `$order` has, one of those named.
macro_rules! ordered {
    ($order:expr, $scope:expr, {$($pattern:pat => $before:literal),*}, $after:expr, $operands:tt) => {
        match $order {
            $($pattern => ordered!(@ $scope, $before, $after, $operands),)*
        }
    };
    (@ $scope:expr, $before:literal, $after:expr, ($($operand:tt)*)) => {
        scoped!($scope, $before, $after, $($operand)*)
    };
}

/// The rule `@` of `$instruction!` for the word that is as wide as `$t`.
macro_rules! by_width {
    ($instruction:ident, $t:ty, $($argument:expr),*) => {
        if size_of::<$t>() == 4 {
            $instruction!(@ $t, u32, reg32, "u32", $($argument),*)
        } else if size_of::<$t>() == 8 {
            $instruction!(@ $t, u64, reg64, "u64", $($argument),*)
        } else {
            unreachable_unchecked()
        }
    };
}

macro_rules! load {
    (@ $t:ty, $word:ty, $register:ident, $type:literal, $p:expr, $order:expr, $scope:expr) => {{
        let p = $p;
        let v: $word;
        ordered!($order, $scope, { Ordering::Relaxed => "ld.relaxed", _ => "ld.acquire" },
                 concat!(".global.", $type, " {}, [{}];"),
                 (out($register) v, in(reg64) p, options(nostack)));
        <$t>::from_u64(v as u64)
    }};
    ($t:ty, $($argument:expr),*) => { by_width!(load, $t, $($argument),*) };
}

macro_rules! store {
    (@ $t:ty, $word:ty, $register:ident, $type:literal, $p:expr, $value:expr, $order:expr,
     $scope:expr) => {{
        let (p, v) = ($p, $value.to_u64() as $word);
        ordered!($order, $scope, { Ordering::Relaxed => "st.relaxed", _ => "st.release" },
                 concat!(".global.", $type, " [{}], {};"),
                 (in(reg64) p, in($register) v, options(nostack)))
    }};
    ($t:ty, $($argument:expr),*) => { by_width!(store, $t, $($argument),*) };
}

macro_rules! fetch_add {
    (@ $t:ty, $word:ty, $register:ident, $type:literal, $p:expr, $value:expr, $order:expr,
     $scope:expr) => {{
        let (p, v) = ($p, $value.to_u64() as $word);
        let old: $word;
        ordered!($order, $scope, {
                     Ordering::Relaxed => "atom.relaxed", Ordering::Acquire => "atom.acquire",
                     Ordering::Release => "atom.release", _ => "atom.acq_rel"
                 },
                 concat!(".global.add.", $type, " {}, [{}], {};"),
                 (out($register) old, in(reg64) p, in($register) v, options(nostack)));
        <$t>::from_u64(old as u64)
    }};
    ($t:ty, $($argument:expr),*) => { by_width!(fetch_add, $t, $($argument),*) };
}

macro_rules! load_shared {
    ($t:ty, $p:expr) => {
        load_shared!(@ $t, $p, 1 u32 reg32 "u8", 2 u32 reg32 "u16", 4 u32 reg32 "u32", 8 u64 reg64 "u64")
    };
    (@ $t:ty, $p:expr, $($size:literal $word:ident $register:ident $type:literal),*) => {{
        let p = $p;
        match size_of::<$t>() {
            $($size => {
                let v: $word;
                asm!(concat!("ld.shared.", $type, " {}, [{}];"), out($register) v, in(reg32) p,
                     options(nostack));
                <$t>::from_u64(v as u64)
            })*
            _ => {
                let (low, high): (u64, u64);
                asm!("ld.shared.v2.u64 {{{}, {}}}, [{}];", out(reg64) low, out(reg64) high,
                     in(reg32) p, options(nostack));
                <$t>::from_u128(low as u128 | (high as u128) << 64)
            }
        }
    }};
}

macro_rules! atomic_load_shared {
    (@ $t:ty, $word:ty, $register:ident, $type:literal, $p:expr) => {{
        let p = $p;
        let v: $word;
        asm!(concat!("ld.relaxed.cta.shared.", $type, " {}, [{}];"), out($register) v,
             in(reg32) p, options(nostack));
        <$t>::from_u64(v as u64)
    }};
    ($t:ty, $p:expr) => { by_width!(atomic_load_shared, $t, $p) };
}

macro_rules! compare_exchange_shared {
    ($t:ty, $($argument:expr),*) => {
        if size_of::<$t>() == 4 {
            compare_exchange_shared!(@ $t, u32, reg32, "b32", $($argument),*)
        } else {
            compare_exchange_shared!(@ $t, u64, reg64, "b64", $($argument),*)
        }
    };
    (@ $t:ty, $word:ty, $register:ident, $type:literal, $p:expr, $current:expr, $new:expr) => {{
        let (p, current, new) = ($p, $current.to_u64() as $word, $new.to_u64() as $word);
        let old: $word;
        asm!(concat!("atom.relaxed.cta.shared.cas.", $type, " {}, [{}], {}, {};"),
             out($register) old, in(reg32) p, in($register) current, in($register) new,
             options(nostack));
        <$t>::from_u64(old as u64)
    }};
}

macro_rules! store_shared {
    ($t:ty, $p:expr, $value:expr) => {
        store_shared!(@ $t, $p, $value, 1 u32 reg32 "u8", 2 u32 reg32 "u16", 4 u32 reg32 "u32", 8 u64 reg64 "u64")
    };
    (@ $t:ty, $p:expr, $value:expr, $($size:literal $word:ident $register:ident $type:literal),*) => {{
        let p = $p;
        let v = $value.to_u64();
        match size_of::<$t>() {
            $($size => asm!(concat!("st.shared.", $type, " [{}], {};"), in(reg32) p,
                            in($register) v as $word, options(nostack)),)*
            _ => asm!("st.shared.v2.u64 [{}], {{{}, {}}};", in(reg32) p, in(reg64) v,
                      in(reg64) ($value.to_u128() >> 64) as u64, options(nostack)),
        }
    }};
}
