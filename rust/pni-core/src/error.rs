//! The one error type of the core.

use std::fmt;

/// Why a kernel gave no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// A row of the named matrix holds NaN or infinity.
    NotFinite {
        /// The argument's name.
        what: &'static str,
        /// The first such row.
        row: usize,
    },
    /// An argument is not what the kernel can work on.
    Invalid {
        /// The argument or setting.
        what: &'static str,
        /// What is allowed.
        allowed: String,
        /// What was found.
        got: String,
    },
    /// There is no memory for what the sizes of the arguments ask for.
    OutOfMemory {
        /// What was asked for last.
        bytes: usize,
    },
    /// The caller asked the work to stop.
    Cancelled,
}

/// A kernel's result.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An [`Error::Invalid`] from anything that can be printed.
    pub fn invalid(what: &'static str, allowed: impl fmt::Display, got: impl fmt::Display) -> Self {
        Self::Invalid {
            what,
            allowed: allowed.to_string(),
            got: got.to_string(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFinite { what, row } => write!(
                f,
                "{what} must hold finite float32 values only, got NaN or infinity in row {row}"
            ),
            Self::Invalid { what, allowed, got } => write!(f, "{what} must be {allowed}, got {got}"),
            Self::OutOfMemory { bytes } => write!(f, "not enough memory: no room for {bytes} bytes more"),
            Self::Cancelled => write!(f, "cancelled"),
        }
    }
}

impl std::error::Error for Error {}
