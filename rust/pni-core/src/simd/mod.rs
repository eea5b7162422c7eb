//! The one place that asks the CPU what it can do, and the one way to compile a kernel for each answer.

pub(crate) mod lanes;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;

use crate::{Error, Result};
use std::fmt;

/// The environment variable that forces a level.
pub const SETTING: &str = "PNI_FAST_SIMD";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Scalar,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// A SIMD level that this CPU is known to have: there is no way to make one without asking the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Simd(Level);

impl Simd {
    /// Every level this CPU can run, the fastest last.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut levels = vec![Self(Level::Scalar)];
        #[cfg(target_arch = "aarch64")]
        levels.push(Self(Level::Neon));
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                levels.push(Self(Level::Avx2));
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
                {
                    levels.push(Self(Level::Avx512));
                }
            }
        }
        levels
    }

    /// The fastest level this CPU has.
    #[must_use]
    pub fn best() -> Self {
        Self::available()[Self::available().len() - 1]
    }

    /// The level named by `setting`, or the fastest one when it is absent or empty.
    pub fn from_setting(setting: Option<&str>) -> Result<Self> {
        let Some(name) = setting.filter(|name| !name.is_empty()) else {
            return Ok(Self::best());
        };
        let levels = Self::available();
        levels
            .iter()
            .copied()
            .find(|level| level.name() == name)
            .ok_or_else(|| {
                let names: Vec<_> = levels.iter().map(|level| level.name()).collect();
                Error::invalid(SETTING, format!("one of {} on this CPU", names.join(", ")), name)
            })
    }

    /// `scalar`, `neon`, `avx2` or `avx512`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Level::Scalar => "scalar",
            #[cfg(target_arch = "aarch64")]
            Level::Neon => "neon",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
        }
    }

    pub(crate) fn level(self) -> Level {
        self.0
    }
}

impl fmt::Display for Simd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Asks the CPU to bring values into its caches; changes nothing else.
#[inline]
pub(crate) fn prefetch<T>(values: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // The last value may be in a line of its own, as the first need not begin one.
        let starts = values.chunks((64 / size_of::<T>()).max(1)).map(<[T]>::as_ptr);
        for place in starts.chain(values.last().map(std::ptr::from_ref)) {
            // SAFETY: a prefetch reads nothing the program can see, and SSE is part of x86-64.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) };
        }
    }
    #[cfg(target_arch = "aarch64")]
    for line in values.chunks((64 / size_of::<T>()).max(1)) {
        // SAFETY: as above; the instruction is part of every aarch64 and touches neither memory nor flags.
        unsafe {
            std::arch::asm!(
                "prfm pldl1keep, [{line}]", line = in(reg) line.as_ptr(),
                options(nostack, preserves_flags, readonly)
            );
        }
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = values;
}

/// Compiles one body, generic over [`lanes::Isa`] and `#[inline(always)]`, for every SIMD level and picks by a
/// [`Simd`] at run time.
macro_rules! multiversion {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)? = $body:ident) => {
        $(#[$doc])*
        #[inline]
        #[allow(clippy::too_many_arguments)]
        $vis fn $name(simd: $crate::simd::Simd, $($arg: $type),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                use $crate::simd::x86;
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $type),*) $(-> $ret)? {
                    // SAFETY: this function is compiled for, and only called with, the features of the token.
                    $body(unsafe { x86::Avx2::new() }, $($arg),*)
                }
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
                fn avx512($($arg: $type),*) $(-> $ret)? {
                    // SAFETY: as above.
                    $body(unsafe { x86::Avx512::new() }, $($arg),*)
                }
                match simd.level() {
                    // SAFETY: a `Simd` of this level exists only where the CPU was found to have its features.
                    $crate::simd::Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::simd::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::simd::Level::Scalar => {}
                }
            }
            #[cfg(target_arch = "aarch64")]
            if simd.level() == $crate::simd::Level::Neon {
                return $body($crate::simd::neon::Neon, $($arg),*);
            }
            $body($crate::simd::lanes::Portable, $($arg),*)
        }
    };
}
pub(crate) use multiversion;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_honored_or_refused() {
        for level in Simd::available() {
            assert_eq!(Simd::from_setting(Some(level.name())), Ok(level));
        }
        assert_eq!(Simd::from_setting(None), Ok(Simd::best()));
        assert_eq!(Simd::from_setting(Some("")), Ok(Simd::best()));
        let message = Simd::from_setting(Some("mmx")).unwrap_err().to_string();
        assert!(message.starts_with("PNI_FAST_SIMD must be one of scalar"), "{message}");
        assert!(message.ends_with("got mmx"), "{message}");
    }
}
